"""What a step reads beside `x`: checked, brought to one shape, and laid side by side for a kernel.

A kernel reads one row for every valid step. With further inputs that row is `x`, then the others of a step,
then what inputs of a whole sequence lead to, which is computed here, once for every sequence. What torch does
here it also differentiates, to any order.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nabi import _checks
from nabi.errors import ArgumentError, ShapeError, unknown_name
from nabi.ir import Input, Program
from nabi.scan._layout import Layout
from nabi.targets import eager

__all__ = ["Extra", "check_extra", "check_extra_of_step", "join_inputs", "prepare_inputs", "whole_rows"]

Extra = Mapping[str, Any]
"""Further inputs by name, as a caller gives them."""

_SEQUENCE_FUNCTIONS: dict[str, Any] = {}


def prepare_inputs(program: Program) -> None:
    """Make what `join_inputs` calls, where the program is known: torch.compile cannot trace the making."""
    if program.lowered is not None:
        prepare_inputs(program.lowered.program)
    if not program.derived and program.sequence_values:
        # Programs for training and for inference may share a key; each has a part of its own.
        assert program.at_every_step.whole is program
        if program.key not in _SEQUENCE_FUNCTIONS:
            _SEQUENCE_FUNCTIONS[program.key] = eager.sequence_function(program)


def check_extra(
    program: Program, extra: Extra | None, lead: tuple[int, ...], batch: int
) -> dict[str, Tensor | None]:
    """Check further inputs and bring them to one shape.

    Args:
        program: the program; it says what is read.
        extra: the inputs by name; None stands for one that is not given.
        lead: shape of an input of a step in front of its width: `(B, T)`, `(N,)` for packed data, `(B,)` for
            a single step.
        batch: how many sequences there are.

    Returns:
        For each input beside `x` its values, `[*lead, width]` or `[B, width]` for one of a sequence; None
        where the default is meant. For `position` the number of the first step, `[B]`.

    Raises:
        ArgumentError: an input is missing, has no numbers, or is not read by the cell.
        ShapeError: its shape is wrong.
    """
    cell = type(program.cell).__name__
    known = {given.name: given for given in program.inputs[1:]}
    given_values = {name: value for name, value in (extra or {}).items() if value is not None}
    for name in given_values:
        if name not in known:
            if not known:
                raise ArgumentError(f"{name}: expected nothing, since {cell} reads x and its states only")
            raise unknown_name(f"input of {cell}", name, known)
    found: dict[str, Tensor | None] = {}
    for name, spec in known.items():
        value = given_values.get(name)
        if name == "position":
            found[name] = _check_first(value, batch)
        elif value is not None:
            found[name] = _check_one(spec, value, lead, batch)
        elif spec.default is None:
            when = "each sequence" if spec.per_sequence else "every step"
            raise ArgumentError(
                f"{name}: expected {_shape_text(spec, lead, batch)}, got none; {cell} reads it for {when}"
            )
        else:
            found[name] = None
    return found


def check_extra_of_step(program: Program, extra: Extra | None, batch: int) -> dict[str, Tensor | None]:
    """Check the further inputs of a single step, which must know its number if the cell reads it."""
    found = check_extra(program, extra, (batch,), batch)
    if "position" in found and found["position"] is None:
        raise ArgumentError("position: expected the number of this step, since a step knows no others")
    return found


def _check_first(value: Any, batch: int) -> Tensor | None:
    """Check the number of the first step: one for all sequences or one for each."""
    if value is None:
        return None
    first = _as_tensor("position", value)
    if first.dim() > 1 or (first.dim() == 1 and first.shape[0] != batch):
        raise ShapeError(
            f"position: expected the number of the first step, or one for each of the {batch} sequences, "
            f"got shape {tuple(first.shape)}"
        )
    return first.expand(batch)


def _check_one(spec: Input, value: Any, lead: tuple[int, ...], batch: int) -> Tensor:
    tensor = _as_tensor(spec.name, value)
    width = spec.width or 1
    front = (batch,) if spec.per_sequence else lead
    shape = tuple(tensor.shape)
    if shape == (*front, width):
        return tensor
    if not spec.per_sequence:
        # One number for a step is the same for all of its features.
        if shape == ():
            return tensor.expand(*front, width)
        if shape == front:
            return tensor.unsqueeze(-1).expand(*front, width)
        if shape == (*front, 1):
            return tensor.expand(*front, width)
    raise ShapeError(f"{spec.name}: expected {_shape_text(spec, lead, batch)}, got shape {shape}")


def _shape_text(spec: Input, lead: tuple[int, ...], batch: int) -> str:
    if spec.per_sequence:
        return f"shape {(batch, spec.width or 1)} [batch, features]"
    axes = {1: "[batch]", 2: "[batch, time steps]"}[len(lead)]
    if spec.width in (None, 1):
        return f"shape {lead} {axes}"
    return f"shape {(*lead, spec.width)} {axes[:-1]}, features], or {lead} for all features"


def _as_tensor(name: str, value: Any) -> Tensor:
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        if isinstance(value, Tensor):
            raise
        raise ArgumentError(f"{name}: expected an array of numbers, got {_checks.short(value)}") from None


def join_inputs(
    program: Program,
    x: Tensor,
    extra: Mapping[str, Tensor | None],
    families: Sequence[Tensor],
    noises: Sequence[Tensor],
    layout: Layout | None,
    reverse: bool = False,
) -> tuple[Program, Tensor, tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Lay all inputs of a program side by side.

    Args:
        program: the program as it was traced.
        x: its input: `[B, T, D]`, packed `[N, D]`, or `[B, D]` for a single step.
        extra: the others, from `check_extra`.
        families: its weights.
        noises: its random inputs.
        layout: what says which steps are valid; None for a single step.
        reverse: whether it runs from the last step to the first.

    Returns:
        The program that runs at every step, and its input, weights and random inputs.
    """
    step = program.at_every_step
    parts = [x]
    for given in program.inputs[1:]:
        if not given.per_sequence and any(given.name == read.name for read in step.inputs):
            parts.append(_at_steps(given, x, extra[given.name], layout, reverse))
    if program.sequence_values:
        prepare_inputs(program)
        once = [given for given in program.inputs if given.per_sequence]
        rows = torch.cat([_of_sequence(given, x, extra[given.name], layout) for given in once], -1)
        values = _SEQUENCE_FUNCTIONS[program.key](rows, families, noises)
        parts += [_spread(value, x, layout) for value in values]
    joined = torch.cat(parts, -1) if len(parts) > 1 else x
    if step is program:
        return program, joined, tuple(families), tuple(noises)
    own = {family.name for family in step.families}
    drawn = {noise.name for noise in step.noises}
    return (
        step,
        joined,
        tuple([w for family, w in zip(program.families, families, strict=True) if family.name in own]),
        tuple([n for spec, n in zip(program.noises, noises, strict=True) if spec.name in drawn]),
    )


