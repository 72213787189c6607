"""Metrics: Keras' classes, names, and torchmetrics."""
