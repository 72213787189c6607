"""`nabi predict` on many files: one result file for each, made by several processes."""
