"""Steps that the language of cells cannot express: any torch module, run over time."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from nabi.errors import ArgumentError
from nabi.nn._stack import Result, States
from nabi.scan import loop

__all__ = ["check_step_module", "run_step_module", "step_module_once"]


def check_step_module(module: Any, num_layers: int, bidirectional: bool) -> dict[str, int]:
    """Return the widths of the states of a step module, or say why it is none.

    Raises:
        ArgumentError: it is no module, has no `state_widths`, or is to be stacked.
    """
    if not isinstance(module, nn.Module):
        given = f"the class {module.__name__}" if isinstance(module, type) else repr(module)
        raise ArgumentError(
            f"cell: expected a cell, for instance nabi.cells.LSTM(128), or a torch module, got {given}"
        )
    widths = getattr(module, "state_widths", None)
    if not isinstance(widths, dict) or not widths:
        raise ArgumentError(
            f"cell: {type(module).__name__} needs an attribute state_widths, a dict from the names of its "
            f"states to their widths, got {widths!r}"
        )
    if num_layers != 1 or bidirectional:
        raise ArgumentError(
            "num_layers, bidirectional: a step that is a torch module has the weights of one layer and one "
            "direction; make one RNN of each"
        )
    return dict(widths)


def run_step_module(module: nn.Module, x: Tensor, states: States, options: dict[str, Any]) -> Result:
    """Run a step module over `x [B, T, D]` from states `[1, B, width]`; returns as `run_stack` does.

    Args:
        module: the step.
        x, states: input and initial states.
        options: `lengths`, `mask`, `resets` and `truncate` of `nabi.scan.loop`.
    """

    def step(x_t: Tensor, *now: Tensor) -> Sequence[Tensor]:
        new: Tensor | Sequence[Tensor] = module(x_t, *now)
        return (new,) if isinstance(new, Tensor) else new

    output, final, every = loop(step, x, [state[0] for state in states], **options)
    return output, tuple([last.unsqueeze(0) for last in final]), tuple([each.unsqueeze(0) for each in every])


def step_module_once(module: nn.Module, x: Tensor, states: States) -> tuple[Tensor, States]:
    """Take one step from `x [B, D]` and states `[1, B, width]`."""
    new = module(x, *[state[0] for state in states])
    found = (new,) if isinstance(new, Tensor) else tuple(new)
    return found[0], tuple([state.unsqueeze(0) for state in found])
