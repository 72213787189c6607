"""Reproduction of all figures in docs/reading-text.md: `python -m benchmarks.text`."""
