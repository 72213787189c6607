"""Layers that slide a window: convolution and pooling, over one axis and over two."""
