"""Optimizers and learning rate schedules, with the names and formulas of Keras and torch."""

from nabi._old_places import names_that_stood_here

__getattr__ = names_that_stood_here(__name__)
