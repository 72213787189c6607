"""Data as users have it, for a model: in which shape, where to, and cut into batches how."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nabi import training
from nabi.errors import ArgumentError, ShapeError
from nabi.layers import Shape
from nabi.training import ArrayBatches, Batches, Part, Ports, first_of, row_count

__all__ = ["DataAdapter", "adjusted", "split", "weigh_classes"]


@dataclass(frozen=True)
class DataAdapter:
    """How one model takes data as users have it.

    Args:
        dtype: of floating-point inputs.
        device: where the batches go.
        ports: names of the inputs and outputs.
        adjust: brings inputs into the shape that the model expects.
        fixed_batch_size: the number of samples that every batch must have, None for any.
    """

    dtype: torch.dtype
    device: torch.device
    ports: Ports
    adjust: Callable[[Part], Part]
    fixed_batch_size: int | None

    def batches(
        self,
        x: Any,
        y: Any = None,
        weights: Any = None,
        batch_size: int | None = None,
        steps: int | None = None,
        *,
        generator: torch.Generator | None = None,
        whole: bool = False,
    ) -> Batches:
        """The batches of whatever is given as x, one of all samples if `whole`; raises as `make_batches`."""
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
            ports=self.ports,
            whole=whole,
        )
        if isinstance(made, ArrayBatches):
            made.x = self.adjust(made.x)
        else:
            made.adjust = self.adjust
        return made

    def whole(self, x: Any, y: Any = None, weights: Any = None) -> ArrayBatches:
        """All samples as one batch."""
        made = self.batches(x, y, weights, whole=True)
        assert isinstance(made, ArrayBatches)
        return made

    def validation(self, data: Any, batch_size: int | None, steps: int | None) -> Batches:
        """The batches of `validation_data`."""
        expected = "expected (x, y), (x, y, sample_weight) or a DataLoader"
        if isinstance(data, np.ndarray | Tensor):
            raise ArgumentError(f"validation_data: an array alone was given, {expected}")
        if not isinstance(data, list | tuple):
            return self.batches(data, steps=steps)
        if len(data) not in (2, 3):
            raise ArgumentError(f"validation_data: {len(data)} parts were given, {expected}")
        x, y, weights = (*data, None)[:3]
        try:
            return self.batches(x, y, weights, batch_size, steps)
        except ArgumentError as problem:
            raise type(problem)(f"validation_data: {problem}") from problem


def adjusted(x: Tensor, wanted: Shape, argument: str, model: str) -> Tensor:
    """Inputs in the shape that a model of this name wants; an axis of length 1 at the end may be missing.

    Raises:
        ShapeError: if they have another shape.
    """
    if x.ndim == len(wanted) and x.shape[1:] == wanted[1:]:
        return x
    if x.ndim == len(wanted) - 1 and wanted[-1] == 1:
        x = x.unsqueeze(-1)
    elif x.ndim == len(wanted) + 1 and x.shape[-1] == 1:
        x = x.squeeze(-1)
    sizes = zip(x.shape[1:], wanted[1:], strict=False)
    if x.ndim != len(wanted) or any(size not in (given, None) for given, size in sizes):
        raise ShapeError(
            f"{argument}: expected shape {(None, *wanted[1:])} for {model}, got {tuple(x.shape)}"
            + (f" in batches of {wanted[0]}" if wanted[0] is not None else "")
        )
    return x


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
