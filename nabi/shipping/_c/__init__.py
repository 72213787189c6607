"""A step as portable C99."""
