"""Shapes: checks of inputs, output shapes by trial calls, and the sums behind parameter counts."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nabi._tree import leaves, mapped
from nabi.errors import ShapeError
from nabi.layers._layer._layer_like import LayerLike

__all__ = [
    "check_mask",
    "check_rank",
    "check_width",
    "first_shape",
    "infer_output_shape",
    "last_width",
    "open_to",
    "product_sum",
    "trial_shape",
]


def check_rank(layer: LayerLike, shape: Sequence[int | None], rank: int, meaning: str) -> None:
    """Raise `ShapeError` unless an input has `rank` axes, described by `meaning`."""
    if len(shape) != rank:
        raise ShapeError(
            f"inputs: {layer.name} ({type(layer).__name__}) expected {rank} axes {meaning}, "
            f"got {len(shape)} axes, shape {tuple(shape)}"
        )


def check_width(layer: LayerLike, shape: Sequence[int | None], width: int) -> None:
    """Raise `ShapeError` unless the last axis has the width for which the layer was built."""
    if not shape:
        raise ShapeError(f"inputs: {layer.name} expected at least one axis, got a single number")
    if shape[-1] != width:
        raise ShapeError(
            f"inputs: {layer.name} ({type(layer).__name__}) was built for {width} features in the last axis, "
            f"got {shape[-1]}, shape {tuple(shape)}"
        )


def last_width(layer: LayerLike, shape: Sequence[int | None]) -> int:
    """Return the size of the last axis; `ShapeError` if it is open, since weights need it."""
    if not shape or shape[-1] is None:
        raise ShapeError(
            f"input_shape: {layer.name} ({type(layer).__name__}) needs the size of the last axis "
            f"to make its weights, got {tuple(shape)}"
        )
    width: object = shape[-1]
    if isinstance(width, list | tuple | str):
        raise ShapeError(f"input_shape: {layer.name} expected one shape, got several: {tuple(shape)}")
    return shape[-1]


def first_shape(shape: Any) -> Any:
    """Return the shape of the sequence if the states follow it in a list, as in Keras 2."""
    return shape[0] if shape and isinstance(shape[0], list | tuple) else shape


def check_mask(layer: LayerLike, mask: Tensor, inputs: Tensor) -> Tensor:
    """Return a mask as bool `[B, T]`; `ShapeError` if it has another shape."""
    if mask.dim() == 3 and mask.shape[-1] == 1:
        mask = mask.squeeze(-1)
    if mask.shape != inputs.shape[:2]:
        raise ShapeError(
            f"mask: {layer.name} ({type(layer).__name__}) expected the shape {tuple(inputs.shape[:2])}, "
            f"batch and time of its inputs {tuple(inputs.shape)}, got {tuple(mask.shape)}"
        )
    return mask if mask.dtype is torch.bool else mask.to(torch.bool)


def product_sum(shapes: Sequence[tuple[int, ...]]) -> str:
    """Return the sum of products that counts the elements of tensors.

    >>> product_sum([(3, 4), (4,)])
    '3 × 4 + 4 = 16'
    >>> product_sum([(2000, 10)])
    '2000 × 10 = 20,000'
    """
    if not shapes:
        return ""
    products = " + ".join(" × ".join(str(size) for size in shape) if shape else "1" for shape in shapes)
    return f"{products} = {sum(math.prod(shape) for shape in shapes):,}"


def infer_output_shape(layer: LayerLike, input_shape: Any) -> Any:
    """Find the output shape for one or several input shapes (list or dictionary) by trial calls."""
    if not layer.built:
        layer.build(input_shape)
    return trial_shape(layer, lambda sizes: ((_zeros(input_shape, sizes, layer.dtype),), {}))[0]


Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def trial_shape(
    layer: LayerLike, arguments: Callable[[tuple[int, int]], Arguments]
) -> tuple[Any, torch.dtype]:
    """Find the output shape by calling the layer twice; sizes that depend on an open axis stay open.

    `arguments` returns the layer's arguments for given sizes of an open batch and of other open axes.
    Returns the shape, or the shapes in the structure of the outputs, and the dtype of the first output.

    Raises:
        ShapeError: if the layer can't be called on such shapes.
    """
    results = []
    weight = next(layer.parameters(), None)
    device = torch.get_default_device() if weight is None else weight.device
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        for sizes in _TRIAL_SIZES:
            given, keywords = mapped(
                lambda one: one.to(device) if isinstance(one, Tensor) else one, arguments(sizes)
            )
            try:
                results.append(layer(*given, **{"training": False, **keywords}))
            except (RuntimeError, IndexError) as problem:
                shapes = [tuple(one.shape) for one in leaves([*given, keywords]) if isinstance(one, Tensor)]
                raise ShapeError(
                    f"inputs: {layer.name} ({type(layer).__name__}) can't be called on inputs of shape "
                    f"{', '.join(map(str, shapes))}: {problem}"
                ) from problem
    return _common(*results), next(leaves(results[0])).dtype


# Sizes of an open batch and of other open axes, long enough for a window over time.
_TRIAL_SIZES = ((2, 32), (3, 33))


def open_to(shape: Sequence[int | None], sizes: tuple[int, int]) -> list[int]:
    """Return a shape with its open axes replaced by `sizes`: the first for the batch, the second for others.

    >>> open_to((None, None, 3), (2, 32))
    [2, 32, 3]
    """
    return [sizes[min(axis, 1)] if size is None else size for axis, size in enumerate(shape)]


def _zeros(shape: Any, sizes: tuple[int, int], dtype: torch.dtype) -> Any:
    if isinstance(shape, Mapping):
        return {name: _zeros(one, sizes, dtype) for name, one in shape.items()}
    if any(isinstance(one, list | tuple | Mapping) for one in shape):
        return [_zeros(one, sizes, dtype) for one in shape]
    return torch.zeros(open_to(shape, sizes), dtype=dtype)


def _common(first: Any, second: Any) -> Any:
    if isinstance(first, Tensor):
        return tuple(a if a == b else None for a, b in zip(first.shape, second.shape, strict=True))
    if isinstance(first, Mapping):
        return {name: _common(one, second[name]) for name, one in first.items()}
    return type(first)(_common(a, b) for a, b in zip(first, second, strict=True))
