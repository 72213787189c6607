"""All figures of docs/reading-text.md, repeated by one command: `python -m benchmarks.text`."""