def whole_rows(
    program: Program,
    x: Tensor,
    extra: Mapping[str, Tensor | None],
    layout: Layout | None,
    reverse: bool = False,
) -> Tensor:
    """Lay all inputs side by side as the equations name them, with those of a sequence at every step."""
    parts = [x]
    for given in program.inputs[1:]:
        value = extra[given.name]
        if given.per_sequence:
            parts.append(_spread(_of_sequence(given, x, value, layout), x, layout))
        else:
            parts.append(_at_steps(given, x, value, layout, reverse))
    return torch.cat(parts, -1) if len(parts) > 1 else x


def _at_steps(given: Input, x: Tensor, value: Tensor | None, layout: Layout | None, reverse: bool) -> Tensor:
    """Return an input of every step, or its default."""
    if given.name == "position":
        return _positions(x, value, layout, reverse)
    if value is None:
        return x.new_full((*x.shape[:-1], given.width or 1), given.default or 0.0)
    return value.to(device=x.device, dtype=x.dtype)


def _of_sequence(given: Input, x: Tensor, value: Tensor | None, layout: Layout | None) -> Tensor:
    """Return an input of every sequence, or its default."""
    if value is not None:
        return value.to(device=x.device, dtype=x.dtype)
    sizes = None if layout is None else layout.batch_sizes
    batch = x.shape[0] if sizes is None else int(sizes[0]) if len(sizes) else 0
    return x.new_full((batch, given.width or 1), given.default or 0.0)


