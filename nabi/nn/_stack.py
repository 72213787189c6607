"""What every recurrent module does around the scan: layers, directions, dropout between them, autocast."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import dropout as drop

__all__ = ["Initial", "Result", "States", "add_batch", "autocast_dtype", "run_stack"]

# Names for what the inner functions take and give: torch.compile cannot evaluate `|` in their annotations.
States = tuple[Tensor, ...]
Initial = States | None
Result = tuple[Tensor, States, States | None]
RunDirection = Callable[[int, int, Tensor, Initial], Result]


def run_stack(
    run: RunDirection,
    x: Tensor,
    states: Sequence[Tensor] | None,
    *,
    layers: int = 1,
    directions: int = 1,
    dropout: float = 0.0,
    every_dim: int = 0,
) -> Result:
    """Run layer upon layer, each in one or two directions, and collect the states.

    Under autocast everything runs in the dtype it asks for, as torch's own recurrent modules do: `run`
    gets its input and states in that dtype and has to bring its weights to `x.dtype`.

    Args:
        run: runs one direction of one layer: `(layer, direction, x, initial) -> (output, final, every)`.
        x: the input of the first layer, features last.
        states: initial states, each `[layers * directions, batch, width]`, or None for zeros.
        layers: how many.
        directions: 1 or 2; the outputs of two are concatenated.
        dropout: rate between the layers, zero outside training.
        every_dim: axis at which the states of every step are stacked.

    Returns:
        The last layer's output, the final states `[layers * directions, batch, width]`, and the states of
        every step stacked likewise (None if `run` gives none).
    """
    dtype = autocast_dtype(x)
    if dtype is not None:
        x = x.to(dtype)
        states = None if states is None else [state.to(dtype) for state in states]
        with torch.autocast(x.device.type, enabled=False):
            return _run_stack(run, x, states, layers, directions, dropout, every_dim)
    return _run_stack(run, x, states, layers, directions, dropout, every_dim)


def _run_stack(
    run: RunDirection,
    x: Tensor,
    states: Sequence[Tensor] | None,
    layers: int,
    directions: int,
    dropout: float,
    every_dim: int,
) -> Result:
    if layers == directions == 1:
        initial = None if states is None else tuple([state[0] for state in states])
        x, last, each = run(0, 0, x, initial)
        return x, _join([last], 0), None if each is None else _join([each], every_dim)
    final: list[States] = []
    every: list[States] = []
    for layer in range(layers):
        outputs = []
        for direction in range(directions):
            index = layer * directions + direction
            initial = None if states is None else tuple([state[index] for state in states])
            output, last, each = run(layer, direction, x, initial)
            outputs.append(output)
            final.append(last)
            if each is not None:
                every.append(each)
        x = outputs[0] if directions == 1 else torch.cat(outputs, -1)
        if dropout and layer < layers - 1:
            x = drop(x, dropout)
    return x, _join(final, 0), _join(every, every_dim) if every else None


def _join(states: list[States], dim: int) -> States:
    if len(states) == 1:
        return tuple([state.unsqueeze(dim) for state in states[0]])
    return tuple([torch.stack(same, dim) for same in zip(*states, strict=True)])


def autocast_dtype(x: Tensor) -> torch.dtype | None:
    """Return the dtype that autocast asks for; None where it is off and for float64, left alone."""
    # Autocast knows nothing of the meta device, and says so with an error.
    if x.is_meta or not torch.is_autocast_enabled(x.device.type) or x.dtype == torch.float64:
        return None
    return torch.get_autocast_dtype(x.device.type)


def add_batch(value: Any, rank: int) -> Any:
    """Give `lengths`, `mask` or `resets` of one sequence (of this rank) an axis for the batch."""
    if value is None:
        return None
    value = torch.as_tensor(value)
    return value.unsqueeze(0) if value.dim() == rank else value
