"""Text as numbers: characters, tokens, vocabularies, padding, batches of similar length."""
