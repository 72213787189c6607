"""The kernel of a program on torch: packed rows forward, and backward with the derivative in the language.

It computes the same as the definition, with fewer and larger torch calls: what reads no state before the
loop, one product for all gates that read the same, gradients of weights as one product after the loop.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from nabi.ir import Node, Program
from nabi.targets._rows import Rows
from nabi.targets.eager._backward_source import BackwardWriter
from nabi.targets.eager._forward_source import ForwardWriter, Function
from nabi.targets.eager._render import compile_source

__all__ = ["Gradients", "Record", "kernel_source", "run_backward", "run_forward"]


@dataclass
class Record:
    """What a forward pass leaves for the backward pass.

    Attributes:
        x: input rows `[N, D]`.
        noises: rows of each random input.
        before: rows of saved nodes that were computed before the loop, by column name.
        entering: for each step the states that it started from.
        leaving: for each step the states that it ended with.
        saved: for each step the saved nodes.
    """

    x: Tensor
    noises: tuple[Tensor, ...]
    before: dict[str, Tensor]
    entering: list[tuple[Tensor, ...]]
    leaving: list[tuple[Tensor, ...]]
    saved: list[tuple[Tensor, ...]]


@dataclass
class Gradients:
    """Cotangents of everything a scan reads; None where none was asked for."""

    x: Tensor | None
    initial: tuple[Tensor, ...]
    families: tuple[Tensor | None, ...]


@dataclass(frozen=True)
class _Code:
    """A compiled function: what it is called with for each step, and the weights it has prepared."""

    columns: tuple[str, ...]
    prepare: Callable[..., tuple[Tensor, ...]]
    run: Callable[..., Any]


@dataclass(frozen=True)
class _Forward:
    wanted: tuple[str, ...]
    before: Callable[..., tuple[Tensor, ...]]
    step: _Code


_FAMILY = re.compile(r"families\[\d+\](?:\[\d+:\d+\])?")


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
    outputs: Sequence[Tensor | None] = (),
) -> tuple[list[Tensor | None], tuple[Tensor, ...], Record]:
    """Run a program over packed rows.

    Args:
        program: the program.
        rows: the layout.
        x: input rows `[N, D]`.
        initial: initial states `[B, width]`, sequences in the order of the rows.
        families: weights.
        noises: random inputs: `[B, width]` in the order of the rows, or `[N, width]` when per step.
        keep: the states whose rows are wanted.
        save: whether a backward pass will follow.
        outputs: tensors `[N, width]` to write the rows of each state into, where given.

    Returns:
        The rows of each state (None where not kept), the final states `[B, width]` in the order of the
        rows, and the record for `run_backward`, empty unless `save`.
    """
    code = _forward(program, keep, save)
    noise_rows = _noise_rows(program, rows, noises)
    made = dict(zip(code.wanted, code.before(x, families, *noise_rows), strict=True))
    buffers: dict[str, Tensor] = {"x": x, **made}
    buffers.update({f"n{i}": noise for i, noise in enumerate(noise_rows)})
    states: list[Tensor | None] = [None] * len(initial)
    for i in keep:
        given = outputs[i] if i < len(outputs) else None
        buffers[f"o{i}"] = x.new_empty((x.shape[0], initial[i].shape[1])) if given is None else given
        states[i] = buffers[f"o{i}"]
    record = Record(x, tuple(noise_rows), {}, [], [], [])
    if save:
        early = [f"v{node.index}" for node in program.plan.saved if f"v{node.index}" in made]
        record.before = {f"{name}_": made[name] for name in early}
    weights = code.step.prepare(families)
    columns = _columns(code.step.columns, buffers, rows.active)
    run, now, final, size = code.step.run, initial, None, rows.batch
    flags = _flags(rows.zero, rows.active)
    for k, active in enumerate(rows.active):
        if active != size:
            final = final or [state.clone() for state in initial]
            final = [_set(f, active, size, s) for f, s in zip(final, now, strict=True)]
            now, size = tuple(state[:active] for state in now), active
        flag = flags[k]
        if flag is not None:
            now = tuple(state.masked_fill(flag, 0) for state in now)
        if save:
            record.entering.append(now)
            now, saved = run(now, weights, *columns[k])
            record.leaving.append(now)
            record.saved.append(saved)
        else:
            now = run(now, weights, *columns[k])
    if final is not None:
        return states, tuple(_set(f, 0, size, s) for f, s in zip(final, now, strict=True)), record
    # What is handed out must not share memory with anything else.
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
        program, rows, record, families: as in and from `run_forward`.
        state_cotangents: for each state the cotangents of its rows `[N, width]`, or None.
        final_cotangents: for each state the cotangent of its final value `[B, width]`, or None.
        need_input: whether the gradient of the input is wanted.
        need_families: for each family whether its gradient is wanted.
    """
    step, after = _backward(program, need_input, need_families)
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
    for name in step.columns:
        if name.startswith(("D", "k")):
            buffers[name] = x.new_empty((count, _width(program, name)))
    by_step = _by_step(program, record)
    weights = step.prepare(families)
    columns = _columns(step.columns, buffers, rows.active, by_step)
    given = [torch.split_with_sizes(c, rows.active) if c is not None else None for c in state_cotangents]
    flags = _flags(rows.cut, rows.active)
    size = rows.active[-1]
    now = [final[:size] for final in finals]
    run = step.run
    for k in range(len(rows.active) - 1, -1, -1):
        active = rows.active[k]
        if active != size:
            now = [torch.cat((n, f[size:active])) for n, f in zip(now, finals, strict=True)]
            size = active
        now = [n if g is None else n + g[k] for n, g in zip(now, given, strict=True)]
        now = run(now, weights, *columns[k])
        flag = flags[k]
        if flag is not None:
            now = [n.masked_fill(flag, 0) for n in now]
    if size != rows.batch:
        now = [torch.cat((n, f[size:])) for n, f in zip(now, finals, strict=True)]
    whole = [buffers[name] if name in buffers else torch.cat(by_step[name]) for name in after.columns]
    gradients = after.run(after.prepare(families), families, *whole)
    return Gradients(gradients[0], tuple(now), gradients[1:])


