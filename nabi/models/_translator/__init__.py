"""The translator: one sequence into another."""
