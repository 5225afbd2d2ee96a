"""Where facts lie: tables, migrations, repositories, features, expectations, channels, samples, templates."""
