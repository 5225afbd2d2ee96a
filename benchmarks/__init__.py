"""What things cost, each beside its floor or the obvious way, side by side in one run. See docs/benchmarks.md."""
