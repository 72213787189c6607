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
    """Return the symbolic tensors, their structure with numbers in their places, and their names.

    Names are None unless the tensors are in a dictionary.

    Raises:
        ArgumentError: for anything that is not a symbolic tensor, or for none at all.
    """
    if isinstance(given, Mapping):
        tensors, names = list(given.values()), [str(name) for name in given]
    else:
        tensors, names = list(given) if isinstance(given, list | tuple) else [given], None
    for one in tensors:
        if not isinstance(one, SymbolicTensor):
            raise ArgumentError(
                f"{argument}: expected outputs of Input(shape) or of layers called on them, one, a list, or "
                f"a dictionary by name, got {type(one).__name__}"
            )
    if not tensors:
        raise ArgumentError(f"{argument}: expected at least one symbolic tensor, got none")
    numbers = iter(range(len(tensors)))
    structure = mapped(lambda one: Slot(next(numbers)), dict(given) if names else given)
    return tensors, structure, names


def packed(structure: Any, values: Sequence[Any]) -> Any:
    """Return values in the structure of `ends`."""
    return mapped(lambda slot: values[slot.number], structure)


def unique(names: Sequence[str]) -> list[str]:
    """Return the names, with numbers appended to repeated ones.

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
    """Return the tensor with a mask; the caller's tensor is not changed."""
    if mask is None or getattr(tensor, "_keras_mask", None) is mask:
        return tensor
    result = tensor.view_as(tensor)
    result._keras_mask = mask  # type: ignore[attr-defined]
    return result
