"""How much faster several workers train and predict, and what they do when one is killed."""
