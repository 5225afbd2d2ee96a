"""Intake adapters: one module a channel; a channel's words stay inside, out come governed orders."""
