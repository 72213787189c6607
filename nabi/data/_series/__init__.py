"""Number series, and windows over them."""
