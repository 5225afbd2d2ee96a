"""Alembic's migrations: an older schema is upgraded, never made anew."""
