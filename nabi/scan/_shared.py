"""Results whose memory a backward pass reads, and which a user may change all the same.

torch allows `torch.relu_(output)` after a GRU, because its own backward pass does not read the output.
Kernels do read it: the states of every step lie there, once. Rather than forbid the change or make a copy at
every call, the backward pass looks whether there was one, and runs forward again if so.
"""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

__all__ = ["Shared", "is_unchanged", "share"]


class Shared(NamedTuple):
    """Results, under other names that hold no graph, and how often each had been written to."""

    tensors: list[Tensor]
    versions: list[int]


def share(results: Sequence[Tensor]) -> Shared:
    """Keep results for a backward pass; to be let go of in the first one, which frees their memory."""
    tensors = [result.detach() for result in results]
    return Shared(tensors, [tensor._version for tensor in tensors])


def is_unchanged(shared: Shared | None) -> bool:
    """Whether nobody has written to the results since."""
    if shared is None:
        return False
    return all(tensor._version == version for tensor, version in zip(*shared, strict=True))
