"""The text classifier."""
