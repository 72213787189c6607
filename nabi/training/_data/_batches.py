"""Batches from arrays, DataLoaders, data sets and generators."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, SupportsFloat

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from nabi import _checks
from nabi.errors import ArgumentError, ShapeError
from nabi.training._data._inputs_outputs import Part, Ports, each, first_of
from nabi.training._data._py_dataset import PyDataset
from nabi.training._data._random_checks import check_random_state
from nabi.training._data._tensors import sample_count

__all__ = [
    "DEFAULT_BATCH_SIZE",
    "ArrayBatches",
    "Batch",
    "Batches",
    "SeveralBatches",
    "StreamBatches",
    "class_weights",
    "make_batches",
]

Batch = tuple[Part, Part | None, Part | None]
DEFAULT_BATCH_SIZE = 32
UNNAMED = Ports()
# Small batches are cut many at a time: limits on the number of batches and of their elements.
_AT_ONCE = 64
_NUMBERS_AT_ONCE = 1 << 14


class Batches(Protocol):
    """Batches `(x, y, weights)`, epoch by epoch."""

    steps: int | None

    def epoch(self) -> Iterator[Batch]:
        """Yield the batches of the next epoch."""


class ArrayBatches:
    """Batches cut from tensors in memory."""

    def __init__(
        self,
        x: Part,
        y: Part | None,
        weights: Part | None,
        batch_size: int,
        generator: torch.Generator | None = None,
        steps: int | None = None,
    ) -> None:
        self.x, self.y, self.weights = x, y, weights
        self.batch_size, self.generator = batch_size, generator
        self._first = x if isinstance(x, Tensor) else first_of(x)
        available = -(-self._first.shape[0] // batch_size)
        self.steps: int | None = available if steps is None else min(steps, available)

    def epoch(self) -> Iterator[Batch]:
        """Yield the batches in order, or in a new random order if there is a generator."""
        for several in self.several():
            while several.left:
                yield several.take()

    def several(self) -> Iterator["SeveralBatches"]:
        """Yield the batches of an epoch, small ones many at a time."""
        size, count = self.batch_size, self._first.shape[0]
        order: Tensor | None = None
        if self.generator is not None:
            order = torch.randperm(count, generator=self.generator).to(self._first.device)
        limit = count if self.steps is None else min(count, self.steps * size)
        several = size * max(1, min(_AT_ONCE, _NUMBERS_AT_ONCE // max(1, size * self._row_numbers())))
        for start in range(0, limit, several):
            stop = min(start + several, limit)
            # Not held here meanwhile: its memory is reused for the next.
            yield SeveralBatches(
                self.part(slice(start, stop) if order is None else order[start:stop]), size, stop - start
            )

    def _row_numbers(self) -> int:
        """Return the number of elements per sample, including targets and weights."""
        found = 0
        for part in (self.x, self.y, self.weights):
            for one in part if isinstance(part, tuple) else (part,):
                found += 0 if one is None else one.numel() // one.shape[0]
        return found

    def part(self, rows: slice | Tensor) -> Batch:
        """Return the inputs, targets and weights of some samples."""
        x = _rows(self.x, rows)
        assert x is not None
        return x, _rows(self.y, rows), _rows(self.weights, rows)


class SeveralBatches:
    """Batches that lie side by side; the last may be smaller.

    Args:
        samples: of all batches.
        size: samples in each.
        count: samples in all.

    Attributes:
        left: samples of which nothing has been taken yet.
    """

    def __init__(self, samples: Batch, size: int, count: int) -> None:
        self._samples: Batch | None = samples
        self.size, self.left, self._count = size, count, count
        self._pieces: Iterator[Any] | None = None

    @property
    def rest(self) -> Batch:
        """The samples that are left."""
        assert self._samples is not None
        first = self._count - self.left
        if not first:
            return self._samples
        x, y, weights = (_rows(part, slice(first, None)) for part in self._samples)
        assert x is not None
        return x, y, weights

    def drop(self, batches: int) -> None:
        """Leave out the next batches, all of which are full."""
        self.left -= batches * self.size
        self._pieces = None

    def one_of(self, number: int) -> Batch:
        """Return one of those that are left, by its number from 0."""
        size = self.size
        x, y, weights = (_rows(part, slice(number * size, (number + 1) * size)) for part in self.rest)
        assert x is not None
        return x, y, weights

    def take(self) -> Batch:
        """Return the next batch."""
        left, size = self.left, self.size
        if self._pieces is None:
            rest = self.rest
            if left <= size:
                self._samples, self.left = None, 0
                return rest
            self._pieces = zip(*(_pieces(part, size, -(-left // size)) for part in rest), strict=True)
        self.left = max(0, left - size)
        found: Batch = next(self._pieces)
        return found


def _rows(part: Any, rows: slice | Tensor) -> Part | None:
    if part is None or isinstance(part, tuple):
        return None if part is None else tuple(_rows(one, rows) for one in part)  # type: ignore[misc]
    found: Tensor = part[rows] if isinstance(rows, slice) else part.index_select(0, rows)
    return found


def _pieces(part: Any, size: int, count: int) -> Iterable[Any]:
    """Cut some samples into `count` batches."""
    if part is None:
        return itertools.repeat(None, count)
    if isinstance(part, tuple):
        return zip(*(_pieces(one, size, count) for one in part), strict=True)
    found: Iterable[Tensor] = part.split(size)
    return found


class StreamBatches:
    """Batches from a user's source: a DataLoader, a generator, an object with `len` and `[]`."""

    def __init__(
        self,
        source: Any,
        steps: int | None,
        dtype: torch.dtype,
        device: torch.device,
        ports: Ports,
        generator: torch.Generator | None = None,
    ) -> None:
        self.source, self.dtype, self.device, self.ports = source, dtype, device, ports
        # Shuffles the batches of a PyDataset in each epoch; other sources have their own order.
        self.generator = generator if isinstance(source, PyDataset) else None
        # Converts inputs to the shape that a model expects.
        self.adjust: Callable[[Part], Part] | None = None
        self.can_be_read_once = isinstance(source, Iterator)
        self._indexed = not self.can_be_read_once and not hasattr(source, "__iter__")
        if isinstance(source, PyDataset):
            available = source.num_batches
            steps = available if steps is None else min(steps, available or steps)
        elif steps is None and hasattr(source, "__len__"):
            steps = len(source)
        self.steps: int | None = steps

    def get_extra(self) -> dict[str, Any]:
        """Return what the order of the next epochs follows from, where the source has an order of its own."""
        generator = getattr(self.source, "generator", None)
        if isinstance(generator, torch.Generator):
            return {"generator": generator.get_state()}
        own = getattr(self.source, "get_extra", None)
        return {} if own is None else dict(own())

    def set_extra(self, extra: dict[str, Any]) -> None:
        """Take what `get_extra` gave, when a run goes on."""
        generator = getattr(self.source, "generator", None)
        if isinstance(generator, torch.Generator):
            generator.set_state(check_random_state("data/generator", extra["generator"]))
        elif hasattr(self.source, "set_extra"):
            self.source.set_extra(extra)

    def epoch(self) -> Iterator[Batch]:
        """Yield the batches of one pass over the source; a generator continues where it stopped."""
        batches: Iterable[Any] = self.source
        if isinstance(self.source, PyDataset):
            batches = self._of_dataset(self.source)
        elif self._indexed:
            batches = (self.source[index] for index in range(len(self.source)))
        elif isinstance(self.source, DataLoader):
            # A loader can be longer than requested; it draws a new order for each epoch.
            batches = iter(self.source)
        for batch in batches if isinstance(self.source, PyDataset) else itertools.islice(batches, self.steps):
            yield self._convert(batch)
        if self._indexed and hasattr(self.source, "on_epoch_end"):
            self.source.on_epoch_end()

    def _of_dataset(self, source: PyDataset) -> Iterator[Any]:
        """Yield the batches of a data set; finite ones are shuffled if there is a generator."""
        source.on_epoch_begin()
        count = source.num_batches
        order: Iterable[int] = itertools.count() if count is None else range(count)
        if count is not None and self.generator is not None:
            order = torch.randperm(count, generator=self.generator).tolist()
        for index in order if self.steps is None else itertools.islice(order, self.steps):
            yield source[index]
        source.on_epoch_end()

    def _convert(self, batch: Any) -> Batch:
        parts = list(batch) if isinstance(batch, list | tuple) else [batch]
        if len(parts) > 1:
            parts = self.ports.divided(parts)
        if len(parts) > 3 or (isinstance(batch, Mapping) and not self.ports.inputs):
            raise ArgumentError(f"x: expected batches x, (x, y) or (x, y, sample_weight), got {_what(batch)}")
        x, y, weights = self.ports.tensors((*parts, None, None)[:3], self.dtype, self.device)
        check_lengths(x, y, weights)
        return (x if self.adjust is None else self.adjust(x)), y, weights


