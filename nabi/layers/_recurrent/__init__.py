"""Recurrent layers: the families, layers over any cell, both directions, wrappers, and kept states."""

from nabi._old_places import names_that_stood_here

__getattr__ = names_that_stood_here(__name__)
