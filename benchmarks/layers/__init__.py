"""The recurrent layers of nabi and of its peers on the same work: `python -m benchmarks.layers`."""
