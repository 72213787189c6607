"""A model's data: expected shapes, device, and batches."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nabi import training
from nabi.errors import ArgumentError, ShapeError
from nabi.layers import Layer, Shape
from nabi.training import ArrayBatches, Batches, Part, each, first_of, row_count

__all__ = ["Feeding", "split", "weigh_classes"]


class Feeding(Layer):
    """A layer that accepts user data; see `Model`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._device: torch.device | None = None

    @property
    def device(self) -> torch.device:
        """The device of the weights, also before they exist."""
        weight = _first_weight(self)
        if weight is not None:
            return weight.device
        return self._device or torch.get_default_device()

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs; empty unless the model is functional."""
        return []

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs; empty unless the model is functional."""
        return []

    @property
    def fixed_batch_size(self) -> int | None:
        """The number of samples that every batch must have, or None."""
        return None if self.declared_input_shape is None else self.declared_input_shape[0]

    def adjust_input(self, x: Part) -> Part:
        """Return inputs in the model's declared shape; a last axis of length 1 may be missing."""
        wanted = self.declared_input_shape
        return x if wanted is None else each(lambda one: self._adjusted(one, wanted, "x"), x)

    def _adjusted(self, x: Tensor, wanted: Shape, argument: str) -> Tensor:
        if x.ndim == len(wanted) - 1 and wanted[-1] == 1:
            x = x.unsqueeze(-1)
        elif x.ndim == len(wanted) + 1 and x.shape[-1] == 1:
            x = x.squeeze(-1)
        sizes = zip(x.shape[1:], wanted[1:], strict=False)
        if x.ndim != len(wanted) or any(size not in (given, None) for given, size in sizes):
            raise ShapeError(
                f"{argument}: {self.name} expected shape {(None, *wanted[1:])}, got {tuple(x.shape)}"
                + (f", in batches of {wanted[0]}" if wanted[0] is not None else "")
            )
        return x

    def _batches(
        self,
        x: Any,
        y: Any,
        weights: Any,
        batch_size: int | None,
        generator: torch.Generator | None,
        steps: int | None,
        whole: bool = False,
    ) -> Batches:
        if x is None:
            raise ArgumentError("x: expected data, got None")
        made = training.make_batches(
            x,
            y,
            weights,
            batch_size=batch_size,
            fixed_batch_size=self.fixed_batch_size,
            dtype=self.dtype,
            device=self.device,
            generator=generator,
            steps=steps,
            ports=training.Ports(tuple(self.input_names), tuple(self.output_names)),
            whole=whole,
        )
        if isinstance(made, ArrayBatches):
            made.x = self.adjust_input(made.x)
        else:
            made.adjust = self.adjust_input
        return made

    def _whole(self, x: Any, y: Any, weights: Any) -> ArrayBatches:
        made = self._batches(x, y, weights, None, None, None, whole=True)
        assert isinstance(made, ArrayBatches)
        return made

    def _validation(self, data: Any, batch_size: int | None, steps: int | None) -> Batches:
        expected = "expected (x, y), (x, y, sample_weight) or a DataLoader"
        if isinstance(data, np.ndarray | Tensor):
            raise ArgumentError(f"validation_data: an array alone was given, {expected}")
        if not isinstance(data, list | tuple):
            return self._batches(data, None, None, None, None, steps)
        if len(data) not in (2, 3):
            raise ArgumentError(f"validation_data: {len(data)} parts were given, {expected}")
        x, y, weights = (*data, None)[:3]
        try:
            return self._batches(x, y, weights, batch_size, None, steps)
        except ArgumentError as problem:
            raise type(problem)(f"validation_data: {problem}") from problem


def _first_weight(module: torch.nn.Module) -> Tensor | None:
    """Return `next(module.parameters())` without building the names of all."""
    for weight in module._parameters.values():
        if weight is not None:
            return weight
    for child in module._modules.values():
        found = None if child is None else _first_weight(child)
        if found is not None:
            return found
    return None


def weigh_classes(
    batches: Batches, weights: Mapping[int, float], sparse: bool, width: int | None = None
) -> None:
    if not isinstance(batches, ArrayBatches) or batches.y is None:
        raise ArgumentError("class_weight: expected x and y as arrays; a loader can return sample weights")
    own = batches.weights
    if isinstance(batches.y, tuple) or isinstance(own, tuple):
        raise ArgumentError(
            "class_weight: expected None for a model with several outputs; pass sample_weight for each"
        )
    by_class = training.class_weights(batches.y, weights, sparse, _dtype_of(batches), width)
    if own is None:
        batches.weights = by_class
    else:
        batches.weights = own.reshape(own.shape + (1,) * (by_class.ndim - own.ndim)) * by_class


def _dtype_of(batches: ArrayBatches) -> torch.dtype:
    x = first_of(batches.x)
    return x.dtype if x.is_floating_point() else torch.get_default_dtype()


def split(
    batches: Batches, share: float, batch_size: int | None, steps: int | None
) -> tuple[ArrayBatches, ArrayBatches]:
    """Split off the last samples, before any shuffling."""
    if not isinstance(batches, ArrayBatches):
        raise ArgumentError("validation_split: expected x and y as arrays; pass validation_data instead")
    count = row_count(batches.x)
    first = int(count * (1 - share))
    if not 0 < first < count:
        raise ArgumentError(f"validation_split: {share!r} of {count} samples leaves one part without samples")
    x, y, weights = batches.part(slice(0, first))
    x_held, y_held, weights_held = batches.part(slice(first, count))
    size = batches.batch_size
    kept = ArrayBatches(x, y, weights, size, batches.generator, batches.steps)
    return kept, ArrayBatches(x_held, y_held, weights_held, batch_size or size, None, steps)
