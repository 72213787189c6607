"""The types that weights can be stored in."""

from typing import Any

import torch

from nabi.errors import unknown_name

__all__ = ["KINDS", "as_kind", "bytes_of", "dtype_of"]

KINDS = {"int8": torch.int8, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""The dtype of stored weights, by the name of their kind."""


def as_kind(kind: Any, argument: str = "weights") -> str:
    """Return the name of a kind.

    Raises:
        UnknownNameError: for anything else.

    >>> as_kind("int8")
    'int8'
    """
    if not isinstance(kind, str) or kind not in KINDS:
        raise unknown_name(argument, kind, list(KINDS))
    return kind


def dtype_of(kind: str) -> torch.dtype:
    """Return the dtype of stored weights."""
    return KINDS[kind]


def bytes_of(kind: str) -> int:
    """Return the bytes of a stored weight."""
    return KINDS[kind].itemsize
