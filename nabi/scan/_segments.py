"""Resets to states that are not zero: every piece between two resets is a sequence of its own.

Kernels know of resets to zero only. Where a cell declares other initial states, the pieces are packed as
sequences that begin with them, which also lets the pieces of one sequence run beside each other.
"""

import torch
from torch import Tensor

from nabi.ir import Program
from nabi.native import is_watched
from nabi.scan._definition import define
from nabi.scan._layout import PLAIN, Layout, Options
from nabi.scan._operator import run_scan
from nabi.targets import eager

__all__ = ["run_with_resets"]

States = tuple[Tensor, ...]


def run_with_resets(
    program: Program,
    options: Options,
    layout: Layout,
    x: Tensor,
    states: States,
    starts: States,
    families: States,
    noises: States,
) -> tuple[States, States]:
    """Run a program over a batch with resets; arguments are valid already.

    Args:
        program, options, layout, x, families, noises: as for `run_scan`; the layout has resets.
        states: initial states `[B, width]`.
        starts: states after a reset, `[B, width]`.

    Returns:
        As `run_scan`.
    """
    # Where pieces begin depends on data that cannot be looked at in these cases.
    if torch.compiler.is_compiling() or torch._C._is_tracing() or x.is_meta:
        return _run_steps(program, options, layout, x, states, starts, families, noises)
    if is_watched() or options.truncate is not None:
        return define(program, options, layout, x, states, families, noises, starts)
    return _run_pieces(program, options, layout, x, states, starts, families, noises)


def _run_steps(
    program: Program,
    options: Options,
    layout: Layout,
    x: Tensor,
    states: States,
    starts: States,
    families: States,
    noises: States,
) -> tuple[States, States]:
    """Run one step after the other, each as an operator of its own: torch.compile unrolls time."""

    def at(t: int, now: States) -> States:
        here = tuple([noise[:, t : t + 1] if noise.dim() == 3 else noise for noise in noises])
        return run_scan(program, PLAIN, Layout(None, None, None), x[:, t : t + 1], now, families, here)[1]

    indices = options.kept(program)
    kept, finals = eager.run_definition(
        at, x.shape[1], states, mask=layout.mask_for(x), resets=layout.resets, reverse=options.reverse,
        truncate=options.truncate, keep=indices, starts=starts,
    )  # fmt: skip
    stacked = [
        torch.stack(values, 1) if values else x.new_zeros((x.shape[0], 0, program.state_widths[i]))
        for i, values in zip(indices, kept, strict=True)
    ]
    return tuple(stacked), finals


def _run_pieces(
    program: Program,
    options: Options,
    layout: Layout,
    x: Tensor,
    states: States,
    starts: States,
    families: States,
    noises: States,
) -> tuple[States, States]:
    batch, time = x.shape[0], x.shape[1]
    mask, resets = layout.mask_for(x), layout.resets
    assert resets is not None
    valid = torch.ones_like(resets) if mask is None else mask
    # Valid steps, sequence after sequence, in the order of computation.
    sequence, step = (valid.flip(1) if options.reverse else valid).nonzero().unbind(1)
    if options.reverse:
        step = time - 1 - step
    if not len(step):
        widths = [program.state_widths[i] for i in options.kept(program)]
        return tuple([x.new_zeros((batch, time, width)) for width in widths]), states
    first = torch.ones_like(step, dtype=torch.bool)
    first[1:] = sequence[1:] != sequence[:-1]
    here = resets[sequence, step]
    # In reverse a reset of step t lies between t and the step that is computed after it.
    begins = first | (here.roll(1) if options.reverse else here)
    piece = begins.cumsum(0) - 1
    starting = begins.nonzero().squeeze(1)
    lengths = torch.bincount(piece)
    order = torch.argsort(lengths, descending=True, stable=True)
    place_of = torch.empty_like(order)
    place_of[order] = torch.arange(len(order), device=x.device)
    rank = torch.arange(len(step), device=x.device) - starting[piece]
    by_row = torch.argsort(rank * len(order) + place_of[piece])
    sequence, step = sequence[by_row], step[by_row]
    # Before its first reset a sequence goes on from the given states.
    owner = piece.new_zeros(len(order))
    owner[piece[by_row]] = sequence
    goes_on = first[starting] if options.reverse else (first & ~here)[starting]
    before = tuple(
        [
            torch.where(goes_on[:, None], state[owner], start[owner])[order]
            for state, start in zip(states, starts, strict=True)
        ]
    )
    per_step = [noise.per_step for noise in program.noises]
    spread = tuple(
        [
            noise[sequence, step] if every else noise[owner][order]
            for noise, every in zip(noises, per_step, strict=True)
        ]
    )
    kept, finals = run_scan(
        program,
        Options(False, None, options.all_states, options.recompute),
        Layout(None, None, torch.bincount(rank).cpu()),
        x[sequence, step],
        before,
        families,
        spread,
    )
    outputs = tuple(
        [
            values.new_zeros((batch, time, values.shape[1])).index_put((sequence, step), values)
            for values in kept
        ]
    )
    last = torch.full((batch,), -1, device=x.device)
    last = last.scatter_reduce(0, owner, torch.arange(len(order), device=x.device), "amax")
    row = place_of[last.clamp(min=0)]
    ends = tuple(
        [
            torch.where((last >= 0)[:, None], final[row], state)
            for final, state in zip(finals, states, strict=True)
        ]
    )
    return outputs, ends
