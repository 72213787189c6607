"""The number of threads for computation."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["on_threads"]


@contextmanager
def on_threads(wanted: int | None) -> Iterator[None]:
    """Limit torch and nabi's own code to `wanted` threads inside the block; None changes nothing."""
    before = torch.get_num_threads()
    if wanted is not None:
        torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(before)
