"""Named quantities of a step, returned at every step: which are asked for, and running a stack with them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from nabi._shown import short
from nabi.errors import ArgumentError, unknown_name
from nabi.ir import Cell, Program, value_names
from nabi.nn._stack import Initial, Result
from nabi.scan import prepare_inputs, prepare_lowering

__all__ = ["Asked", "StackValues", "asked_values", "check_names"]


@dataclass(frozen=True, eq=False)
class Asked:
    """What is asked for, for each direction of each layer in the order of a stack.

    Attributes:
        programs: the programs, which return the values as their last states.
        names: for each, the keys of the result and the names of the values.
        states: how many states the cell has in each, without the values.
        keys: the keys in the order in which they were asked for.
    """

    programs: tuple[Program, ...]
    names: tuple[tuple[tuple[str, str], ...], ...]
    states: tuple[int, ...]
    keys: tuple[str, ...]


def check_names(given: Any) -> tuple[str, ...]:
    """Return the argument `return_values` as a tuple of names.

    Raises:
        ArgumentError: it is no list of names.
    """
    names = (given,) if isinstance(given, str) else given
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise ArgumentError(
            f"return_values: expected a list of names of quantities such as ['f', 'i'], got {short(given)}"
        )
    return tuple(names)


def asked_values(
    cell: Cell, widths: tuple[int, ...], directions: int, training: bool, names: tuple[str, ...]
) -> Asked:
    """Find what `return_values` names.

    Args:
        cell: the cell of every layer.
        widths: width of the input of each layer.
        directions: 1 or 2.
        training: whether random inputs are drawn.
        names: names of quantities for all layers and directions, or followed by one: `f_l1_reverse`.

    Raises:
        UnknownNameError: there is no such quantity.
    """
    if not torch.compiler.is_compiling():
        return _asked(cell, widths, directions, training, names)
    place = _keep_asked(cell, widths, directions, training, names)
    found: Asked = getattr(_KEPT, place)
    return found


class _Kept:
    """What was asked for in modules that torch.compile has traced: it reads attributes, and no results."""


_KEPT = _Kept()


def _keep_asked(
    cell: Cell, widths: tuple[int, ...], directions: int, training: bool, names: tuple[str, ...]
) -> str:
    """Find what is asked for, which torch.compile cannot trace, and say under which name it is kept."""
    found = _asked(cell, widths, directions, training, names)
    place = f"asked_{id(found)}"
    setattr(_KEPT, place, found)
    return place


# What `torch.compiler.assume_constant_result` does, without loading the compiler, which takes a second.
_keep_asked._dynamo_marked_constant = True  # type: ignore[attr-defined]


@lru_cache(maxsize=128)
def _asked(
    cell: Cell, widths: tuple[int, ...], directions: int, training: bool, names: tuple[str, ...]
) -> Asked:
    plain = [cell.program(width, training) for width in widths for _ in range(directions)]
    places = [f"_l{layer}{way}" for layer in range(len(widths)) for way in ("", "_reverse")[:directions]]
    known = value_names(plain[0])
    found: list[dict[str, str]] = [{} for _ in plain]
    keys: dict[str, None] = {}
    for asked in names:
        chosen = {}
        for number, place in enumerate(places):
            if asked in known:
                chosen[number] = asked, asked if len(places) == 1 else asked + place
            elif asked.removesuffix(place) in known:
                chosen[number] = asked.removesuffix(place), asked
        if not chosen:
            singly = [f"{name}{place}" for place in places for name in known] if "_l" in asked else []
            raise unknown_name("return_values", asked, singly or known)
        for number, (name, key) in chosen.items():
            found[number][key], keys[key] = name, None
    programs = []
    for program, wanted in zip(plain, found, strict=True):
        inner = dict.fromkeys(name for name in wanted.values() if name not in program.results)
        with_values = cell.program(program.input_size, training, tuple(inner)) if inner else program
        prepare_lowering(with_values)
        prepare_inputs(with_values)
        programs.append(with_values)
    return Asked(
        tuple(programs), tuple(tuple(wanted.items()) for wanted in found),
        tuple(len(program.state_names) for program in plain), tuple(keys),
    )  # fmt: skip


class StackValues:
    """Runs one direction of one layer after the other, and keeps the values that are asked for.

    Args:
        run: runs a direction, as `run_stack` calls it, with `return_all_states=`.
        asked: what is asked for.
        all_states: whether the states of every step are to be returned too.
    """

    def __init__(self, run: Callable[..., Result], asked: Asked, all_states: bool) -> None:
        self._run, self._asked, self._all_states = run, asked, all_states
        self._number, self._found = 0, {}  # type: tuple[int, dict[str, Tensor]]

    def __call__(self, program: Program, x: Tensor, initial: Initial, weights: Any, **options: Any) -> Result:
        """Run the next direction."""
        names, count = self._asked.names[self._number], self._asked.states[self._number]
        self._number += 1
        if initial:
            more = [initial[0].new_zeros(initial[0].shape[0], w) for w in program.state_widths[count:]]
            initial = (*initial, *more)
        keep = bool(names) or self._all_states
        output, final, every = self._run(program, x, initial, weights, return_all_states=keep, **options)
        for key, name in names:
            assert every is not None
            is_state = name in program.state_names
            self._found[key] = every[program.state_names.index(name)] if is_state else output
        return output, final[:count], every[:count] if every is not None and self._all_states else None

    @property
    def found(self) -> dict[str, Tensor]:
        """The values by key, in the order in which they were asked for."""
        return {key: self._found[key] for key in self._asked.keys}
