"""Benchmarks. Run them from the repository's root: `python -m benchmarks.speed.head_speed`."""
