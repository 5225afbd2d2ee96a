"""The `campaigns` command: one small module a group of commands, no rules of its own."""
