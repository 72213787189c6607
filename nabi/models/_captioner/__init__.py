"""The captioner: sentences for pictures."""
