"""The plan of the code for both passes: the order of operations, the saved values, the tiles."""
