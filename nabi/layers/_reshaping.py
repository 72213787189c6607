"""Layers that rearrange their inputs or normalize them to sum 1: Reshape, Permute, Softmax."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nabi import _checks
from nabi.errors import ArgumentError, ShapeError
from nabi.layers._layer._arguments import Shape
from nabi.layers._layer._base import Layer

__all__ = ["Permute", "Reshape", "Softmax"]


class Reshape(Layer):
    """Reshapes each sample: `[B, ...]` to `[B, *target_shape]`.

    One size may be -1 and is then inferred. Masks are dropped. Raises `ShapeError` if the number of elements
    does not match.

    >>> import torch
    >>> Reshape((-1, 2))(torch.zeros(5, 6)).shape
    torch.Size([5, 3, 2])
    """

    def __init__(self, target_shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        given = target_shape if np.iterable(target_shape) else [target_shape]
        sizes = tuple(_checks.whole("target_shape", size, -1) for size in given)
        if sizes.count(-1) > 1:
            raise ArgumentError(
                f"target_shape: expected sizes without the batch, at most one of them -1, got {sizes}"
            )
        self.target_shape: tuple[int, ...] = sizes

    def call(self, inputs: Tensor) -> Tensor:
        """Return the reshaped inputs."""
        shape = self.compute_output_shape(tuple(inputs.shape))
        return inputs.reshape(tuple(-1 if size is None else size for size in shape))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the batch and the sizes, with -1 replaced where the inputs' shape is known."""
        batch, *own = input_shape
        if None in own:
            return (batch, *(None if size == -1 else size for size in self.target_shape))
        count = math.prod(size for size in own if size is not None)
        known = math.prod(size for size in self.target_shape if size != -1)
        if count % known if -1 in self.target_shape and known else count != known:
            raise ShapeError(
                f"inputs: {self.name} (Reshape) can't reshape {count} elements, shape {tuple(input_shape)}, "
                f"to {self.target_shape}"
            )
        return (batch, *(count // known if size == -1 else size for size in self.target_shape))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {**super().get_config(), "target_shape": list(self.target_shape)}


class Permute(Layer):
    """Reorders the axes of each sample; `dims` counts from 1, the batch stays first.

    Masks are dropped. Raises `ArgumentError` if `dims` is not a permutation of the axes from 1, `ShapeError`
    for inputs of another number of axes.

    >>> import torch
    >>> Permute((2, 1))(torch.zeros(5, 3, 4)).shape
    torch.Size([5, 4, 3])
    """

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(_checks.whole("dims", axis) for axis in dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ArgumentError(
                f"dims: expected the axes from 1 in a new order, such as (2, 1), got {dims!r}"
            )

    def call(self, inputs: Tensor) -> Tensor:
        """Return the inputs with reordered axes."""
        self.compute_output_shape(tuple(inputs.shape))
        return inputs.permute(0, *self.dims)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the reordered sizes."""
        if len(input_shape) != len(self.dims) + 1:
            raise ShapeError(
                f"inputs: {self.name} (Permute) expected {len(self.dims) + 1} axes for dims={self.dims}, got "
                f"shape {tuple(input_shape)}"
            )
        return (input_shape[0], *(input_shape[axis] for axis in self.dims))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {**super().get_config(), "dims": list(self.dims)}


class Softmax(Layer):
    """Softmax along `axis`: positive numbers that sum to 1.

    Call argument: `mask`, with as many axes as the inputs, each of their size or 1: masked elements get 0,
    and the others sum to 1 (all are 0 if all are masked). A mask with fewer axes is a mask of steps and is
    passed on.

    >>> import torch
    >>> Softmax()(torch.zeros(1, 3), mask=torch.tensor([[True, True, False]]))
    tensor([[0.5000, 0.5000, 0.0000]])
    """

    supports_masking = True
    _makes_mask = False
    _casts_integers = True

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = _checks.whole("axis", axis, None)

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the softmax along the axis."""
        if mask is None or mask.dim() < inputs.dim():
            return inputs.softmax(self.axis)
        if any(size not in (1, whole) for size, whole in zip(mask.shape, inputs.shape, strict=True)):
            raise ShapeError(
                f"mask: {self.name} (Softmax) expected the axes of its inputs {tuple(inputs.shape)} or 1, "
                f"got {tuple(mask.shape)}"
            )
        counts = mask.to(torch.bool)
        lowest = torch.finfo(inputs.dtype).min
        return torch.where(counts, torch.where(counts, inputs, lowest).softmax(self.axis), 0.0)

    def compute_mask(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor | None:
        """Return the mask if it is one of steps; a mask of elements is not passed on."""
        return None if mask is None or mask.dim() >= inputs.dim() else mask

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return `input_shape` unchanged."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {**super().get_config(), "axis": self.axis}
