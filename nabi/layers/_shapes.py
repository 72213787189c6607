"""Shapes: checks of inputs, output shapes by trial, and the sums behind parameter counts."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nabi.errors import ShapeError
from nabi.layers._arguments import Shape

if TYPE_CHECKING:
    from nabi.layers._base import Layer

__all__ = ["check_mask", "check_rank", "check_width", "infer_output_shape", "last_width", "product_sum"]


def check_rank(layer: "Layer", shape: Sequence[int | None], rank: int, meaning: str) -> None:
    """Raise `ShapeError` unless an input has `rank` axes, which `meaning` names."""
    if len(shape) != rank:
        raise ShapeError(
            f"inputs: {layer.name} ({type(layer).__name__}) expected {rank} axes {meaning}; "
            f"got {len(shape)} axes, shape {tuple(shape)}"
        )


def check_width(layer: "Layer", shape: Sequence[int | None], width: int) -> None:
    """Raise `ShapeError` unless the last axis has the width that the weights were made for."""
    if shape[-1] != width:
        raise ShapeError(
            f"inputs: {layer.name} ({type(layer).__name__}) was built for {width} features in the last axis; "
            f"got {shape[-1]}, shape {tuple(shape)}"
        )


def last_width(layer: "Layer", shape: Sequence[int | None]) -> int:
    """Return the size of the last axis; `ShapeError` where it is open, since weights need it."""
    if not shape or shape[-1] is None:
        raise ShapeError(
            f"input_shape: {layer.name} ({type(layer).__name__}) needs the size of the last axis "
            f"to make its weights; got {tuple(shape)}"
        )
    return shape[-1]


def check_mask(layer: "Layer", mask: Tensor, inputs: Tensor) -> Tensor:
    """Return a mask as bool `[B, T]`; `ShapeError` unless that is its shape."""
    if mask.dim() == 3 and mask.shape[-1] == 1:
        mask = mask.squeeze(-1)
    if mask.shape != inputs.shape[:2]:
        raise ShapeError(
            f"mask: {layer.name} ({type(layer).__name__}) expected the shape {tuple(inputs.shape[:2])}, "
            f"batch and time of its inputs {tuple(inputs.shape)}; got {tuple(mask.shape)}"
        )
    return mask if mask.dtype is torch.bool else mask.to(torch.bool)


def product_sum(shapes: Sequence[tuple[int, ...]]) -> str:
    """Write the sum of products that counts the elements of tensors.

    >>> product_sum([(3, 4), (4,)])
    '3 × 4 + 4 = 16'
    >>> product_sum([(2000, 10)])
    '2000 × 10 = 20,000'
    """
    if not shapes:
        return ""
    products = " + ".join(" × ".join(str(size) for size in shape) if shape else "1" for shape in shapes)
    return f"{products} = {sum(math.prod(shape) for shape in shapes):,}"


def infer_output_shape(layer: "Layer", input_shape: Shape) -> Any:
    """Find the output shape by calling the layer twice on zeros; sizes that follow an open axis stay open."""
    if not layer.built:
        layer.build(input_shape)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        first, second = (_trial(layer, input_shape, size) for size in (2, 3))
    return _common(first, second)


def _trial(layer: "Layer", input_shape: Shape, size: int) -> Any:
    weight = next(layer.parameters(), None)
    zeros = torch.zeros(
        [size if one is None else one for one in input_shape],
        dtype=layer.dtype,
        device=weight.device if weight is not None else None,
    )
    return layer(zeros, training=False)


def _common(first: Any, second: Any) -> Any:
    if isinstance(first, Tensor):
        return tuple(a if a == b else None for a, b in zip(first.shape, second.shape, strict=True))
    return type(first)(_common(a, b) for a, b in zip(first, second, strict=True))
