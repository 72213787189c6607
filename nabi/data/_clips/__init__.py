"""Clips: short sequences of frames, from files or drawn."""
