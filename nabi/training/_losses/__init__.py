"""Losses: functions, classes, and the steps that do not count."""

from nabi._old_places import names_that_stood_here

__getattr__ = names_that_stood_here(__name__)
