"""The definition of a cell: its equations as torch functions, run over time step by step.

Every other way of running a cell is tested against it. It supports all of torch's differentiation (any order,
forward mode, vmap), and its graph grows with time.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from nabi.ir import Node, Program, named_nodes, needed
from nabi.targets.eager._render import compile_source, input_columns, write_nodes

__all__ = ["StepFunction", "named_values", "run_definition", "sequence_function", "step_function"]

# step(x, states, families, noises) -> new states; a row of x holds all inputs side by side.
StepFunction = Callable[[Tensor, Sequence[Tensor], Sequence[Tensor], Sequence[Tensor]], tuple[Tensor, ...]]


@lru_cache(maxsize=512)
def step_function(program: Program) -> StepFunction:
    """Return the step of a program as a function of torch tensors: `step(x, states, families, noises)`."""
    return _compile(program, program.outputs, "step")


@lru_cache(maxsize=512)
def named_values(program: Program) -> StepFunction:
    """Return a function like the step that returns the named values of the equations instead.

    They are in the order of `nabi.ir.named_nodes(program)`; each is `[B, width]`, or `[B, 1]` for values with
    one number per row.
    """
    return _compile(program, tuple(named_nodes(program).values()), "named_values")


@lru_cache(maxsize=512)
def sequence_function(program: Program) -> Callable[..., tuple[Tensor, ...]]:
    """Return a function for what a step computes once for a sequence, of the inputs that are given so.

    It takes `x`, rows of these inputs side by side, the families, and all random inputs, of which it reads
    those of sequences; it gives `program.sequence_values`, each `[B, width]`.
    """
    outputs = program.sequence_values
    columns, start = {}, 0
    for given in program.inputs:
        if given.per_sequence:
            stop = start + (given.width or 1)
            columns[given.name], start = f"x[:, {start}:{stop}]", stop
    function = _compile(program, outputs, "sequence", columns)

    def run(x: Tensor, families: Sequence[Tensor], noises: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return function(x, (), families, noises)

    return run


def _compile(
    program: Program, outputs: tuple[Node, ...], name: str, columns: dict[str, str] | None = None
) -> StepFunction:
    states = {name: f"states[{i}]" for i, name in enumerate(program.state_names)}
    noises = {noise.name: f"noises[{i}]" for i, noise in enumerate(program.noises)}

    def source(node: Node) -> str:
        if node.operation == "input":
            return (columns or {}).get(node.name) or input_columns(program, node)
        return states[node.name] if node.operation == "state" else noises[node.name]

    lines: list[str] = []
    values = write_nodes(program, program.nodes if columns is None else needed(outputs), lines, source)
    # Values without rows are the same for all of them.
    returned = ", ".join(
        values[node.index] if node.has_rows else f"{values[node.index]}.expand(x.shape[0], -1)"
        for node in outputs
    )
    lines.append(f"return ({returned},)")
    function: StepFunction = compile_source(
        name, ("x", "states", "families", "noises"), lines, type(program.cell).__name__
    )
    return function


def run_definition(
    step: Callable[[int, tuple[Tensor, ...]], tuple[Tensor, ...]],
    time: int,
    states: tuple[Tensor, ...],
    *,
    mask: Tensor | None,
    resets: Tensor | None,
    reverse: bool,
    truncate: int | None,
    keep: Sequence[int],
    starts: Sequence[Tensor] | None = None,
) -> tuple[list[list[Tensor]], tuple[Tensor, ...]]:
    """Run a step over time.

    Args:
        step: called with the time step and the states; returns the new states.
        time: number of time steps T.
        states: initial states, each `[B, width]`.
        mask: `[B, T]`, whether a step is valid; an invalid step does not change the states.
        resets: `[B, T]`, whether the state is reset before a valid step (in reverse: after it).
        reverse: whether to run from the last time step to the first.
        truncate: gradients are cut between time steps `k * truncate - 1` and `k * truncate`.
        keep: the states that are returned for every step.
        starts: the states after a reset, each `[B, width]`; None for zeros.

    Returns:
        For each kept state the list of its T values in order of time, and the final states.
    """
    kept: list[list[Tensor]] = [[] for _ in keep]
    pending: Tensor | None = None
    # The piece of `truncate` steps to which the last valid step of each sequence belongs.
    piece = torch.full_like(mask[:, :1], 0, dtype=torch.long) if mask is not None else None
    if piece is not None and truncate and reverse:
        piece = piece + (time - 1) // truncate
    after_reset: Sequence[Tensor | None] = [None] * len(states) if starts is None else starts
    for position_in_time in range(time):
        t = time - 1 - position_in_time if reverse else position_in_time
        valid = mask[:, t, None] if mask is not None else None
        entering = states
        if truncate and piece is not None and valid is not None:
            crossed = valid & (piece != t // truncate)
            entering = tuple(torch.where(crossed, state.detach(), state) for state in states)
            piece = torch.where(valid, t // truncate, piece)
        elif truncate and position_in_time and (t + 1 if reverse else t) % truncate == 0:
            entering = tuple(state.detach() for state in states)
        if resets is not None:
            now = resets[:, t, None] if valid is None else resets[:, t, None] & valid
            if reverse:
                # A reset occurs between this valid step and the one computed next.
                if pending is not None:
                    zero = pending if valid is None else pending & valid
                    entering = _reset(zero, entering, after_reset)
                pending = now if pending is None or valid is None else torch.where(valid, now, pending)
            else:
                entering = _reset(now, entering, after_reset)
        new = step(t, entering)
        if valid is not None:
            new = tuple(torch.where(valid, n, s) for n, s in zip(new, states, strict=True))
        states = tuple(new)
        for position, index in enumerate(keep):
            value = states[index]
            kept[position].append(
                value if valid is None else torch.where(valid, value, torch.zeros_like(value))
            )
    if reverse:
        for values in kept:
            values.reverse()
    return kept, states


def _reset(where: Tensor, states: Sequence[Tensor], starts: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
    return tuple(
        [
            torch.where(where, torch.zeros_like(state) if start is None else start, state)
            for state, start in zip(states, starts, strict=True)
        ]
    )
