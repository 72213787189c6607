"""The captioner: sentences for pictures."""

from nabi._old_places import names_that_stood_here

__getattr__ = names_that_stood_here(__name__)
