"""The series classifier: classes of series of numbers, and of their steps."""
