"""Texts as numbers: characters, units, vocabularies, padding, batches of like length."""
