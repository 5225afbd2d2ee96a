"""What is true whatever the tools: dataclasses and functions, no I/O."""
