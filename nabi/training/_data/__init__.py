"""What training is given, as batches of tensors."""
