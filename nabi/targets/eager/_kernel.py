"""The kernel of a program on torch: packed rows forward, and the program's derivative backward.

It computes the same as the definition, with fewer and larger torch calls: values that read no state before
the loop, one product for all gates with the same operand, gradients of weights as one product after the loop.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from nabi.ir import Node, Program
from nabi.kernels import Rows
from nabi.targets.eager._code import backward_code, forward_code, recorded
from nabi.targets.eager._results import Gradients, Record

__all__ = ["noise_rows", "run_backward", "run_forward"]


def run_forward(
    program: Program,
    rows: Rows,
    x: Tensor,
    initial: tuple[Tensor, ...],
    families: Sequence[Tensor],
    noises: Sequence[Tensor],
    *,
    keep: tuple[int, ...],
    save: bool,
) -> tuple[list[Tensor | None], tuple[Tensor, ...], Record]:
    """Run a program over packed rows.

    Args:
        program: the program.
        rows: the layout.
        x: input rows `[N, D]`.
        initial: initial states `[B, width]`, sequences in the order of the rows.
        families: weights.
        noises: random inputs: `[B, width]` in the order of the rows, or `[N, width]` when per step.
        keep: the states whose rows are returned.
        save: whether a backward pass will follow.

    Returns:
        The rows of each state (None if not kept), the final states `[B, width]` in the order of the rows, and
        the record for `run_backward`, empty unless `save`.
    """
    code = forward_code(program, keep, save)
    spread = noise_rows(program, rows, noises)
    made = dict(zip(code.wanted, code.before(x, families, *spread), strict=True))
    buffers: dict[str, Tensor] = {"x": x, **made}
    buffers.update({f"n{i}": noise for i, noise in enumerate(spread)})
    states: list[Tensor | None] = [None] * len(initial)
    for i in keep:
        states[i] = buffers[f"o{i}"] = x.new_empty((x.shape[0], initial[i].shape[1]))
    record = Record(x, tuple(spread), {}, [])
    if save:
        early = [f"v{node.index}" for node in program.plan.saved if f"v{node.index}" in made]
        record.before = {f"{name}_": made[name] for name in early}
    weights = code.loop.prepare(families)
    columns = _columns(code.loop.columns, buffers, rows.active)
    now, final, size = initial, None, rows.batch
    flags = _flags(rows.zero, rows.active)
    for start, stop in _segments(rows.active, flags):
        active, flag = rows.active[start], flags[start]
        if active != size:
            final = final or [state.clone() for state in initial]
            final = [_set(f, active, size, s) for f, s in zip(final, now, strict=True)]
            now, size = tuple(state[:active] for state in now), active
        if flag is not None:
            now = tuple(state.masked_fill(flag, 0) for state in now)
        now = code.loop.run(now, weights, columns[start:stop], record.kept)
    if final is not None:
        return states, tuple(_set(f, 0, size, s) for f, s in zip(final, now, strict=True)), record
    # Results must not share memory with anything else.
    return states, tuple(state.clone() for state in now), record


def run_backward(
    program: Program,
    rows: Rows,
    record: Record,
    families: Sequence[Tensor],
    state_cotangents: Sequence[Tensor | None],
    final_cotangents: Sequence[Tensor | None],
    *,
    need_input: bool,
    need_families: tuple[bool, ...],
) -> Gradients:
    """Run the derivative over packed rows, last step first.

    Args:
        program, rows, record, families: as for and from `run_forward`.
        state_cotangents: for each state the cotangents of its rows `[N, width]`, or None.
        final_cotangents: for each state the cotangent of its final value `[B, width]`, or None.
        need_input: whether the gradient of the input is needed.
        need_families: for each family whether its gradient is needed.
    """
    given = tuple(i for i, cotangent in enumerate(state_cotangents) if cotangent is not None)
    loop, after = backward_code(program, given, need_input, need_families)
    count, x = record.x.shape[0], record.x
    finals = [
        c if c is not None else x.new_zeros((rows.batch, width))
        for c, width in zip(final_cotangents, program.state_widths, strict=True)
    ]
    if count == 0:
        zeros = tuple(
            torch.zeros_like(f) if need else None for f, need in zip(families, need_families, strict=True)
        )
        return Gradients(torch.zeros_like(x) if need_input else None, tuple(finals), zeros)
    buffers: dict[str, Tensor] = {"x": x, **record.before}
    buffers.update({f"n{i}": noise for i, noise in enumerate(record.noises)})
    buffers.update({f"g{i}": c for i, c in enumerate(state_cotangents) if c is not None})
    for name in loop.columns:
        if name.startswith(("D", "k")):
            buffers[name] = x.new_empty((count, _width(program, name)))
    weights = loop.prepare(families)
    columns = _columns(loop.columns, buffers, rows.active)
    columns.reverse()
    kept = record.kept[::-1]
    flags = _flags(rows.cut, rows.active)
    size = rows.active[-1]
    now = [final[:size] for final in finals]
    for start, stop in reversed(_segments(rows.active, flags)):
        active, flag = rows.active[start], flags[start]
        if active != size:
            now = [torch.cat((n, f[size:active])) for n, f in zip(now, finals, strict=True)]
            size = active
        # Not counted by the kept values: a derivative that reads nothing of a step keeps no list.
        part = slice(len(columns) - stop, len(columns) - start)
        now = loop.run(now, weights, columns[part], kept[part])
        if flag is not None:
            now = [n.masked_fill(flag, 0) for n in now]
    if size != rows.batch:
        now = [torch.cat((n, f[size:])) for n, f in zip(now, finals, strict=True)]
    position = {name: i for i, name in enumerate(recorded(program))}
    whole = [
        buffers[name] if name in buffers else torch.cat([step[position[name]] for step in record.kept])
        for name in after.columns
    ]
    gradients = after.run(after.prepare(families), families, *whole)
    return Gradients(gradients[0], tuple(now), gradients[1:])


def _columns(names: Sequence[str], buffers: dict[str, Tensor], active: list[int]) -> list[tuple[Tensor, ...]]:
    """Return the arguments of a loop for each step: its parts of the buffers."""
    if not names:
        return [()] * len(active)
    # Tensor.split runs Python code; this is four times faster, which matters for a small layer.
    return list(zip(*(torch.split_with_sizes(buffers[name], active) for name in names), strict=True))


def _segments(active: list[int], flags: list[Tensor | None]) -> list[tuple[int, int]]:
    """Split the steps where the number of rows changes or a state is cut before a step."""
    starts = [k for k in range(len(active)) if k == 0 or active[k] != active[k - 1] or flags[k] is not None]
    return list(pairwise([*starts, len(active)]))


def _flags(rows: Tensor | None, active: list[int]) -> list[Tensor | None]:
    """Split a flag per row by steps; None for steps in which it is not set."""
    if rows is None:
        return [None] * len(active)
    return [flags[:, None] if bool(flags.any()) else None for flags in torch.split_with_sizes(rows, active)]


def noise_rows(program: Program, rows: Rows, noises: Sequence[Tensor]) -> list[Tensor]:
    """Return random inputs for every row; those for a whole sequence are repeated for its steps."""
    found = []
    for noise, values in zip(program.noises, noises, strict=True):
        if not noise.per_step:
            pieces = [values[:active] for active in rows.active]
            values = torch.cat(pieces) if pieces else values[:0]
        found.append(values)
    return found


def _width(program: Program, column: str) -> int:
    if column.startswith("D"):
        return sum(node.width or 1 for node in program.plan.stacks[int(column[1:])])
    node: Node = program.trace.nodes[int(column[1:])]
    return node.width or 1


def _set(target: Tensor, start: int, stop: int, source: Tensor) -> Tensor:
    target[start:stop] = source[start:stop]
    return target
