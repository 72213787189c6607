"""Running a cell over time: batches with lengths, masks, resets and states, and packed data."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nabi import _checks
from nabi.ir import Program
from nabi.scan._arguments import (
    check_families,
    check_input,
    check_layout,
    check_noise,
    check_packed,
    check_resets,
    check_states,
    check_steps,
    check_types,
)
from nabi.scan._fast_path import scan_full_batch
from nabi.scan._inputs import Extra, check_extra
from nabi.scan._layout import PLAIN, Layout, Options
from nabi.scan._lowering import run_declared
from nabi.scan._noise import sample_noise
from nabi.scan._operator import Result

__all__ = ["run_direction", "scan", "scan_packed"]


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
    extra: Extra | None = None,
) -> Result:
    """Run a program over the time steps of a batch (dynamic unrolling).

    Args:
        program: a cell's equations for an input width, from `cell.program(input_size)`.
        x: input, `[B, T, D]`. What lies on invalid steps is never read; it may be NaN.
        states: initial states in the order of `cell.states`, each `[B, width]`; None for those that the cell
            declares, zeros where it declares none.
        parameters: weights in the order of `program.families`.
        noise: random inputs in the order of `program.noises`; see `sample_noise`.
        lengths: `[B]`, how many steps of each sequence are valid, zero allowed. A sequence of length
            zero keeps its initial state.
        mask: `[B, T]`, which steps are valid, in any pattern; instead of `lengths`. An invalid step
            leaves the states as they are.
        resets: `[B, T]`, whether a step is the first of a new segment: before it (in reverse: after it) the
            states become those that the cell declares, or zero, and no gradient crosses. Ignored on invalid
            steps.
        reverse: from the last valid step to the first; outputs stay at their own step.
        truncate: cut gradients between the steps `k * truncate - 1` and `k * truncate`.
        return_all_states: also return every state at every step.
        recompute: keep for the backward pass only the states at every so many steps, and compute what lies
            between again: less memory for long sequences, for one more forward pass.
        extra: what the step reads beside `x`, by name (see docs/language.md): for every step `[B, T]` or
            `[B, T, width]`, for a whole sequence `[B, width]`; for `position` the number of the first step.

    Returns:
        The output `[B, T, H]`, which is the first state at every step unless the cell names another one, zero
        where a step is not valid;
        the final states, each `[B, width]`; and every state at every step or None.

    Raises:
        ShapeError: an argument has the wrong rank, width or length.
        ArgumentError: a length is negative or longer than the sequence, both `lengths` and `mask` are
            given, `truncate` or `recompute` is not positive, data types differ, or a further input is
            missing.

    Example:
        >>> import torch
        >>> from nabi.cells import LSTM
        >>> program = LSTM(units=5).program(input_size=3)
        >>> weights = [torch.zeros(family.shape) for family in program.families]
        >>> output, (h, c), _ = scan(program, torch.ones(2, 7, 3), None, weights, lengths=[7, 0])
        >>> output.shape, h.shape
        (torch.Size([2, 7, 5]), torch.Size([2, 5]))
    """
    check_input(x, program.input_size)
    reverse = _checks.flag("reverse", reverse)
    truncate, recompute = check_steps("truncate", truncate), check_steps("recompute", recompute)
    batch, time = x.shape[0], x.shape[1]
    families = check_families(program, parameters)
    if states is not None:
        states = check_states(states, program.state_names, program.state_widths, (batch,))
    further = check_extra(program, extra, (batch, time), batch) if extra or len(program.inputs) > 1 else None
    is_single = time == 1 and lengths is None and mask is None and not reverse and not further
    if is_single and resets is not None and program.is_plain:
        # A state that becomes zero before the only step is another initial state.
        begins = check_resets(resets, batch, time, x.device)
        if states is not None and begins is not None:
            states = tuple([state.masked_fill(begins, 0.0) for state in states])
        resets = None
    plain = not (reverse or return_all_states or truncate is not None or recompute is not None)
    if plain and not noise and lengths is None and mask is None and resets is None:
        found = scan_full_batch(program, x, states, families)
        if found is not None:
            return (*found, None)
    layout = check_layout(lengths, mask, resets, batch, time, x.device, alike=states is None)
    x, states = _as_weights(families, x, states)
    noises = check_noise(program, noise, batch, (batch, time))
    options = PLAIN if plain else Options(reverse, truncate, return_all_states, recompute)
    kept, finals = run_declared(program, options, layout, x, states, families, noises, further)
    return kept[0], finals, kept[program.readouts :] if return_all_states else None


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
    extra: Extra | None = None,
) -> Result:
    """Run a program over packed data, as `torch.nn.utils.rnn.PackedSequence` lays it out.

    Args:
        program, states, parameters, noise, reverse, return_all_states, recompute: as in `scan`; states come
            in the sorted order of the packed sequences.
        data: `[N, D]`, the valid steps, time after time, the longest sequences first.
        batch_sizes: `[T]` on the CPU, how many sequences have each step.
        extra: as in `scan`, in the order of the packed data: for every step `[N]` or `[N, width]`.

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
    check_input(data, program.input_size, (2,))
    check_steps("recompute", recompute)
    batch = check_packed(batch_sizes, data.shape[0])
    families = check_families(program, parameters)
    if states is not None:
        states = check_states(states, program.state_names, program.state_widths, (batch,))
    data, states = _as_weights(families, data, states)
    noises = check_noise(program, noise, batch, (data.shape[0],))
    further = check_extra(program, extra, (data.shape[0],), batch)
    options = Options(reverse, None, return_all_states, recompute)
    layout = Layout(None, None, batch_sizes)
    kept, finals = run_declared(program, options, layout, data, states, families, noises, further)
    return kept[0], finals, kept[program.readouts :] if return_all_states else None


