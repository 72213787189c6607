"""Callbacks: the base class, those that monitor a metric, and those that write files."""

from nabi._old_places import names_that_stood_here

__getattr__ = names_that_stood_here(__name__)