def kernel_source(program: Program) -> str:
    """Return the Python source of the kernel's functions, to be read."""
    code = _forward(program, (0,), True)
    step, after = _backward(program, True, (True,) * len(program.families))
    functions = [code.before, code.step.run, step.run, after.run]
    return "\n".join(function.__doc__ or "" for function in functions)


@lru_cache(maxsize=512)
def _forward(program: Program, keep: tuple[int, ...], save: bool) -> _Forward:
    writer = ForwardWriter(program)
    step = writer.step(keep, save)
    wanted = [c for c in step.columns if c.startswith(("P", "v"))]
    if save:
        early = {node.index for node in writer.plan.before}
        wanted += [
            f"v{n.index}" for n in writer.plan.saved if n.index in early and f"v{n.index}" not in wanted
        ]
    before = writer.before(wanted)
    label = type(program.cell).__name__
    parameters = ["x", "families", *(f"n{i}" for i in range(len(program.noises)))]
    lines = [*writer.weights(before), *before.lines]
    run = compile_source("before", parameters, lines, label)
    return _Forward(tuple(wanted), run, _code("step", "s", step, writer.weights(step), label))


@lru_cache(maxsize=512)
def _backward(program: Program, need_input: bool, need_families: tuple[bool, ...]) -> tuple[_Code, _Code]:
    writer = BackwardWriter(program)
    step = writer.backward_step()
    after = writer.after(need_input, need_families)
    label = type(program.cell).__name__
    return (
        _code("backward_step", "d", step, writer.transposed_weights(step), label),
        _code("after", None, after, writer.transposed_weights(after), label),
    )


def _code(name: str, first: str | None, function: Function, weights: list[str], label: str) -> _Code:
    """Compile a function; every part of a weight it reads is taken once, before the loop."""
    prepared = [line.split(" = ", 1) for line in weights]
    sources: dict[str, str] = {source: target for target, source in prepared}
    lines = function.lines
    if first is not None:

        def take(match: re.Match[str]) -> str:
            return sources.setdefault(match.group(), f"p{len(sources)}")

        lines = [_FAMILY.sub(take, line) for line in lines]
    names = ", ".join(sources.values())
    unpack = [f"{names}{',' if len(sources) == 1 else ''} = w"] if sources else []
    inner = ["w", "families"] if first is None else [first, "w"]
    run = compile_source(name, [*inner, *function.columns], [*unpack, *lines], label)
    prepare_lines = [f"return ({', '.join(sources)}{',' if sources else ''})"]
    prepare = compile_source(f"prepare_{name}", ["families"], prepare_lines, label)
    return _Code(tuple(function.columns), prepare, run)


def _columns(
    names: Sequence[str],
    buffers: dict[str, Tensor],
    active: list[int],
    by_step: dict[str, list[Tensor]] | None = None,
) -> list[tuple[Tensor, ...]]:
    """What a step function is called with at each step: parts of buffers, or what was kept step by step."""
    if not names:
        return [()] * len(active)
    # Tensor.split goes through Python; this is four times faster, which a small layer notices.
    columns = [
        torch.split_with_sizes(buffers[name], active) if name in buffers else (by_step or {})[name]
        for name in names
    ]
    return list(zip(*columns, strict=True))


def _by_step(program: Program, record: Record) -> dict[str, list[Tensor]]:
    """The columns of the backward pass that were kept step by step."""
    found: dict[str, list[Tensor]] = {}
    for i in range(len(program.state_names)):
        found[f"s{i}"] = [states[i] for states in record.entering]
        found[f"t{i}"] = [states[i] for states in record.leaving]
    early = {f"v{node.index}_" for node in program.plan.before}
    names = [f"v{node.index}_" for node in program.plan.saved]
    for position, name in enumerate(name for name in names if name not in early):
        found[name] = [saved[position] for saved in record.saved]
    return found


def _flags(rows: Tensor | None, active: list[int]) -> list[Tensor | None]:
    """Split a flag for each row by steps; None for the steps in which it is nowhere set."""
    if rows is None:
        return [None] * len(active)
    return [flags[:, None] if bool(flags.any()) else None for flags in torch.split_with_sizes(rows, active)]


def _noise_rows(program: Program, rows: Rows, noises: Sequence[Tensor]) -> list[Tensor]:
    """Give every row its random inputs; one that serves a whole sequence is repeated for its steps."""
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
