"""What every recurrent module does around the scan: layers, directions, dropout between them, autocast."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import dropout as drop

from nabi.ir import Program

__all__ = ["Initial", "Layers", "Result", "States", "add_batch", "run_stack"]

# Names for what the inner functions take and give: torch.compile cannot evaluate `|` in their annotations.
States = tuple[Tensor, ...]
Initial = States | None
Result = tuple[Tensor, States, States | None]
Layers = Sequence[tuple[Program, Sequence[Tensor]]]


def run_stack(
    run: Callable[..., Result],
    layers: Layers,
    x: Tensor,
    states: Sequence[Tensor] | None,
    dtype: torch.dtype | None,
    *,
    directions: int = 1,
    dropout: float = 0.0,
    every_dim: int = 0,
) -> Result:
    """Run layer upon layer, each in one or two directions, and collect the states.

    Args:
        run: runs one direction of one layer, `run(program, x, initial, weights, reverse=...)`; gives the
            output, the final states, and the states of every step or None.
        layers: program and weights of each direction of each layer.
        x: the input of the first layer, features last.
        states: initial states, each `[layers * directions, batch, width]`, or None for zeros.
        dtype: what autocast asks for, or None: everything runs in it, as torch's own recurrent modules do.
        directions: 1 or 2; the outputs of two are concatenated.
        dropout: rate between the layers, zero outside training.
        every_dim: axis at which the states of every step are stacked.

    Returns:
        The last layer's output, the final states `[layers * directions, batch, width]`, and the states of
        every step stacked likewise (None if `run` gives none).
    """
    if dtype is None:
        return _run_stack(run, layers, x, states, directions, dropout, every_dim)
    states = None if states is None else [state.to(dtype) for state in states]
    with torch.autocast(x.device.type, enabled=False):
        return _run_stack(run, layers, x.to(dtype), states, directions, dropout, every_dim)


def _run_stack(
    run: Callable[..., Result],
    layers: Layers,
    x: Tensor,
    states: Sequence[Tensor] | None,
    directions: int,
    dropout: float,
    every_dim: int,
) -> Result:
    final: list[States] = []
    every: list[States] = []
    outputs: list[Tensor] = []
    for index, (program, weights) in enumerate(layers):
        initial = None if states is None else tuple([state[index] for state in states])
        weights = [weight if weight.dtype is x.dtype else weight.to(x.dtype) for weight in weights]
        output, last, each = run(program, x, initial, weights, reverse=index % directions == 1)
        outputs.append(output)
        final.append(last)
        if each is not None:
            every.append(each)
        if len(outputs) == directions:
            x = output if directions == 1 else torch.cat(outputs, -1)
            outputs = []
            if dropout and index < len(layers) - 1:
                x = drop(x, dropout)
    return x, _join(final, 0), _join(every, every_dim) if every else None


def _join(states: list[States], dim: int) -> States:
    if len(states) == 1:
        return tuple([state.unsqueeze(dim) for state in states[0]])
    return tuple([torch.stack(same, dim) for same in zip(*states, strict=True)])


def add_batch(value: Any, rank: int) -> Any:
    """Give `lengths`, `mask` or `resets` of one sequence (of this rank) an axis for the batch."""
    if value is None:
        return None
    value = torch.as_tensor(value)
    return value.unsqueeze(0) if value.dim() == rank else value
