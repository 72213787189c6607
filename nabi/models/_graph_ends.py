"""The inputs and outputs of a functional model: one, a list, or a dictionary of symbolic tensors."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from nabi._tree import mapped
from nabi.errors import ArgumentError
from nabi.layers import SymbolicTensor
from nabi.models._graph import Slot

__all__ = ["ends", "masked", "packed", "unique"]


def ends(argument: str, given: Any) -> tuple[list[SymbolicTensor], Any, list[str] | None]:
    """Symbolic tensors, the structure in which they came with numbers in their place, and names for them.

    Names are None unless they are those of a dictionary.

    Raises:
        ArgumentError: for anything that is no symbolic tensor, or none at all.
    """
    if isinstance(given, Mapping):
        tensors, names = list(given.values()), [str(name) for name in given]
    else:
        tensors, names = list(given) if isinstance(given, list | tuple) else [given], None
    for one in tensors:
        if not isinstance(one, SymbolicTensor):
            raise ArgumentError(
                f"{argument}: got {type(one).__name__}, expected what Input(shape) gives, or what a layer "
                "gives that is called on that: one of them, a list, or a dictionary by name"
            )
    if not tensors:
        raise ArgumentError(f"{argument}: none were given")
    numbers = iter(range(len(tensors)))
    structure = mapped(lambda one: Slot(next(numbers)), dict(given) if names else given)
    return tensors, structure, names


def packed(structure: Any, values: Sequence[Any]) -> Any:
    """Values in the structure of `ends`."""
    return mapped(lambda slot: values[slot.number], structure)


def unique(names: Sequence[str]) -> list[str]:
    """The names, with a number after one that is there already.

    >>> unique(["lstm", "lstm", "dense"])
    ['lstm', 'lstm_1', 'dense']
    """
    result: list[str] = []
    for name in names:
        number, found = 0, name
        while found in result:
            number += 1
            found = f"{name}_{number}"
        result.append(found)
    return result


def masked(tensor: Tensor, mask: Tensor | None) -> Tensor:
    """The tensor with a mask; the caller's own is left as it is."""
    if mask is None or getattr(tensor, "_keras_mask", None) is mask:
        return tensor
    result = tensor.view_as(tensor)
    result._keras_mask = mask  # type: ignore[attr-defined]
    return result
