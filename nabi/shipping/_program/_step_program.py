"""A model as what one step of it reads, keeps and computes."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from nabi.shipping._program._instructions import Instruction, Map, Move, Numbers, Value, reads_of, results_of

__all__ = ["Pass", "State", "StepLayer", "StepProgram", "settle_states"]


@dataclass(frozen=True, eq=False)
class State:
    """Numbers that a layer keeps from one step to the next.

    Attributes:
        name: `c`, or `inputs` for the steps that a convolution still reads.
        value: where they are.
        initial: what they are before the first step.
        is_stated: whether the cell states these as a number, such as minus infinity for the logarithm of
            nothing, and they are not learned.
    """

    name: str
    value: Value
    initial: Numbers
    is_stated: bool = False


@dataclass(frozen=True, eq=False)
class StepLayer:
    """One layer of a step.

    Attributes:
        name: of the layer in its model; unique.
        title: what it is, in words: `LSTM of 32 units`.
        equations: what it computes, as text.
        instructions: in order.
        states: what it keeps.
        output: what the next layer reads.
    """

    name: str
    title: str
    equations: tuple[str, ...]
    instructions: tuple[Instruction, ...]
    states: tuple[State, ...]
    output: Value


@dataclass(frozen=True, eq=False)
class Pass:
    """Layers that go through a whole sequence together.

    Attributes:
        order: in which steps are read; "once" is no loop, but what is computed after the last step of all
            passes before it.
        layers: in order.
    """

    order: Literal["forward", "backward", "once"]
    layers: tuple[StepLayer, ...]


@dataclass(frozen=True, eq=False)
class StepProgram:
    """A model as the list of instructions that one step runs; `nabi.shipping.step_program` makes it.

    It knows no target: where values lie and how weights are packed is decided by `lay_out`.

    Attributes:
        name: of the model, as a C identifier.
        input: what a step reads.
        codes: how many codes there are where a step reads one code, as a number; 0 where it reads features.
        layers: in order; the output of the last one is the output of the step.
        passes: the same layers as passes over a whole sequence, where some read it backwards; empty where a
            step needs nothing but those before it.
        row: of a program with passes, what is kept of every step from one pass to the next, as pieces of one
            value of the memory "input". Its first piece is `input`.
    """

    name: str
    input: Value
    codes: int
    layers: tuple[StepLayer, ...]
    passes: tuple[Pass, ...] = ()
    row: Value | None = None

    @property
    def is_per_step(self) -> bool:
        """Whether there is an output for each step; else one for a whole sequence."""
        return not self.passes or self.passes[-1].order != "once"

    @property
    def output(self) -> Value:
        """What a step gives."""
        return self.layers[-1].output if self.layers else self.input

    @property
    def states(self) -> tuple[State, ...]:
        """The states of all layers, in order."""
        return tuple(state for layer in self.layers for state in layer.states)

    @property
    def instructions(self) -> Iterator[Instruction]:
        """The instructions of all layers, in order."""
        for layer in self.layers:
            yield from layer.instructions

    @property
    def state_size(self) -> int:
        """How many numbers all states hold."""
        return sum(state.value.width for state in self.states)

    @cached_property
    def structure(self) -> str:
        """A digest of everything that the code of a step depends on: all but the weights."""
        parts = [self.input, self.codes, self.layers]
        parts += [(one.order, len(one.layers)) for one in self.passes]
        found = (_LAYOUT, _described(parts, {}))
        return hashlib.sha256(repr(found).encode()).hexdigest()[:32]

    @cached_property
    def fingerprint(self) -> str:
        """A digest of the structure and all weights: models with the same one give the same numbers."""
        found = hashlib.sha256(self.structure.encode())
        for numbers in _arrays([self.input, self.codes, self.layers], set()):
            found.update(np.ascontiguousarray(numbers).tobytes())
        return found.hexdigest()[:32]

    def __repr__(self) -> str:
        return (
            f"<StepProgram {self.name}: {self.input.width} → {self.output.width}, "
            f"{len(self.layers)} layers, {self.state_size} numbers of state>"
        )


def settle_states(
    instructions: list[Instruction], output: Value, states: list[tuple[Value, Value]]
) -> tuple[list[Instruction], Value]:
    """Have new states computed where the old ones lie, or moved there at the end of the step.

    A new state is computed in place if a map makes it and nothing reads the old one afterwards. The old value
    of a state that is read by something after that, or is itself the output or another state, is kept first.

    Args:
        instructions: that compute the new states.
        output: of the layer.
        states: the old and the new value of each.

    Returns:
        The instructions, and where the output is afterwards.
    """
    before: list[Instruction] = []
    after: list[Instruction] = []
    kept: dict[int, Value] = {}

    def outlasting(value: Value) -> Value:
        """Return a value that the step does not overwrite: of an old state, a copy."""
        if not any(value is old for old, _ in states):
            return value
        if id(value) not in kept:
            kept[id(value)] = copy = Value(f"old_{value.name}", value.width)
            before.append(moved(value, copy))
        return kept[id(value)]

    output = outlasting(output)
    taken: set[int] = set()
    for old, new in states:
        if new is old:
            continue
        source = outlasting(new)
        maker = next(
            (n for n, one in enumerate(instructions) if any(new is r for r in results_of(one))), None
        )
        if maker is not None and isinstance(instructions[maker], Map) and id(new) not in taken:
            later = instructions[maker + 1 :]
            if not any(read.place is old for one in later for read in reads_of(one)):
                new.lie_in(old)
                taken.add(id(new))
                continue
        after.append(moved(source, old))
    return [*before, *instructions, *after], output


def moved(source: Value, result: Value) -> Move:
    """Return the instruction that copies a value."""
    return Move(source, result, (source.width,), (0, (1,)), (0, (1,)))


def zeros(width: int) -> Numbers:
    """Return the state in which most layers begin."""
    return np.zeros(width, np.float32)


_LAYOUT = 2
"""Counts the ways in which weights have been laid out: code of one way does not read those of another."""

_WORDS = frozenset({"name", "title", "equations"})
"""Attributes that are for readers."""


def _arrays(one: Any, seen: set[int]) -> Iterator[Numbers]:
    """Yield the arrays of a nested structure, each object once."""
    if isinstance(one, np.ndarray):
        yield one
    elif isinstance(one, tuple | list):
        for part in one:
            yield from _arrays(part, seen)
    elif is_dataclass(one) and id(one) not in seen:
        seen.add(id(one))
        for field in fields(one):
            yield from _arrays(getattr(one, field.name), seen)


def _described(one: Any, numbers: dict[int, int]) -> Any:
    """Return a description of a nested structure in which the same object has the same number."""
    if isinstance(one, np.ndarray):
        return one.shape
    if isinstance(one, tuple | list):
        return [_described(part, numbers) for part in one]
    if not is_dataclass(one):
        return repr(one)
    if id(one) in numbers:
        return numbers[id(one)]
    number = numbers[id(one)] = len(numbers)
    inside = [_described(getattr(one, part.name), numbers) for part in fields(one) if part.name not in _WORDS]
    return [type(one).__name__, number, *inside]
