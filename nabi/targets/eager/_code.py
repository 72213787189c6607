"""Compiles the functions of a kernel from the writers' sources."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from torch import Tensor

from nabi.ir import Program
from nabi.targets.eager._backward_source import BackwardWriter
from nabi.targets.eager._forward_source import ForwardWriter, Function
from nabi.targets.eager._render import compile_source

__all__ = ["Code", "ForwardCode", "backward_code", "forward_code", "kernel_source", "recorded"]


@dataclass(frozen=True)
class Code:
    """A compiled function.

    Attributes:
        columns: names of its arguments, given for each step if it is a loop.
        prepare: computes from the families the weights that `run` reads; called once, before the loop.
        run: the function.
    """

    columns: tuple[str, ...]
    prepare: Callable[..., tuple[Tensor, ...]]
    run: Callable[..., Any]


@dataclass(frozen=True)
class ForwardCode:
    """The code before the loop, the names of its results, and the loop."""

    wanted: tuple[str, ...]
    before: Callable[..., tuple[Tensor, ...]]
    loop: Code


_ONCE = re.compile(r"\bc\d+\b")
_FAMILY = re.compile(r"families\[\d+\](?:\[\d+:\d+\])?")


@lru_cache(maxsize=512)
def recorded(program: Program) -> tuple[str, ...]:
    """Return what the backward pass reads per step: state `s0` before it, `t0` after it, saved nodes."""
    writer = BackwardWriter(program)
    columns = [*writer.backward_step().columns, *writer.after(True, (True,) * len(program.families)).columns]
    early = {f"v{node.index}_" for node in program.plan.before}
    names = [name for name in columns if name[0] in "st" or (name.endswith("_") and name not in early)]
    return tuple(dict.fromkeys(names))


@lru_cache(maxsize=512)
def forward_code(program: Program, keep: tuple[int, ...], save: bool) -> ForwardCode:
    """Compile the forward pass, which outputs the states in `keep` and records every step if `save`."""
    writer = ForwardWriter(program)
    step = writer.step(keep, recorded(program) if save else ())
    wanted = [c for c in step.columns if c.startswith(("P", "v"))]
    if save:
        early = {node.index for node in writer.plan.before}
        names = [f"v{node.index}" for node in writer.plan.saved if node.index in early]
        wanted += [name for name in names if name not in wanted]
    before = writer.before(wanted)
    label = type(program.cell).__name__
    returned = f"return ({', '.join(before.results)}{',' if before.results else ''})"
    run = compile_source(
        "before",
        ["x", "families", *(f"n{i}" for i in range(len(program.noises)))],
        [*writer.weights(before), *writer.once([*before.lines, returned]), *before.lines, returned],
        label,
    )
    loop = _loop("forward", "s", step, writer, writer.weights(step), (), label)
    return ForwardCode(tuple(wanted), run, loop)


@lru_cache(maxsize=512)
def backward_code(
    program: Program, given: tuple[int, ...], need_input: bool, need_families: tuple[bool, ...]
) -> tuple[Code, Code]:
    """Compile the backward loop and the part after it; `given`: states with cotangents at each step."""
    writer = BackwardWriter(program)
    step = writer.backward_step()
    after = writer.after(need_input, need_families)
    label = type(program.cell).__name__
    known = recorded(program)
    step.columns = [name for name in step.columns if name not in known]
    for i in given:
        step.lines.insert(0, f"d{i} = d{i} + {step.column(f'g{i}')}")
    loop = _loop("backward", "d", step, writer, writer.transposed_weights(step), known, label)
    lines, sources = _prepare(after.lines, writer.transposed_weights(after), take_families=False)
    returned = f"return ({', '.join(after.results)},)"
    lines = [*writer.once([*lines, returned]), *lines, returned]
    run = compile_source("after", ["w", "families", *after.columns], lines, label)
    return loop, Code(tuple(after.columns), _prepared("after", sources, (), label), run)


def kernel_source(program: Program) -> str:
    """Return the Python source of the kernel's functions, for reading."""
    forward = forward_code(program, (0,), True)
    loop, after = backward_code(program, (0,), True, (True,) * len(program.families))
    functions = [forward.before, forward.loop.run, loop.run, after.run]
    return "\n".join(function.__doc__ or "" for function in functions)


def _loop(
    name: str,
    state: str,
    step: Function,
    writer: ForwardWriter,
    weights: list[str],
    known: tuple[str, ...],
    label: str,
) -> Code:
    """Compile a step into a loop over steps: from the states (or cotangents) to those after the last step."""
    returned = f"    {', '.join(step.results)},"
    once = writer.once([*step.lines, returned])
    lines, sources = _prepare([*step.lines, returned], weights, take_families=True)
    unpack = lines[: len(lines) - len(step.lines) - 1]
    *body, returned = lines[len(unpack) :]
    own = ", ".join(f"{state}{i}" for i in range(len(step.results))) + ","
    columns = f"{', '.join(step.columns)}," if step.columns else "()"
    head = f"for {columns} in columns:"
    if known:
        head = f"for ({columns}), ({', '.join(known)},) in zip(columns, kept, strict=True):"
    source = [
        *unpack,
        f"{own} = {state}",
        head,
        *(f"    {line}" for line in body),
        f"    {own} = {returned.strip()}",
        f"return ({own})",
    ]
    run = compile_source(name, [state, "w", "columns", "kept"], source, label)
    return Code(tuple(step.columns), _prepared(name, sources, once, label), run)


def _prepare(lines: list[str], weights: list[str], take_families: bool) -> tuple[list[str], dict[str, str]]:
    """Extract every part of a weight from the lines; return them with an unpacking line, and the sources."""
    sources: dict[str, str] = {}
    others = []
    for target, source in (line.split(" = ", 1) for line in weights):
        # A matrix that is applied to several values is one weight with several names.
        if sources.setdefault(source, target) != target:
            others.append(f"{target} = {sources[source]}")

    def take(match: re.Match[str]) -> str:
        return sources.setdefault(match.group(), f"p{len(sources)}")

    if take_families:
        lines = [_FAMILY.sub(take, line) for line in lines]
        for name in _ONCE.findall("\n".join(lines)):
            sources.setdefault(name, name)
    return [*([f"{', '.join(sources.values())}, = w"] if sources else []), *others, *lines], sources


def _prepared(
    name: str, sources: dict[str, str], once: Sequence[str], label: str
) -> Callable[..., tuple[Tensor, ...]]:
    returned = f"return ({', '.join(sources)}{',' if sources else ''})"
    return compile_source(f"prepare_{name}", ["families"], [*once, returned], label)
