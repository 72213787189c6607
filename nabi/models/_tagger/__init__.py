"""The tagger: a label for every token of a sentence."""
