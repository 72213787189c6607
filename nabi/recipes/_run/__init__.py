"""A run of a recipe: its clock and progress, its folder, the data that it reads."""
