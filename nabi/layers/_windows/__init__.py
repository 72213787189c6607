"""Layers that slide a window: convolution and pooling, over one axis and over two."""

from nabi._old_places import names_that_stood_here

__getattr__ = names_that_stood_here(__name__)
