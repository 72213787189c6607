"""Layers with sliding windows: convolution and pooling over one axis or two."""

from nabi._old_places import names_that_stood_here

__getattr__ = names_that_stood_here(__name__)
