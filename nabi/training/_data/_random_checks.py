"""Random states of a file are looked at before torch takes them."""

import struct
from typing import Any

import torch
from torch import Tensor

from nabi.errors import FileFormatError
from nabi.files import check_tensors

__all__ = ["check_random_state"]

# How torch keeps its Mersenne twister in a state: seed, how many of the 624 numbers are left, whether it is
# seeded, and which number is next.
_BEGIN = struct.Struct("<QiiQ")
_NUMBERS = 624


def check_random_state(name: str, state: Tensor) -> Tensor:
    """Return the state of a generator of the processor, if torch can go on from it.

    torch refuses most of what cannot be. A place of the next number that does not fit to how many are left
    it takes, and then reads past its memory.

    Raises:
        FileFormatError: for what is no such state.
    """
    generator = torch.Generator()
    check_tensors({name: state}, {name: generator.get_state()})
    begin: Any = state[: _BEGIN.size].numpy().tobytes()
    _, left, _, following = _BEGIN.unpack(begin)
    try:
        if left + following > _NUMBERS + 1:
            raise RuntimeError("it points behind its numbers")
        generator.set_state(state)
    except RuntimeError as problem:
        raise FileFormatError(
            f"{name}: expected the state of a random generator, got other numbers ({problem})"
        ) from problem
    return state
