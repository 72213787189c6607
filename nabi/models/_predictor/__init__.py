"""Prediction on rows of tables, in one process or in many."""
