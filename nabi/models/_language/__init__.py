"""The language model: text one unit after the other."""
