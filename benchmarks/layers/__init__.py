"""Comparison of recurrent layers, nabi and its peers on the same work: `python -m benchmarks.layers`."""
