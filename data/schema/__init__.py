"""All tables, one theme a module; `data.tables` is the one name by which they are used."""
