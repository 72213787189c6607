"""Models of DNA: a class or a number of a sequence, or a label for every base."""
