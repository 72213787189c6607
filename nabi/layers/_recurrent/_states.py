"""States of recurrent layers, as nested lists of tensors like in Keras; outputs under a mask."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from nabi._shown import short
from nabi.errors import ArgumentError, ShapeError
from nabi.layers._layer._symbolic import is_symbolic

__all__ = ["as_states", "fill_masked", "flatten", "last_output", "pack", "state_shapes", "zero_states"]


def flatten(nested: Any) -> Iterator[Any]:
    """Yield the leaves of nested lists and tuples in order."""
    if isinstance(nested, list | tuple) and not isinstance(nested, torch.Size):
        for one in nested:
            yield from flatten(one)
    else:
        yield nested


def pack(structure: Any, leaves: Sequence[Any] | Iterator[Any]) -> Any:
    """Nest leaves like `structure`, with lists for its lists and tuples.

    >>> pack([1, (2, 3)], ["a", "b", "c"])
    ['a', ['b', 'c']]
    """
    remaining = iter(leaves)
    if isinstance(structure, list | tuple) and not isinstance(structure, torch.Size):
        return [pack(one, remaining) for one in structure]
    return next(remaining)


def state_shapes(sizes: Any, batch: int | None) -> Any:
    """Return the full shapes of states for nested sizes; a size is a width or a `torch.Size`."""
    if isinstance(sizes, torch.Size):
        return (batch, *sizes)
    if isinstance(sizes, list | tuple):
        return [state_shapes(one, batch) for one in sizes]
    return (batch, sizes)


def zero_states(sizes: Any, batch: int, dtype: torch.dtype, device: torch.device | None) -> Any:
    """Return zeros for nested sizes."""
    if isinstance(sizes, list | tuple) and not isinstance(sizes, torch.Size):
        return [zero_states(one, batch, dtype, device) for one in sizes]
    return torch.zeros(state_shapes(sizes, batch), dtype=dtype, device=device)


def as_states(name: str, given: Any, sizes: Sequence[Any], like: Tensor) -> tuple[Tensor, ...]:
    """Return initial states as flat tensors on the device of `like`; `ShapeError` if shapes do not match."""
    if is_symbolic(given):
        raise ArgumentError(f"initial_state: {name} expected numbers like its inputs, got symbolic tensors")
    try:
        leaves = [
            torch.as_tensor(one).to(device=like.device, dtype=like.dtype)
            for one in flatten(given)
            if one is not None
        ]
    except (TypeError, ValueError, RuntimeError):
        raise ArgumentError(f"initial_state: {name} expected arrays of numbers, got {short(given)}") from None
    expected = [tuple(one) for one in flatten_shapes(state_shapes(list(sizes), like.shape[0]))]
    if len(leaves) != len(expected):
        raise ArgumentError(f"initial_state: {name} expected {len(expected)} states, got {len(leaves)}")
    for number, (leaf, shape) in enumerate(zip(leaves, expected, strict=True)):
        if tuple(leaf.shape) != shape:
            raise ShapeError(
                f"initial_state: {name} expected shape {shape} for state {number}, got {tuple(leaf.shape)}"
            )
    return tuple(leaves)


def flatten_shapes(shapes: Any) -> Iterator[tuple[int, ...]]:
    """Yield the shapes (tuples) in nested lists."""
    if isinstance(shapes, list):
        for one in shapes:
            yield from flatten_shapes(one)
    else:
        yield shapes


def last_output(output: Tensor, mask: Tensor | None, backwards: bool) -> Tensor:
    """Return the output of the last step that counts of `[B, T, H]`, zeros for a row without one.

    `output` is zero on masked steps, as `scan` returns it; the last step is the first one of those that go
    `backwards`.

    >>> output = torch.tensor([[[1.0], [2.0], [0.0]]])
    >>> last_output(output, torch.tensor([[True, True, False]]), False).flatten()
    tensor([2.])
    """
    if not output.shape[1]:
        return output.new_zeros(output.shape[0], output.shape[2])
    if mask is None:
        return output[:, 0 if backwards else -1]
    steps = torch.arange(output.shape[1], device=output.device)
    last = torch.where(mask, steps, -1).amax(1) if not backwards else mask.to(torch.int8).argmax(1)
    rows = torch.arange(output.shape[0], device=output.device)
    # A row in which no step counts takes a masked one, which is zero.
    return output[rows, last]


def fill_masked(output: Tensor, mask: Tensor) -> Tensor:
    """Repeat the last output over masked steps of `[B, T, H]`, as in Keras; zeros before the first one.

    `output` is zero on masked steps, as `scan` returns it.

    >>> output = torch.tensor([[[1.0], [0.0], [3.0]]])
    >>> fill_masked(output, torch.tensor([[True, False, True]])).flatten()
    tensor([1., 1., 3.])
    """
    steps = torch.arange(output.shape[1], device=output.device)
    # Before a row's first unmasked step, the index is 0: a masked step, whose output is the wanted zero.
    last = torch.where(mask, steps, 0).cummax(1).values
    return output.gather(1, last.reshape(*last.shape, *[1] * (output.dim() - 2)).expand_as(output))