def _spread(value: Tensor, x: Tensor, layout: Layout | None) -> Tensor:
    """Return a value of every sequence for every row of `x`."""
    if layout is not None and layout.batch_sizes is not None:
        return value.index_select(0, _sequences_of(layout.batch_sizes, x.device))
    return value.unsqueeze(1).expand(-1, x.shape[1], -1) if x.dim() == 3 else value


def _sequences_of(batch_sizes: Tensor, device: torch.device) -> Tensor:
    """Return to which sequence each row of packed data belongs."""
    batch = int(batch_sizes[0]) if len(batch_sizes) else 0
    valid = torch.arange(batch)[None, :] < batch_sizes[:, None]
    return valid.nonzero()[:, 1].to(device)


def _positions(x: Tensor, first: Tensor | None, layout: Layout | None, reverse: bool) -> Tensor:
    """Return the number of each step among the valid ones since the beginning or the last reset."""
    if layout is None:
        numbers = torch.zeros(x.shape[0], device=x.device) if first is None else first.to(x.device)
        return numbers.to(x.dtype).unsqueeze(-1)
    if layout.batch_sizes is not None:
        return _packed_positions(x, first, layout.batch_sizes, reverse)
    batch, time = x.shape[0], x.shape[1]
    mask, resets = layout.mask_for(x), layout.resets
    if first is None:
        first = torch.zeros(batch, dtype=torch.long, device=x.device)
    first = first.to(x.device)
    if mask is None and resets is None:
        steps = torch.arange(time, device=x.device)
        numbers = (steps.flip(0) if reverse else steps) + first[:, None]
        return numbers.to(x.dtype).unsqueeze(-1)
    if mask is None:
        mask = torch.ones((batch, time), dtype=torch.bool, device=x.device)
    mask = mask.flip(1) if reverse else mask
    count = mask.long().cumsum(1)  # of valid steps up to and with this one
    numbers = count - 1 + first[:, None]
    if resets is not None:
        begins = (resets.flip(1) if reverse else resets) & mask
        # In reverse a reset of a step lies behind it: the next valid step is the first of a segment.
        done = torch.where(begins, count if reverse else count - 1, torch.zeros_like(count))
        since = torch.cummax(done, 1).values
        if reverse:
            since = torch.cat((torch.zeros_like(since[:, :1]), since[:, :-1]), 1)
            begun = torch.cat((torch.zeros_like(begins[:, :1]), begins[:, :-1]), 1).long().cumsum(1) > 0
        else:
            begun = begins.long().cumsum(1) > 0
        numbers = torch.where(begun, count - 1 - since, numbers)
    numbers = numbers.flip(1) if reverse else numbers
    return numbers.to(x.dtype).unsqueeze(-1)


def _packed_positions(x: Tensor, first: Tensor | None, batch_sizes: Tensor, reverse: bool) -> Tensor:
    batch = int(batch_sizes[0]) if len(batch_sizes) else 0
    valid = torch.arange(batch)[None, :] < batch_sizes[:, None]
    steps, sequences = valid.nonzero().unbind(1)
    numbers = valid.sum(0)[sequences] - 1 - steps if reverse else steps
    numbers = numbers.to(x.device)
    if first is not None:
        numbers = numbers + first.to(x.device)[sequences.to(x.device)]
    return numbers.to(x.dtype).unsqueeze(-1)
