"""Checks what a program over time is given, once, before any work is done."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nabi import _checks
from nabi.errors import ArgumentError, ShapeError
from nabi.ir import Program
from nabi.native import are_ordinary, is_watched
from nabi.scan._layout import Layout, mask_of

__all__ = [
    "autocast_dtype",
    "check_dense",
    "check_families",
    "check_input",
    "check_layout",
    "check_mask",
    "check_noise",
    "check_packed",
    "check_resets",
    "check_states",
    "check_steps",
    "check_types",
]

_AXES: dict[tuple[int, ...], str] = {(2,): " [N, D]", (3,): " [batch, time steps, features]"}


def check_input(x: Any, width: int | None, ranks: tuple[int, ...] = (3,)) -> None:
    """Check how many dimensions an input has, its width (None stands for any) and that it holds numbers."""
    if not isinstance(x, Tensor):
        raise ArgumentError(f"x: expected a tensor, got {type(x).__name__}")
    if x.dim() not in ranks:
        expected = " or ".join(map(str, ranks))
        axes = _AXES.get(ranks, "")
        raise ShapeError(f"x: expected {expected} dimensions{axes}, got shape {tuple(x.shape)}")
    if width is not None and x.shape[-1] != width:
        raise ShapeError(
            f"x: expected {width} features in the last dimension, got {x.shape[-1]} (shape {tuple(x.shape)})"
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


def check_states(
    states: Any,
    names: Sequence[str],
    widths: Sequence[int],
    lead: tuple[int, ...],
    name: str = "states",
    axes: str = "[batch, width]",
) -> tuple[Tensor, ...]:
    """Check initial states.

    Args:
        states: a tensor for each state.
        names, widths: of the states.
        lead: the shape of each in front of its width.
        name: of the argument.
        axes: what the dimensions are, for the message.
    """
    if not isinstance(states, tuple | list) or len(states) != len(widths):
        many = str(len(states)) if isinstance(states, tuple | list) else _checks.short(states)
        given = "one tensor" if isinstance(states, Tensor) else many
        raise ArgumentError(f"{name}: expected {len(widths)} tensors ({', '.join(names)}), got {given}")
    for state_name, width, state in zip(names, widths, states, strict=True):
        if not isinstance(state, Tensor):
            raise ArgumentError(f"{name}.{state_name}: expected a tensor, got {type(state).__name__}")
        if state.shape != (*lead, width):
            raise ShapeError(
                f"{name}.{state_name}: expected shape {(*lead, width)} {axes}, got {tuple(state.shape)}"
            )
    return tuple(states)


def check_types(dtype: torch.dtype | None, x: Tensor, states: Sequence[Tensor] | None) -> torch.dtype | None:
    """Check that input and states have the type of the weights, if there are any, or autocast another one.

    Returns:
        What `autocast_dtype` returns.
    """
    found = autocast_dtype(x)
    if found is None and dtype is not None:
        for tensor in (x, *(states or ())):
            if tensor.dtype is not dtype:
                given = ", ".join(str(tensor.dtype) for tensor in (x, *(states or ())))
                raise ArgumentError(f"x and states: expected {dtype}, the type of the weights, got {given}")
    return found


def autocast_dtype(x: Tensor) -> torch.dtype | None:
    """Return the dtype that autocast asks for; None where it is off and for float64, left alone."""
    # Autocast knows nothing of the meta device, and says so with an error.
    if x.is_meta or not torch.is_autocast_enabled(x.device.type) or x.dtype == torch.float64:
        return None
    return torch.get_autocast_dtype(x.device.type)


def check_layout(
    lengths: Any,
    mask: Any,
    resets: Any,
    batch: int,
    time: int,
    device: torch.device,
    alike: bool = False,
) -> Layout:
    """Check what says which steps of a batch are valid, and where states become zero."""
    known = None
    if mask is not None or lengths is not None:
        mask, known = _check_valid(lengths, mask, batch, time, device)
    if resets is not None:
        resets = check_resets(resets, batch, time, device)
    return Layout(mask, resets, None, known, alike)


def _check_valid(
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
    # It may not be looked at where it is not there, or where others may stand in its place.
    watched = torch.compiler.is_compiling() or is_watched()
    if watched or not are_ordinary(lengths) or lengths.is_meta:
        return torch.arange(time, device=device)[None, :] < lengths.to(device)[:, None], None
    known = tuple(lengths.tolist())
    if known and not (min(known) >= 0 and max(known) <= time):
        wrong = min(known) if min(known) < 0 else max(known)
        raise ArgumentError(f"lengths: expected from 0 to the {time} time steps, got {wrong}")
    return None, known


def check_mask(lengths: Any, mask: Any, batch: int, time: int, device: torch.device) -> Tensor | None:
    """Check lengths or mask and return the mask `[B, T]`, or None."""
    found, known = _check_valid(lengths, mask, batch, time, device)
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


def check_packed(batch_sizes: Tensor, count: int) -> int:
    """Check how many sequences have each step of packed data of so many rows; return how many there are."""
    if batch_sizes.dim() != 1 or batch_sizes.device.type != "cpu":
        raise ArgumentError(
            f"batch_sizes: expected one dimension on the CPU, got shape {tuple(batch_sizes.shape)}"
        )
    grows = bool((batch_sizes[1:] > batch_sizes[:-1]).any())
    if int(batch_sizes.sum()) != count or grows or bool((batch_sizes < 1).any()):
        raise ShapeError(
            f"batch_sizes: expected positive sizes that never grow and add up to the {count} rows "
            f"of data, got {batch_sizes.tolist()}"
        )
    return int(batch_sizes[0]) if len(batch_sizes) else 0


def check_noise(
    program: Program, noise: Sequence[Tensor], batch: int, steps: tuple[int, ...]
) -> tuple[Tensor, ...]:
    """Check the random inputs, those of a step in front of whose width `steps` stands."""
    if len(noise) != len(program.noises):
        names = ", ".join(spec.name for spec in program.noises) or "none"
        raise ArgumentError(f"noise: expected {len(program.noises)} tensors ({names}), got {len(noise)}")
    for spec, tensor in zip(program.noises, noise, strict=True):
        expected = (*steps, spec.width) if spec.per_step else spec.shape or (batch, spec.width)
        if tuple(tensor.shape) != expected:
            raise ShapeError(f"noise: {spec.name} has shape {tuple(tensor.shape)}, expected {expected}")
    return tuple(noise)


def _as_tensor(argument: str, values: Any, device: torch.device | None) -> Tensor:
    try:
        return torch.as_tensor(values, device=device)
    except (TypeError, ValueError, RuntimeError):
        if isinstance(values, Tensor):
            raise
        given = _checks.short(values)
        raise ArgumentError(f"{argument}: expected an array of numbers, got {given}") from None
