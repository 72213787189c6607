"""From text to number: a network and a linear model of words that estimate it together."""
