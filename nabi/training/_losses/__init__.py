"""Losses: functions, classes, and the steps that do not count."""
