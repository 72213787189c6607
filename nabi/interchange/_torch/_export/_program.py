"""A module that runs the graph of an exported program, one operator after the other."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from nabi.errors import ArgumentError
from nabi.interchange._torch._export._operators import operator_of

__all__ = ["Device", "Program", "Step", "TorchProgram", "Value", "Weight"]


@dataclass(frozen=True)
class Value:
    """Stands for a value that an earlier step has computed, or an argument of the program."""

    name: str


@dataclass(frozen=True)
class Weight:
    """Stands for a parameter, buffer or constant, by its name in the module."""

    name: str


@dataclass(frozen=True)
class Device:
    """Stands for the device on which the program was exported: it runs where its input is."""


@dataclass(frozen=True)
class Step:
    """One operator, or one call of a recurrent module.

    Attributes:
        target: the name of the operator, one of those that are known.
        module: the name of the module that is called in its place, or None.
        arguments, named: with `Value`, `Weight` and `Device` in the place of what is known at a call only.
        results: names of the results; None for one that nobody asks for, a tuple for a list of tensors.
        mode: position of the argument that says whether the program is in training, or None.
    """

    target: str
    arguments: tuple[Any, ...]
    results: tuple[Any, ...]
    named: dict[str, Any] = field(default_factory=dict)
    module: str | None = None
    mode: int | None = None


@dataclass(frozen=True)
class Program:
    """A graph: the names of its arguments, its steps, its results, and how they are handed out.

    Attributes:
        inputs: for each argument its name, or None for one that is not used.
        steps: in order.
        outputs: the results.
        shape: how results are put into tuples, lists and dicts: `("tuple", keys or None, parts)`, or None for
            one.
    """

    inputs: tuple[str | None, ...]
    steps: tuple[Step, ...]
    outputs: tuple[Any, ...]
    shape: Any


class TorchProgram(nn.Module):
    """A program of torch.export, with nabi's modules for its recurrent operators.

    Weights have the names that they had in the exported model. `training` decides about dropout and batch
    normalisation; a program that is read is in evaluation mode.
    """

    def __init__(self, program: Program) -> None:
        super().__init__()
        self._program = program

    def forward(self, *arguments: Any) -> Any:
        """Run the program on the arguments of the exported model, in the same order.

        Raises:
            ArgumentError: the number of tensors is not that of the exported model.
        """
        given = _leaves(arguments)
        program = self._program
        if len(given) != len(program.inputs):
            raise ArgumentError(f"arguments: expected {len(program.inputs)} tensors, got {len(given)}")
        values = {name: value for name, value in zip(program.inputs, given, strict=True) if name is not None}
        device = next((one.device for one in given if isinstance(one, Tensor)), torch.device("cpu"))

        def found(value: Any) -> Any:
            if isinstance(value, Value):
                return values[value.name]
            if isinstance(value, Weight):
                return self._weight(value.name)
            if isinstance(value, Device):
                return device
            return [found(one) for one in value] if isinstance(value, list) else value

        for step in program.steps:
            taken = [found(one) for one in step.arguments]
            if step.mode is not None and step.mode < len(taken):
                taken[step.mode] = self.training
            run = operator_of(step.target) if step.module is None else self.get_submodule(step.module)
            result = run(*taken, **{name: found(one) for name, one in step.named.items()})
            _keep(values, step.results, result)
        return _shaped(iter([found(one) for one in program.outputs]), program.shape)

    def _weight(self, name: str) -> Tensor:
        path, _, last = name.rpartition(".")
        found: Tensor = getattr(self.get_submodule(path), last)
        return found

    def extra_repr(self) -> str:
        """Say how many steps there are."""
        return f"{len(self._program.steps)} steps"


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, (tuple, list)):
        return [leaf for one in value for leaf in _leaves(one)]
    if isinstance(value, dict):
        return [leaf for one in value.values() for leaf in _leaves(one)]
    return [value]


def _keep(values: dict[str, Any], names: Sequence[Any], result: Any) -> None:
    """Keep the results of a step by their names; those of a module are nested as it hands them out."""
    parts = _leaves(result) if isinstance(result, tuple) else [result]
    for name, part in zip(names, parts, strict=False):
        if isinstance(name, str):
            values[name] = part
        elif isinstance(name, tuple):
            values.update(zip(name, part, strict=True))


def _shaped(results: Any, shape: Any) -> Any:
    if shape is None:
        return next(results)
    kind, keys, parts = shape
    made = [_shaped(results, part) for part in parts]
    if kind == "dict":
        return dict(zip(keys, made, strict=True))
    return tuple(made) if kind == "tuple" else made