def _what(batch: Any) -> str:
    return f"a batch of {len(batch)} parts" if isinstance(batch, list | tuple) else type(batch).__name__


def check_lengths(x: Part, y: Part | None, weights: Part | None) -> int:
    """Return the number of samples.

    Raises:
        ShapeError: if other inputs, targets or weights have another number.
    """
    count = sample_count("x", x if isinstance(x, Tensor) else first_of(x))
    for argument, part in (("x", x), ("y", y), ("sample_weight", weights)):
        for tensor in part if isinstance(part, tuple) else (part,):
            if tensor is not None and (tensor.ndim == 0 or tensor.shape[0] != count):
                got = tensor.shape[0] if tensor.ndim else "no"
                raise ShapeError(f"{argument}: expected {count} samples as in x, got {got}")
    return count


def make_batches(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None,
    fixed_batch_size: int | None,
    dtype: torch.dtype,
    device: torch.device,
    generator: torch.Generator | None = None,
    steps: int | None = None,
    ports: Ports = UNNAMED,
    whole: bool = False,
) -> ArrayBatches | StreamBatches:
    """Make batches from any data given as `x` (and `y`), one batch of all samples if `whole`.

    Raises:
        ArgumentError: for unsupported data or an invalid batch size.
        ShapeError: if x, y and weights have different numbers of samples.
    """
    if batch_size is not None:
        batch_size = _checks.whole("batch_size", batch_size, otherwise=" or None")
    if steps is not None:  # often a quotient, so a float
        steps = _checks.whole("steps_per_epoch", steps, otherwise=" or None", floats=True)
    size = batch_size or fixed_batch_size or DEFAULT_BATCH_SIZE
    if isinstance(x, Dataset) and not isinstance(x, IterableDataset):
        x = DataLoader(x, size, shuffle=generator is not None, generator=generator)
    elif isinstance(x, IterableDataset):
        x = DataLoader(x, size)
    if _is_stream(x) and not whole:
        for argument, given in (("y", y), ("sample_weight", sample_weight), ("batch_size", batch_size)):
            if given is not None and not (argument == "batch_size" and isinstance(x, DataLoader)):
                raise ArgumentError(
                    f"{argument}: expected None, as the {type(x).__name__} given as x returns y and weights"
                )
        return StreamBatches(x, steps, dtype, device, ports, generator)
    x_part, y_part, weights = ports.tensors((x, y, sample_weight), dtype, device)
    if weights is not None:
        weights = each(lambda one: one.to(dtype), weights)
    count = check_lengths(x_part, y_part, weights)
    if whole:
        size = count
    if fixed_batch_size is not None and (size != fixed_batch_size or count % size):
        raise ShapeError(
            f"batch_size: {count} samples in batches of {size} were given, "
            f"the model's batch_input_shape asks for batches of exactly {fixed_batch_size}"
        )
    return ArrayBatches(x_part, y_part, weights, size, generator, steps)


