"""Alembic's entry: runs the migrations on the connection that data/migrate.py hands over."""

from alembic import context

from data.tables import metadata

connection = context.config.attributes["connection"]
# Batch mode: SQLite cannot alter a column in place; Alembic copies the table.
context.configure(connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite")
with context.begin_transaction():
    context.run_migrations()
