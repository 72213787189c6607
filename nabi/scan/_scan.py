"""Running a cell over time: batches with lengths, masks, resets and states, and packed data."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nabi import _checks
from nabi.errors import ArgumentError, ShapeError
from nabi.ir import Program
from nabi.scan._arguments import (
    check_families,
    check_input,
    check_resets,
    check_states,
    check_steps,
    check_valid,
)
from nabi.scan._definition import Options
from nabi.scan._full_batch import scan_full_batch
from nabi.scan._operator import run_scan

__all__ = ["scan", "scan_packed"]

Result = tuple[Tensor, tuple[Tensor, ...], tuple[Tensor, ...] | None]

_PLAIN = Options()


def scan(
    program: Program,
    x: Tensor,
    states: Sequence[Tensor] | None,
    parameters: Sequence[Tensor],
    *,
    noise: Sequence[Tensor] = (),
    lengths: Any = None,
    mask: Any = None,
    resets: Any = None,
    reverse: bool = False,
    truncate: int | None = None,
    return_all_states: bool = False,
    recompute: int | None = None,
) -> Result:
    """Run a program over the time steps of a batch (dynamic unrolling).

    Args:
        program: a cell's equations for an input width, from `cell.program(input_size)`.
        x: input, `[B, T, D]`. What lies on invalid steps is never read; it may be NaN.
        states: initial states in the order of `cell.states`, each `[B, width]`; None for zeros.
        parameters: weights in the order of `program.families`.
        noise: random inputs in the order of `program.noises`; see `sample_noise`.
        lengths: `[B]`, how many steps of each sequence are valid, zero allowed. A sequence of length
            zero keeps its initial state.
        mask: `[B, T]`, which steps are valid, in any pattern; instead of `lengths`. An invalid step
            leaves the states as they are.
        resets: `[B, T]`, whether a step is the first of a new segment: the states become zero before
            it (in reverse: after it), and no gradient crosses. Ignored on invalid steps.
        reverse: from the last valid step to the first; outputs stay at their own step.
        truncate: cut gradients between the steps `k * truncate - 1` and `k * truncate`.
        return_all_states: also return every state at every step.
        recompute: keep for the backward pass only the states at every so many steps, and compute what lies
            between again: less memory for long sequences, for one more forward pass.

    Returns:
        The output `[B, T, H]`, which is the first state at every step, zero where a step is not valid;
        the final states, each `[B, width]`; and every state at every step or None.

    Raises:
        ShapeError: an argument has the wrong rank, width or length.
        ArgumentError: a length is negative or longer than the sequence, both `lengths` and `mask` are
            given, `truncate` or `recompute` is not positive, or data types differ.

    Example:
        >>> import torch
        >>> from nabi.cells import LSTM
        >>> program = LSTM(units=5).program(input_size=3)
        >>> weights = [torch.zeros(family.shape) for family in program.families]
        >>> output, (h, c), _ = scan(program, torch.ones(2, 7, 3), None, weights, lengths=[7, 0])
        >>> output.shape, h.shape
        (torch.Size([2, 7, 5]), torch.Size([2, 5]))
    """
    check_input(program, x)
    reverse = _checks.flag("reverse", reverse)
    truncate, recompute = check_steps("truncate", truncate), check_steps("recompute", recompute)
    batch, time = x.shape[0], x.shape[1]
    families = check_families(program, parameters)
    if time == 1 and resets is not None and lengths is None and mask is None and not reverse:
        # A state that becomes zero before the only step is another initial state.
        begins = check_resets(resets, batch, time, x.device)
        if states is not None and begins is not None:
            states = tuple(
                [state.masked_fill(begins, 0.0) for state in check_states(program, states, batch, x)]
            )
        resets = None
    plain = not (reverse or return_all_states or truncate is not None or recompute is not None)
    if plain and not noise and lengths is None and mask is None and resets is None:
        found = scan_full_batch(program, x, states, families)
        if found is not None:
            return (*found, None)
    mask, known = check_valid(lengths, mask, batch, time, x.device)
    resets = check_resets(resets, batch, time, x.device)
    x, initial = _like(families, x, check_states(program, states, batch, x))
    noises = _check_noise(program, noise, batch, (batch, time))
    options = _PLAIN if plain else Options(reverse, truncate, return_all_states, recompute)
    kept, finals = run_scan(
        program, options, x, initial, families, noises, mask, resets, lengths=known, alike=states is None
    )
    return kept[0], finals, kept if return_all_states else None


def scan_packed(
    program: Program,
    data: Tensor,
    batch_sizes: Tensor,
    states: Sequence[Tensor] | None,
    parameters: Sequence[Tensor],
    *,
    noise: Sequence[Tensor] = (),
    reverse: bool = False,
    return_all_states: bool = False,
    recompute: int | None = None,
) -> Result:
    """Run a program over packed data, as `torch.nn.utils.rnn.PackedSequence` lays it out.

    Args:
        program, states, parameters, noise, reverse, return_all_states, recompute: as in `scan`; states come
            in the sorted order of the packed sequences.
        data: `[N, D]`, the valid steps, time after time, the longest sequences first.
        batch_sizes: `[T]` on the CPU, how many sequences have each step.

    Returns:
        As `scan`, with `[N, H]` in the place of `[B, T, H]`.

    Example:
        >>> import torch
        >>> from nabi.cells import SimpleRNN
        >>> program = SimpleRNN(units=5).program(input_size=3)
        >>> weights = [torch.zeros(family.shape) for family in program.families]
        >>> output, (h,), _ = scan_packed(program, torch.ones(3, 3), torch.tensor([2, 1]), None, weights)
        >>> output.shape, h.shape
        (torch.Size([3, 5]), torch.Size([2, 5]))
    """
    check_input(program, data, packed=True)
    check_steps("recompute", recompute)
    if batch_sizes.dim() != 1 or batch_sizes.device.type != "cpu":
        raise ArgumentError(
            f"batch_sizes: expected one dimension on the CPU, got shape {tuple(batch_sizes.shape)}"
        )
    batch = int(batch_sizes[0]) if len(batch_sizes) else 0
    grows = bool((batch_sizes[1:] > batch_sizes[:-1]).any())
    if int(batch_sizes.sum()) != data.shape[0] or grows or bool((batch_sizes < 1).any()):
        raise ShapeError(
            f"batch_sizes: expected positive sizes that never grow and add up to the {data.shape[0]} rows "
            f"of data, got {batch_sizes.tolist()}"
        )
    families = check_families(program, parameters)
    data, initial = _like(families, data, check_states(program, states, batch, data))
    noises = _check_noise(program, noise, batch, (data.shape[0],))
    options = Options(reverse, None, return_all_states, recompute)
    kept, finals = run_scan(program, options, data, initial, families, noises, batch_sizes=batch_sizes)
    return kept[0], finals, kept if return_all_states else None


def _like(
    families: tuple[Tensor, ...], x: Tensor, states: tuple[Tensor, ...]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Check that data types agree; under autocast bring input and states to the type of the weights."""
    dtype = families[0].dtype if families else x.dtype
    if x.dtype == dtype and all(state.dtype == dtype for state in states):
        return x, states
    if _is_autocast_enabled(x):
        return x.to(dtype), tuple(state.to(dtype) for state in states)
    found = ", ".join(str(tensor.dtype) for tensor in (x, *states))
    raise ArgumentError(f"x and states: expected {dtype}, the type of the weights, got {found}")


def _is_autocast_enabled(x: Tensor) -> bool:
    """Whether autocast is on for the device of a tensor."""
    return torch.is_autocast_enabled(x.device.type)


def _check_noise(
    program: Program, noise: Sequence[Tensor], batch: int, steps: tuple[int, ...]
) -> tuple[Tensor, ...]:
    if len(noise) != len(program.noises):
        names = ", ".join(spec.name for spec in program.noises) or "none"
        raise ArgumentError(f"noise: expected {len(program.noises)} tensors ({names}), got {len(noise)}")
    for spec, tensor in zip(program.noises, noise, strict=True):
        expected = (*steps, spec.width) if spec.per_step else (batch, spec.width)
        if tuple(tensor.shape) != expected:
            raise ShapeError(f"noise: {spec.name} has shape {tuple(tensor.shape)}, expected {expected}")
    return tuple(noise)