def _is_stream(x: Any) -> bool:
    if isinstance(x, DataLoader | Iterator):
        return True
    if isinstance(x, list | tuple | Mapping | Tensor | str | bytes) or hasattr(x, "__array__"):
        return False
    return hasattr(x, "__iter__") or (hasattr(x, "__len__") and hasattr(x, "__getitem__"))


def class_weights(
    y: Tensor, weights: Mapping[int, float], sparse: bool, dtype: torch.dtype, width: int | None = None
) -> Tensor:
    """Return the weight of each sample (and step) by its class, 1 for classes not in `weights`.

    Args:
        y: labels, or targets with a column for each class.
        weights: a number for each class.
        sparse: whether the targets are labels regardless of their shape.
        dtype: dtype of the result.
        width: the number of outputs of the model, if known.

    Raises:
        ArgumentError: for weights that are not a dictionary of numbers, and for invalid classes.
    """
    if not isinstance(weights, Mapping) or not weights:
        raise ArgumentError(
            f"class_weight: expected a dictionary such as {{0: 1.0, 1: 5.0}}, got {weights!r}"
        )
    labels, columns = y, None
    if y.ndim > 1:
        if y.shape[-1] == 1:
            labels = y.squeeze(-1)
        elif not sparse:
            labels, columns = y.argmax(-1), y.shape[-1]
    count = columns
    if columns is None and sparse:
        count = width
    elif columns is None and bool(((labels == 0) | (labels == 1)).all()):
        count = 2
    result = torch.ones(labels.shape, dtype=dtype, device=y.device)
    for label, weight in weights.items():
        result[labels == _class(label, count)] = _class_weight(label, weight)
    return result


def _class(label: Any, count: int | None) -> int:
    whole = not isinstance(label, bool | str) and isinstance(label, SupportsFloat) and float(label) % 1 == 0
    if not whole or label < 0 or (count is not None and label >= count):
        wanted = "a whole number from 0" + ("" if count is None else f" to {count - 1}")
        raise ArgumentError(f"class_weight: expected classes, each {wanted}, got the class {label!r}")
    return int(label)


def _class_weight(label: Any, weight: Any) -> float:
    try:
        number = math.nan if isinstance(weight, bool | str) else float(weight)
    except (TypeError, ValueError, RuntimeError):
        number = math.nan
    if not 0 <= number < math.inf:
        raise ArgumentError(
            f"class_weight: expected a number of 0 or more for class {label!r}, got {weight!r}"
        )
    return number
