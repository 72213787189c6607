"""What `nabi predict` and `nabi evaluate` do with models of other kinds than text classifiers."""