def run_direction(
    program: Program,
    x: Tensor,
    states: tuple[Tensor, ...] | None,
    families: Sequence[Tensor],
    *,
    layout: Layout,
    truncate: int | None = None,
    return_all_states: bool = False,
    recompute: int | None = None,
    reverse: bool = False,
    extra: Mapping[str, Tensor | None] | None = None,
) -> Result:
    """As `scan` and `scan_packed`, for arguments that have been checked; random inputs are drawn.

    Args:
        program, x, states, families, truncate, return_all_states, recompute, reverse: as `scan` takes them.
        layout: from `check_layout`, or of packed data.
        extra: further inputs, from `check_extra`.
    """
    noises: tuple[Tensor, ...] = ()
    if program.noises:
        batch, time = x.shape[0], x.shape[1]
        if layout.batch_sizes is not None:
            batch, time = int(layout.batch_sizes[0]), -x.shape[0]
        noises = sample_noise(program, batch, time, dtype=x.dtype, device=x.device)
    plain = not (reverse or return_all_states or truncate is not None or recompute is not None)
    options = PLAIN if plain else Options(reverse, truncate, return_all_states, recompute)
    kept, finals = run_declared(program, options, layout, x, states, tuple(families), noises, extra)
    return kept[0], finals, kept[program.readouts :] if return_all_states else None


def _as_weights(
    families: tuple[Tensor, ...], x: Tensor, states: Sequence[Tensor] | None
) -> tuple[Tensor, tuple[Tensor, ...] | None]:
    """Check that data types agree; under autocast bring input and states to the type of the weights."""
    dtype = families[0].dtype if families else x.dtype
    given = () if states is None else tuple(states)
    # Autocast does not know the meta device, and says so with an error.
    if not x.is_meta and torch.is_autocast_enabled(x.device.type):
        x, given = x.to(dtype), tuple([state.to(dtype) for state in given])
    check_types(dtype, x, given)
    return x, None if states is None else given
