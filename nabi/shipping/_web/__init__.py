"""Models for browsers and other engines of JavaScript."""
