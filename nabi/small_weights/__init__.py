"""Weights in a quarter or half of the memory: int8 with a scale for each output, bfloat16, float16."""

from nabi.small_weights._files import arrays_of
from nabi.small_weights._kinds import KINDS, as_kind, bytes_of
from nabi.small_weights._tensor import (
    SmallWeight,
    are_all_small,
    are_small,
    as_dense,
    shrink,
    small_parameter,
)

__all__ = [
    "KINDS",
    "SmallWeight",
    "are_all_small",
    "are_small",
    "arrays_of",
    "as_dense",
    "as_kind",
    "bytes_of",
    "shrink",
    "small_parameter",
]
