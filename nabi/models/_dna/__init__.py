"""The classifier of DNA: a class of a sequence, or a label for every base."""
