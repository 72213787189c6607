"""Callbacks: the base class, those that monitor a figure, and those that write files."""
