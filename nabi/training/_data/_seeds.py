"""Randomness: one seed for everything, and saving its state."""

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nabi import _checks
from nabi._public import public

__all__ = ["current_random_state", "restore_random_state", "seed_count", "set_random_seed"]

_seeds_set = 0


@public
def set_random_seed(seed: int) -> None:
    """Seed the random generators of Python, NumPy and torch, on every device.

    Two runs with the same seed, machine and number of threads produce the same numbers.

    Raises:
        ArgumentError: if the seed is not a whole number from 0 to 2³² - 1.

    >>> set_random_seed(7)
    >>> first = torch.rand(3)
    >>> set_random_seed(7)
    >>> bool((torch.rand(3) == first).all())
    True
    """
    global _seeds_set
    seed = _checks.seed("seed", seed, bits=32)
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    _seeds_set += 1


def seed_count() -> int:
    """Return how often `set_random_seed` was called; a change means that the user reseeded."""
    return _seeds_set


def current_random_state(device: torch.device) -> dict[str, Tensor]:
    """Return the state of torch's generators used in training: those of the CPU and of `device`."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(state: dict[str, Tensor], device: torch.device) -> None:
    """Restore the state that `current_random_state` returned."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)


def draw_seed() -> int:
    """Draw a seed for a separate generator from torch's global generator."""
    drawn: Any = torch.randint(0, 2**62, ()).item()
    return int(drawn)
