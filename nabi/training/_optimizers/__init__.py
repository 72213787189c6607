"""Optimizers and schedules of the learning rate, by the names and formulas of Keras and of torch."""
