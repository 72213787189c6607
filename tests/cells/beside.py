"""Cells of other packages, as functions of a step, with their weights under nabi's names.

A `Peer` is the module and two functions: `weights` gives its weights by nabi's names, `step` runs it.
Where a package differs from the paper, its difference is switched off here, and said so.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

Named = dict[str, Tensor]
INPUTS, UNITS = 3, 5


class Peer(NamedTuple):
    """Another package's cell beside one of nabi's.

    Attributes:
        name: of nabi's cell.
        module: the other one, with weights that a test has drawn.
        weights: returns its weights by nabi's names; nabi's own states come in the order of its cell.
        step: from the input and the states to the new states.
        settings: of nabi's cell.
        inputs: width of the input.
    """

    name: str
    module: nn.Module
    weights: Callable[[Any], Named]
    step: Callable[[Any, Tensor, tuple[Tensor, ...]], Sequence[Tensor]]
    settings: dict[str, Any]
    inputs: int = INPUTS


def one_state(module: Any, x: Tensor, states: tuple[Tensor, ...]) -> Sequence[Tensor]:
    return (module(x, states[0]),)


def two_states(module: Any, x: Tensor, states: tuple[Tensor, ...]) -> Sequence[Tensor]:
    found: Sequence[Tensor] = module(x, states)
    return found


def blocks(tensor: Tensor, gates: Sequence[str], prefix: str) -> Named:
    """Rows of a stacked tensor, one block a gate; gates called "" are left out."""
    parts = tensor.chunk(len(gates), 0)
    return {f"{prefix}{gate}": part for gate, part in zip(gates, parts, strict=True) if gate}


def stacked(of_x: Sequence[str], of_h: Sequence[str], letter: str = "h") -> Callable[[Any], Named]:
    """Weights of a module with `weight_ih`, `weight_hh` and two biases, whose sum is nabi's one."""

    def weights(module: Any) -> Named:
        found = blocks(module.weight_ih, of_x, "W_x")
        matrix = module.weight_hh.dim() == 2
        found |= blocks(module.weight_hh, of_h, f"{'W' if matrix else 'w'}_{letter}")
        biases = blocks(module.bias_ih, of_x, "b_")
        for name, value in blocks(module.bias_hh, of_h, "b_").items():
            biases[name] = biases[name] + value if name in biases else value
        return found | biases

    return weights


def with_more(base: Callable[[Any], Named], more: Callable[[Any], Named]) -> Callable[[Any], Named]:
    return lambda module: base(module) | more(module)


def zero(tensor: Tensor) -> None:
    with torch.no_grad():
        tensor.zero_()
