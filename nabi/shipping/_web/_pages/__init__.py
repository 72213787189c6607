"""The page of each kind of model."""
