"""Optimizers and schedules of the learning rate, by the names and formulas of Keras and of torch."""

from nabi._old_places import names_that_stood_here

__getattr__ = names_that_stood_here(__name__)
