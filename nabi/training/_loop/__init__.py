"""The training loop, its progress bar, interruption and checkpoints."""
