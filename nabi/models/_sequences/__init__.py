"""Networks that read a sequence of vectors and answer with a class, a class for every step, or a string."""
