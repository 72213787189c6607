"""Machine code: for which machine, with which mathematics, compiled, loaded, and kept."""
