"""How many threads a command computes on."""

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["threads"]


@contextmanager
def threads(wanted: int | None) -> Iterator[None]:
    """Let torch, and nabi's own code with it, use so many threads inside the block; None changes nothing."""
    import torch

    before = torch.get_num_threads()
    if wanted is not None:
        torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(before)
