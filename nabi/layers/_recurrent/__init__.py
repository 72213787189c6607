"""Recurrent layers: the families, layers over any cell, both directions, wrappers, and kept states."""
