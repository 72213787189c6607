"""What a cell reads beside `x`, as a module is given it: for each layer and direction in the scan's shape."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from nabi.errors import ArgumentError, ShapeError
from nabi.ir import Cell, Program
from nabi.nn._stack import Initial, Result
from nabi.scan import check_extra

__all__ = [
    "LayerInputs",
    "add_batch_to_inputs",
    "batch_first_inputs",
    "layer_inputs",
    "packed_inputs",
    "step_module_inputs",
]


class LayerInputs:
    """Runs one direction of one layer after the other, each with its further inputs.

    Args:
        run: runs a direction, as `run_stack` calls it, with `extra=`.
        inputs: further inputs by name.
        lead: shape of an input of a step in front of its width.
        batch: how many sequences there are.
        directions: 1 or 2.
    """

    def __init__(
        self,
        run: Callable[..., Result],
        inputs: Mapping[str, Any],
        lead: tuple[int, ...],
        batch: int,
        directions: int,
    ) -> None:
        self._run, self._inputs, self._lead, self._batch = run, inputs, lead, batch
        self._directions, self._number = directions, 0

    def __call__(
        self, program: Program, x: Tensor, initial: Initial, weights: list[Tensor], reverse: bool
    ) -> Result:
        """Run the next direction."""
        layer, direction = divmod(self._number, self._directions)
        self._number += 1
        given = {name: _of_direction(value, direction) for name, value in self._inputs.items()}
        extra = check_extra(program, layer_inputs(program, given, layer), self._lead, self._batch)
        return self._run(program, x, initial, weights, reverse=reverse, extra=extra)


def layer_inputs(program: Program, inputs: Mapping[str, Any], layer: int) -> dict[str, Any]:
    """Return the further inputs of a layer: what the one below outputs has always been observed."""
    found = dict(inputs)
    if layer and any(given.name == "observed" for given in program.inputs):
        found["observed"] = torch.ones(())
    return found


def _of_direction(value: Any, direction: int) -> Any:
    return value[direction] if _is_pair(value) else value


def _is_pair(value: Any) -> bool:
    """Whether a value has one part for each direction, rather than being one array."""
    if isinstance(value, PackedSequence):
        return False
    return isinstance(value, tuple) and len(value) == 2 and all(hasattr(part, "shape") for part in value)


def _mapped(inputs: Mapping[str, Any], change: Callable[[str, Any], Any]) -> dict[str, Any]:
    return {
        name: tuple([change(name, part) for part in value]) if _is_pair(value) else change(name, value)
        for name, value in inputs.items()
    }


def _is_of_steps(cell: Any, name: str) -> bool:
    """Whether an input is given at every step, and not once for a sequence."""
    return name not in getattr(cell, "sequence_inputs", Cell.sequence_inputs) and name != "position"


def add_batch_to_inputs(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Give the inputs of one sequence an axis for the batch; a number alone stands for any batch."""

    def change(name: str, value: Any) -> Any:
        if value is None or name == "position":
            return value
        value = torch.as_tensor(value)
        return value.unsqueeze(0) if value.dim() else value

    return _mapped(inputs, change)


def batch_first_inputs(cell: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Turn inputs that have the time in front of the batch."""

    def change(name: str, value: Any) -> Any:
        if value is None or not _is_of_steps(cell, name):
            return value
        value = torch.as_tensor(value)
        return value.transpose(0, 1) if value.dim() > 1 else value

    return _mapped(inputs, change)


def packed_inputs(cell: Any, inputs: Mapping[str, Any], x: PackedSequence) -> dict[str, Any]:
    """Bring inputs in the order of packed data.

    Raises:
        ArgumentError: one of the steps is neither packed nor a number.
        ShapeError: it is packed otherwise than `x`.
    """

    def change(name: str, value: Any) -> Any:
        if value is None:
            return value
        if isinstance(value, PackedSequence):
            same = torch.equal(value.batch_sizes, x.batch_sizes)
            if same and x.sorted_indices is not None and value.sorted_indices is not None:
                same = torch.equal(value.sorted_indices, x.sorted_indices)
            if not same:
                raise ShapeError(f"{name}: expected it to be packed as x is, in the same order")
            return value.data
        value = torch.as_tensor(value)
        if not value.dim():
            return value
        if _is_of_steps(cell, name):
            raise ArgumentError(
                f"{name}: expected a PackedSequence, as x is one, or one number, got a tensor"
            )
        return value if x.sorted_indices is None else value.index_select(0, x.sorted_indices)

    return _mapped(inputs, change)


def step_module_inputs(
    module: nn.Module, inputs: Mapping[str, Any], x: Tensor
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Divide the further inputs of a step that is a torch module.

    Args:
        module: the step; its `sequence_inputs` are the names of those that are given once for a sequence,
            `("static",)` if it has none.
        inputs: by name.
        x: `[B, T, ...]`.

    Returns:
        Those of every step, `[B, T, ...]`, and those of a sequence.

    Raises:
        ShapeError: one of a step has another shape.
    """
    of_steps: dict[str, Tensor] = {}
    of_sequences: dict[str, Any] = {}
    for name, value in inputs.items():
        if value is None:
            continue
        if not _is_of_steps(module, name):
            of_sequences[name] = value
            continue
        found = torch.as_tensor(value, device=x.device)
        if found.shape[:2] != x.shape[:2]:
            raise ShapeError(
                f"{name}: expected shape {tuple(x.shape[:2])} [batch, time steps], with or without more "
                f"dimensions, got {tuple(found.shape)}"
            )
        of_steps[name] = found
    return of_steps, of_sequences
