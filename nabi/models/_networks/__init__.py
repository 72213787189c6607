"""Parts of networks that several tasks share: encoder, decoder, attention, dropout over time."""
