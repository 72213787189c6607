"""Whether tensors are like those of an earlier call, so that what was found out then still holds."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

__all__ = ["Likeness", "likeness"]

Likeness = Callable[..., bool]
"""`alike(*tensors)`: whether so many tensors are like the first ones."""


def likeness(tensors: Sequence[Tensor]) -> Likeness | None:
    """Return what tells whether tensors are like these, in all that a kernel depends on but their addresses.

    Like are tensors of the same types, shapes, strides, dtypes and devices, with or without gradients as
    these, and none is given twice. They are also used likewise: in inference mode or not, under the same
    autocast, within no other mode or transform. Values and addresses do not count.

    Python takes a microsecond to look at all this of one tensor. torch has a function in C++ that needs a
    fifth of that, with which `torch.compile` decides whether compiled code fits.

    Args:
        tensors: the tensors, which are not held.

    Returns:
        None if torch has no such function, or one that does not do what it should: it is not public.
    """
    return _guard(tensors) if _is_there() else None


def _guard(tensors: Sequence[Tensor]) -> Likeness:
    from torch._C._dynamo.guards import TensorGuards

    found: Likeness = TensorGuards(*tensors, dynamic_dims_sizes=None, dynamic_dims_strides=None).check
    return found


@cache
def _is_there() -> bool:
    """Try out whether torch tells apart what must be."""
    with torch.inference_mode(False), torch.no_grad(), torch.autocast("cpu", enabled=False):
        first, weight = torch.zeros(2, 2), Parameter(torch.zeros(2, 2))
        try:
            alike = _guard((first, weight))
            others: list[Any] = [
                first.t(), first.double(), first[:1], first[0], torch.zeros(2, 4)[:, ::2],
                first.view(torch.int32), torch._neg_view(first), first.to("meta"), first.to_sparse(), None,
                Parameter(first), weight, torch.zeros(2, 2, requires_grad=True),
            ]  # fmt: skip
            told = alike(torch.ones(2, 2), weight) and not any(alike(other, weight) for other in others)
            with torch.autocast("cpu", torch.bfloat16):
                told = told and not alike(first, weight)
            with torch.inference_mode():
                told = told and not alike(torch.zeros(2, 2), weight)
            weight.data = weight.data.t()
            return told and not alike(first, weight)
        except (ImportError, AttributeError, TypeError, RuntimeError):
            return False
