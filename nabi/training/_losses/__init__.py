"""Losses: functions, classes, and the exclusion of masked steps."""

from nabi._old_places import names_that_stood_here

__getattr__ = names_that_stood_here(__name__)
