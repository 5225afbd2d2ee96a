"""Who: the data team's room. A registry, and one theme a file."""
