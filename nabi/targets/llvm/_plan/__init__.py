"""What is to be written: the order of operations, the values kept, the tiles, for both passes."""
