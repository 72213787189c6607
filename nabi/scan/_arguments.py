"""Checks what `scan` is given, before any work is done."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nabi import _checks
from nabi.errors import ArgumentError, ShapeError
from nabi.ir import Program
from nabi.scan._layout import mask_of
from nabi.scan._way import is_symbolic

__all__ = [
    "check_dense",
    "check_families",
    "check_input",
    "check_mask",
    "check_resets",
    "check_states",
    "check_steps",
    "check_valid",
]


def check_input(program: Program, x: Tensor, *, packed: bool = False) -> None:
    """Check the rank and the width of the input."""
    rank, expected = (2, "[N, D]") if packed else (3, "[batch, time steps, features]")
    if not isinstance(x, Tensor):
        raise ArgumentError(f"x: expected a tensor, got {type(x).__name__}")
    if x.dim() != rank:
        raise ShapeError(f"x: expected {rank} dimensions {expected}, got shape {tuple(x.shape)}")
    if x.shape[-1] != program.input_size:
        raise ShapeError(
            f"x: expected {program.input_size} features in the last dimension, got {x.shape[-1]} "
            f"(shape {tuple(x.shape)})"
        )
    check_dense(x)
    if not x.is_floating_point():
        raise ArgumentError(f"x: expected floating-point numbers, got {x.dtype}")


def check_dense(x: Tensor) -> None:
    """Check that every element of an input has a place in memory."""
    if x.layout is not torch.strided:
        raise ArgumentError(f"x: expected a dense tensor, got one of {x.layout}; give x.to_dense()")


def check_families(program: Program, families: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Check the number and the shapes of the weights."""
    if len(families) != len(program.families):
        names = ", ".join(family.name for family in program.families)
        raise ArgumentError(
            f"parameters: expected {len(program.families)} tensors ({names}), got {len(families)}"
        )
    for family, tensor in zip(program.families, families, strict=True):
        if tuple(tensor.shape) != family.shape:
            raise ShapeError(
                f"parameters: {family.name} has shape {tuple(tensor.shape)}, expected {family.shape}"
            )
    return tuple(families)


def check_states(program: Program, states: Any, batch: int, like: Tensor) -> tuple[Tensor, ...]:
    """Check the initial states, or make zeros of the type of `like`."""
    if states is None:
        return tuple(like.new_zeros((batch, width)) for width in program.state_widths)
    if isinstance(states, Tensor) or len(states) != len(program.state_names):
        given = "one tensor" if isinstance(states, Tensor) else f"{len(states)}"
        names = ", ".join(program.state_names)
        raise ArgumentError(f"states: expected {len(program.state_names)} tensors ({names}), got {given}")
    for name, width, state in zip(program.state_names, program.state_widths, states, strict=True):
        if tuple(state.shape) != (batch, width):
            raise ShapeError(f"states: {name} has shape {tuple(state.shape)}, expected {(batch, width)}")
    return tuple(states)


def check_valid(
    lengths: Any, mask: Any, batch: int, time: int, device: torch.device
) -> tuple[Tensor | None, tuple[int, ...] | None]:
    """Check lengths or mask; return the mask `[B, T]`, or the lengths where they can be looked at now."""
    if lengths is not None and mask is not None:
        raise ArgumentError("lengths and mask: expected at most one of them, got both")
    if mask is not None:
        mask = _as_tensor("mask", mask, device)
        if tuple(mask.shape) != (batch, time):
            raise ShapeError(f"mask: expected shape {(batch, time)}, got {tuple(mask.shape)}")
        return (mask if mask.dtype == torch.bool else mask != 0), None
    if lengths is None:
        return None, None
    lengths = _as_tensor("lengths", lengths, None)
    if lengths.is_floating_point() or lengths.dtype == torch.bool:
        raise ArgumentError(f"lengths: expected integers, got {lengths.dtype}")
    if tuple(lengths.shape) != (batch,):
        raise ShapeError(
            f"lengths: expected one for each of the {batch} sequences, got shape {tuple(lengths.shape)}"
        )
    if is_symbolic(lengths):
        return torch.arange(time, device=device)[None, :] < lengths.to(device)[:, None], None
    known = tuple(lengths.tolist())
    if known and not (min(known) >= 0 and max(known) <= time):
        wrong = min(known) if min(known) < 0 else max(known)
        raise ArgumentError(f"lengths: expected from 0 to the {time} time steps, got {wrong}")
    return None, known


def check_mask(lengths: Any, mask: Any, batch: int, time: int, device: torch.device) -> Tensor | None:
    """Check lengths or mask and return the mask `[B, T]`, or None."""
    found, known = check_valid(lengths, mask, batch, time, device)
    return found if known is None else mask_of(known, time, device)


def check_resets(resets: Any, batch: int, time: int, device: torch.device) -> Tensor | None:
    """Check resets and return them as `[B, T]` booleans, or None."""
    if resets is None:
        return None
    resets = _as_tensor("resets", resets, device)
    if tuple(resets.shape) != (batch, time):
        raise ShapeError(f"resets: expected shape {(batch, time)}, got {tuple(resets.shape)}")
    found: Tensor = resets if resets.dtype == torch.bool else resets != 0
    return found


def check_steps(name: str, value: int | None) -> int | None:
    """Check a number of time steps that may be left out, and return it as an int."""
    return None if value is None else _checks.whole(name, value, otherwise=" or None")


def _as_tensor(argument: str, values: Any, device: torch.device | None) -> Tensor:
    try:
        return torch.as_tensor(values, device=device)
    except (TypeError, ValueError, RuntimeError):
        if isinstance(values, Tensor):
            raise
        given = _checks.short(values)
        raise ArgumentError(f"{argument}: expected an array of numbers, got {given}") from None


def _is_batched(value: Tensor) -> bool:
    return torch._C._functorch.is_batchedtensor(value)
