"""Layers that merge several tensors into one: sum, product, mean, maximum, concatenation, dot products."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from nabi import _checks
from nabi.errors import ArgumentError, ShapeError
from nabi.layers._layer._arguments import Shape
from nabi.layers._layer._base import Layer

__all__ = ["Add", "Average", "Concatenate", "Dot", "Maximum", "Merge", "Minimum", "Multiply", "Subtract"]


class Merge(Layer):
    """Base class of layers with several inputs, called on a list of tensors.

    Masked steps are read like others, unless a layer says otherwise.
    """

    supports_masking = True
    _makes_mask = False
    _casts_integers = True
    _takes_several = True
    _count: int | None = None

    def shapes_of(self, shapes: Any) -> list[Shape]:
        """Return the shapes as a list; `ShapeError` if the layer takes another number of them."""
        several = isinstance(shapes, list | tuple) and all(isinstance(one, list | tuple) for one in shapes)
        if not several or not shapes or (self._count is not None and len(shapes) != self._count):
            wanted = "tensors" if self._count is None else f"{self._count} tensors"
            got = f"{len(shapes)} of them" if several else f"one tensor of shape {tuple(shapes)}"
            raise ShapeError(
                f"inputs: {self.name} ({type(self).__name__}) expected a list of {wanted}, got {got}"
            )
        return [tuple(one) for one in shapes]

    def build(self, input_shape: Any) -> None:
        """Check the shapes of the inputs."""
        self.compute_output_shape(input_shape)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Return the shape to which all inputs are broadcast."""
        shapes = self.shapes_of(input_shape)
        rank = max(len(shape) for shape in shapes)
        result = []
        for axis in range(rank):
            sizes = {_aligned(shape, rank)[axis] for shape in shapes} - {1}
            known = sizes - {None}
            if len(known) > 1:
                raise self._do_not_fit(shapes)
            result.append(1 if not sizes else None if None in sizes else known.pop())
        return tuple(result)

    def _do_not_fit(self, shapes: Sequence[Shape]) -> ShapeError:
        return ShapeError(
            f"inputs: {self.name} ({type(self).__name__}) can't merge shapes {' and '.join(map(str, shapes))}"
        )

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the merged inputs."""
        return self._merge(self._fitted(inputs))

    def _fitted(self, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return the inputs with the same number of axes."""
        shapes = [tuple(one.shape) for one in inputs]
        if any(shape != shapes[0] for shape in shapes):
            self.compute_output_shape(shapes)
            rank = max(map(len, shapes))
            return [one.reshape(_aligned(tuple(one.shape), rank)) for one in inputs]
        if self._count is not None:
            self.shapes_of(shapes)
        return inputs

    def _merge_counted(self, inputs: Sequence[Tensor], mask: Any) -> Tensor:
        """Return the merged inputs, for layers that ignore masked steps."""
        inputs = self._fitted(inputs)
        masks: list[Tensor | None] = [None] * len(inputs) if mask is None else list(mask)
        counts = [
            None if own is None or own.dim() != one.dim() - 1 else own.unsqueeze(-1)
            for one, own in zip(inputs, masks, strict=True)
        ]
        return self._merge(inputs) if all(one is None for one in counts) else self._masked(inputs, counts)

    def _masked(self, inputs: Sequence[Tensor], counts: Sequence[Tensor | None]) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must define _masked(inputs, counts)")

    def _merge(self, inputs: Sequence[Tensor]) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must define _merge(inputs)")

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the union of the masks; None if an input has no mask."""
        if mask is None or any(one is None for one in mask):
            return None
        result = mask[0]
        for one in mask[1:]:
            result = torch.logical_or(result, one)
        return result


def _aligned(shape: Shape, rank: int) -> Any:
    """Return a shape padded to a rank with axes of size 1 after the batch."""
    return (*shape[:1], *(1,) * (rank - len(shape)), *shape[1:])


class Add(Merge):
    """The sum of inputs of one shape, or of shapes that can be broadcast to one.

    A tensor of fewer axes gets axes of size 1 after its batch, as in Keras: `[B, T, D]` and `[B, D]` can be
    added. A step of the output is masked if it is masked in all inputs. Raises `ShapeError` for shapes that
    do not match.

    >>> import torch
    >>> Add()([torch.ones(2, 3, 4), torch.ones(2, 4)]).shape
    torch.Size([2, 3, 4])
    """

    def _merge(self, inputs: Sequence[Tensor]) -> Tensor:
        result = inputs[0]
        for one in inputs[1:]:
            result = result + one
        return result


class Subtract(Merge):
    """The first input minus the second; shapes and masks as for `Add`.

    >>> import torch
    >>> Subtract()([torch.ones(1, 2), torch.ones(1, 2)])
    tensor([[0., 0.]])
    """

    _count = 2

    def _merge(self, inputs: Sequence[Tensor]) -> Tensor:
        return inputs[0] - inputs[1]


class Multiply(Merge):
    """The product of the inputs, element by element; shapes and masks as for `Add`.

    Masked steps are left out of the product; where a step is masked in all inputs, the product is 0.

    >>> import torch
    >>> Multiply()([torch.full((1, 2), 3.0), torch.full((1, 2), 2.0)])
    tensor([[6., 6.]])
    """

    def _merge(self, inputs: Sequence[Tensor]) -> Tensor:
        result = inputs[0]
        for one in inputs[1:]:
            result = result * one
        return result

    def call(self, inputs: Sequence[Tensor], mask: Any = None) -> Tensor:
        """Return the product of the unmasked steps."""
        return self._merge_counted(inputs, mask)

    def _masked(self, inputs: Sequence[Tensor], counts: Sequence[Tensor | None]) -> Tensor:
        result = self._merge(
            [
                one if own is None else torch.where(own, one, torch.ones_like(one))
                for one, own in zip(inputs, counts, strict=True)
            ]
        )
        anywhere: Tensor | None = counts[0]
        for own in counts[1:]:
            anywhere = None if anywhere is None or own is None else anywhere | own
        return result if anywhere is None else torch.where(anywhere, result, torch.zeros_like(result))


class Average(Merge):
    """The mean of the inputs, element by element; shapes and masks as for `Add`.

    >>> import torch
    >>> Average()([torch.ones(1, 2), torch.zeros(1, 2)])
    tensor([[0.5000, 0.5000]])
    """

    def _merge(self, inputs: Sequence[Tensor]) -> Tensor:
        result = inputs[0]
        for one in inputs[1:]:
            result = result + one
        return result / len(inputs)


def _one_by_one(
    function: Callable[[Tensor, Tensor], Tensor], inputs: Sequence[Tensor], counts: Sequence[Tensor | None]
) -> Tensor:
    """Reduce the inputs with a function of two; a masked step takes the value of the other input."""
    result, counted = inputs[0], counts[0]
    for one, own in zip(inputs[1:], counts[1:], strict=True):
        if own is not None:
            one = torch.where(own, one, result)
        if counted is not None:
            result = torch.where(counted, result, one)
        counted = None if counted is None or own is None else counted | own
        result = function(result, one)
    return result


class Maximum(Merge):
    """The largest of the inputs, element by element; shapes and masks as for `Add`.

    Masked steps are ignored; where a step is masked in all inputs, the output is that of the first input.

    >>> import torch
    >>> Maximum()([torch.tensor([[1.0, 5.0]]), torch.tensor([[3.0, 2.0]])])
    tensor([[3., 5.]])
    """

    def _merge(self, inputs: Sequence[Tensor]) -> Tensor:
        result = inputs[0]
        for one in inputs[1:]:
            result = torch.maximum(result, one)
        return result

    def call(self, inputs: Sequence[Tensor], mask: Any = None) -> Tensor:
        """Return the largest of the unmasked steps."""
        return self._merge_counted(inputs, mask)

    def _masked(self, inputs: Sequence[Tensor], counts: Sequence[Tensor | None]) -> Tensor:
        return _one_by_one(torch.maximum, inputs, counts)


class Minimum(Merge):
    """The smallest of the inputs, element by element; shapes and masks as for `Add`.

    Masked steps are ignored; where a step is masked in all inputs, the output is that of the first input.

    >>> import torch
    >>> Minimum()([torch.tensor([[1.0, 5.0]]), torch.tensor([[3.0, 2.0]])])
    tensor([[1., 2.]])
    """

    def _merge(self, inputs: Sequence[Tensor]) -> Tensor:
        result = inputs[0]
        for one in inputs[1:]:
            result = torch.minimum(result, one)
        return result

    def call(self, inputs: Sequence[Tensor], mask: Any = None) -> Tensor:
        """Return the smallest of the unmasked steps."""
        return self._merge_counted(inputs, mask)

    def _masked(self, inputs: Sequence[Tensor], counts: Sequence[Tensor | None]) -> Tensor:
        return _one_by_one(torch.minimum, inputs, counts)


class Concatenate(Merge):
    """The inputs side by side along `axis` (-1, the features, by default; 1 puts sequences end to end).

    If any input has a mask, inputs without one are treated as unmasked. Side by side, a step is masked if it
    is masked in all inputs, as in Keras; end to end, each step keeps its mask. Raises `ShapeError` for shapes
    that differ in another axis.

    >>> import torch
    >>> Concatenate()([torch.zeros(2, 3), torch.zeros(2, 4)]).shape
    torch.Size([2, 7])
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = _checks.whole("axis", axis, None)
        if self.axis == 0:
            raise ArgumentError("axis: expected a whole number other than 0, the batch, got 0")

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Return the shape with the sizes along the axis added up."""
        shapes = self.shapes_of(input_shape)
        rank = len(shapes[0])
        if any(len(shape) != rank for shape in shapes) or not -rank < self.axis < rank:
            raise self._do_not_fit(shapes)
        result: list[int | None] = []
        for axis in range(rank):
            sizes = [shape[axis] for shape in shapes]
            known = [size for size in sizes if size is not None]
            if axis == self.axis % rank:
                result.append(sum(known) if len(known) == len(sizes) else None)
            elif len(set(known)) > 1:
                raise self._do_not_fit(shapes)
            else:
                result.append(known[0] if known else None)
        return tuple(result)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the inputs side by side."""
        try:
            return torch.cat(tuple(inputs), self.axis)
        except (RuntimeError, IndexError):
            raise self._do_not_fit([tuple(one.shape) for one in inputs]) from None

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask of the steps."""
        if mask is None or all(one is None for one in mask):
            return None
        masks = [
            torch.ones(one.shape[:2], dtype=torch.bool, device=one.device) if own is None else own
            for one, own in zip(inputs, mask, strict=True)
        ]
        if self.axis % inputs[0].dim() == 1:
            return torch.cat(masks, 1)
        result = masks[0]
        for one in masks[1:]:
            result = torch.logical_or(result, one)
        return result

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {**super().get_config(), "axis": self.axis}


class Dot(Merge):
    """Dot products of two tensors over one axis of each: `[B, T, D]` and `[B, S, D]` to `[B, T, S]`.

    `axes` is the axis to sum over, or a pair of axes, one for each input; the other axes of the first input
    come first. `normalize=True` divides by the lengths of the vectors, which yields cosines. Two tensors
    `[B, D]` yield `[B, 1]`. The output has no mask. Raises `ShapeError` for axes of different sizes.

    >>> import torch
    >>> Dot(axes=2)([torch.zeros(2, 3, 5), torch.zeros(2, 4, 5)]).shape
    torch.Size([2, 3, 4])
    >>> Dot(axes=(2, 1))([torch.zeros(2, 3, 4), torch.zeros(2, 4, 5)]).shape
    torch.Size([2, 3, 5])
    """

    _count = 2

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        pair = tuple(axes) if isinstance(axes, list | tuple) else (axes, axes)
        pair = tuple(_checks.whole("axes", axis, None) for axis in pair)
        if len(pair) != 2 or 0 in pair:
            raise ArgumentError(f"axes: expected an axis other than 0, the batch, or a pair, got {axes!r}")
        self.axes = pair if isinstance(axes, list | tuple) else pair[0]
        self.normalize = bool(normalize)

    def _pair(self, shapes: Sequence[Shape]) -> tuple[int, int]:
        first, second = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        ranks = len(shapes[0]), len(shapes[1])
        if min(ranks) < 2 or not (-ranks[0] < first < ranks[0] and -ranks[1] < second < ranks[1]):
            raise self._do_not_fit(shapes)
        return first % ranks[0], second % ranks[1]

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Return the remaining axes of both inputs."""
        one, other = self.shapes_of(input_shape)
        first, second = self._pair((one, other))
        if None not in (one[first], other[second]) and one[first] != other[second]:
            raise ShapeError(
                f"inputs: {self.name} (Dot) expected axes of one size, got axis {first} of {one} and "
                f"axis {second} of {other}"
            )
        left = (*one[:first], *one[first + 1 :], *other[1:second], *other[second + 1 :])
        return left if len(left) > 1 else (*left, 1)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the dot products."""
        shapes = [tuple(one.shape) for one in inputs]
        self.compute_output_shape(shapes)
        first, second = self._pair(shapes)
        one, other = inputs
        if self.normalize:
            one, other = (
                torch.nn.functional.normalize(x, dim=axis, eps=1e-12)
                for x, axis in ((one, first), (other, second))
            )
        one, other = one.movedim(first, -1), other.movedim(second, 1)
        sizes = (*one.shape[:-1], *other.shape[2:])
        products = torch.bmm(
            one.flatten(1, -2) if one.dim() > 2 else one.unsqueeze(1),
            other.flatten(2) if other.dim() > 2 else other.unsqueeze(2),
        )
        return products.reshape(sizes if len(sizes) > 1 else (*sizes, 1))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return None: the axes of the output are not steps of an input."""
        return None

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        axes = self.axes if isinstance(self.axes, int) else list(self.axes)
        return {**super().get_config(), "axes": axes, "normalize": self.normalize}
