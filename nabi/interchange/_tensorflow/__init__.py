"""Checkpoints of TensorFlow: their tensors, and weights for the cells of `nabi.tf1` and for layers."""
