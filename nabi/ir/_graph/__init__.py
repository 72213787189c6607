"""The language: values of a step, the operations on them, and the graph that they make."""
