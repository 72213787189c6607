"""Systems that listen: a label for each recording, or the words that are spoken in it."""
