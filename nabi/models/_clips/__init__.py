"""A model that says what happens in a clip."""
