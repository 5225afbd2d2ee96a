"""How to reach an ESP: one folder each, and the vendor's words stay inside."""
