"""Tables of texts, labels and pairs: read, checked, divided."""
