"""State structures of TensorFlow 1: a tensor, a named tuple, or tuples of these."""

from typing import Any, NamedTuple

import torch

from nabi.errors import ShapeError
from nabi.tf1._arrays import as_tensor

__all__ = ["LSTMStateTuple", "check_state", "flatten", "pack_like"]


class LSTMStateTuple(NamedTuple):
    """The state of an LSTM, the cell first: `c` `[batch, units]`, `h` `[batch, units or projection]`."""

    c: Any
    h: Any


def flatten(structure: Any) -> list[Any]:
    """Return the leaves of nested tuples and lists in order."""
    if isinstance(structure, (tuple, list)):
        return [leaf for member in structure for leaf in flatten(member)]
    return [structure]


def pack_like(structure: Any, leaves: list[Any]) -> Any:
    """Pack leaves into the form of `structure`; the inverse of `flatten`."""
    waiting = list(leaves)

    def pack(part: Any) -> Any:
        if not isinstance(part, (tuple, list)):
            return waiting.pop(0)
        members = [pack(member) for member in part]
        return type(part)(*members) if hasattr(part, "_fields") else tuple(members)

    return pack(structure)


def check_state(
    state: Any, sizes: Any, batch: int, dtype: torch.dtype, device: torch.device, argument: str
) -> Any:
    """Return a state as tensors structured like `sizes`.

    Raises:
        ShapeError: it has another structure, batch or width.
    """

    def check(part: Any, size: Any, name: str) -> Any:
        if not isinstance(size, (tuple, list)):
            if isinstance(part, (tuple, list)) and any(hasattr(member, "shape") for member in part):
                raise ShapeError(f"{name}: expected one array [{batch}, {size}], got {len(part)} parts")
            tensor = as_tensor(part, dtype, name, rank=2)
            if tuple(tensor.shape) != (batch, size):
                raise ShapeError(f"{name}: expected the shape [{batch}, {size}], got {list(tensor.shape)}")
            return tensor.to(device)
        fields = getattr(size, "_fields", tuple(range(len(size))))
        if not isinstance(part, (tuple, list)) or len(part) != len(size):
            kind = type(size).__name__ if hasattr(size, "_fields") else "tuple"
            got = f"{len(part)} parts" if isinstance(part, (tuple, list)) else type(part).__name__
            raise ShapeError(f"{name}: expected a {kind} of {len(size)} parts, got {got}")
        checked = [
            check(member, width, f"{name}.{field}" if isinstance(field, str) else f"{name}[{field}]")
            for member, width, field in zip(part, size, fields, strict=True)
        ]
        return _as(size, checked)

    return check(state, sizes, argument)


def _as(structure: Any, members: list[Any]) -> Any:
    return type(structure)(*members) if hasattr(structure, "_fields") else tuple(members)
