"""Backpropagation that computes saved values again, piece by piece, instead of keeping them all.

Forward only the states at the beginning of every piece of time are kept. Backward the last piece is run
forward once more, this time saving, then backward, and so on to the first: one more forward pass for the
memory of one piece (Chen et al. 2016, "Training deep nets with sublinear memory cost", cut over time).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from nabi.ir import Program
from nabi.kernels import Rows
from nabi.targets import Gradients, run_backward, run_forward

__all__ = ["Pieces", "run_backward_again", "run_forward_lightly"]


@dataclass(eq=False)
class Pieces:
    """What a forward pass leaves when its values are to be computed again.

    Attributes:
        starts: the first step of every piece and, last, the number of steps.
        states: the states before every piece, for the sequences that reach it.
        x: input rows.
        noises: random inputs, as `run_forward` takes them.
    """

    starts: list[int]
    states: list[tuple[Tensor, ...]]
    x: Tensor
    noises: tuple[Tensor, ...]


def run_forward_lightly(
    program: Program,
    rows: Rows,
    x: Tensor,
    initial: tuple[Tensor, ...],
    families: Sequence[Tensor],
    noises: Sequence[Tensor],
    *,
    keep: tuple[int, ...],
    length: int,
) -> tuple[list[Tensor | None], tuple[Tensor, ...], Pieces]:
    """Run forward as `run_forward` does; `length` is how many steps a piece has."""
    every = tuple(range(len(initial)))
    states, finals, _ = run_forward(program, rows, x, initial, families, noises, keep=every, save=False)
    steps = len(rows.active)
    starts = [*range(0, steps, length), steps] if steps else [0, 0]
    offset = rows.offset.tolist()
    # Sequences without a step are no part of the first piece.
    reached_first = rows.active[0] if steps else rows.batch
    before: list[tuple[Tensor, ...]] = [tuple([state[:reached_first] for state in initial])]
    for start in starts[1:-1]:
        first = offset[start - 1]
        reached = slice(first, first + rows.active[start])
        before.append(tuple([state[reached].clone() for state in states if state is not None]))
    kept = [state if i in keep else None for i, state in enumerate(states)]
    return kept, finals, Pieces(starts, before, x, tuple(noises))


def run_backward_again(
    program: Program,
    rows: Rows,
    pieces: Pieces,
    families: Sequence[Tensor],
    state_cotangents: Sequence[Tensor | None],
    final_cotangents: Sequence[Tensor | None],
    *,
    need_input: bool,
    need_families: tuple[bool, ...],
) -> Gradients:
    """Run backward as `run_backward` does, each piece after it was run forward again."""
    x, offset = pieces.x, rows.offset.tolist()
    flow = [
        x.new_zeros((rows.batch, width)) if cotangent is None else cotangent.clone()
        for cotangent, width in zip(final_cotangents, program.state_widths, strict=True)
    ]
    dx = torch.zeros_like(x) if need_input else None
    totals: list[Tensor | None] = [None] * len(families)
    for (start, stop), before in reversed(list(zip(pairwise(pieces.starts), pieces.states, strict=True))):
        part = slice(offset[start], offset[stop])
        piece = _part_of(rows, start, stop, part)
        noises = _noises_of(program, pieces.noises, piece.batch, part)
        _, _, record = run_forward(program, piece, x[part], before, families, noises, keep=(), save=True)
        found = run_backward(
            program, piece, record, families,
            [None if c is None else c[part] for c in state_cotangents],
            [value[: piece.batch] for value in flow],
            need_input=need_input, need_families=need_families,
        )  # fmt: skip
        for value, cotangent in zip(flow, found.initial, strict=True):
            assert cotangent is not None
            value[: piece.batch] = cotangent
        if dx is not None and found.x is not None:
            dx[part] = found.x
        totals = [
            new if total is None or new is None else total.add_(new)
            for total, new in zip(totals, found.families, strict=True)
        ]
    return Gradients(dx, tuple(flow), tuple(totals))


def _part_of(rows: Rows, start: int, stop: int, part: slice) -> Rows:
    """Return the layout of some steps; a sequence that does not reach them is no longer part of it."""
    active = rows.active[start:stop]
    zero = None if rows.zero is None else rows.zero[part]
    cut = None if rows.cut is None else rows.cut[part]
    return Rows(active, active[0] if active else rows.batch, zero=zero, cut=cut)


def _noises_of(program: Program, noises: Sequence[Tensor], batch: int, part: slice) -> list[Tensor]:
    return [
        values[part] if noise.per_step else values[:batch]
        for noise, values in zip(program.noises, noises, strict=True)
    ]
