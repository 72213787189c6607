"""Steps that the language of cells cannot express: any torch module, run over time."""

from functools import partial
from typing import Any

from torch import Tensor, nn

from nabi import _checks
from nabi.errors import ArgumentError
from nabi.nn._inputs import step_module_inputs
from nabi.nn._stack import Result, States
from nabi.scan import loop, new_states

__all__ = ["check_step_module", "run_step_module", "step_module_once"]

_REASONS = {
    "recompute": "autograd keeps what it reads; use torch.utils.checkpoint inside of it",
    "dropout": "it falls between layers, and a module is one layer",
    "initializer": "it brings its own weights",
    "initial_values": "it brings its own weights",
    "device": "move the module itself",
    "dtype": "move the module itself",
}


def check_step_module(module: Any, num_layers: int, bidirectional: bool, **unused: Any) -> dict[str, int]:
    """Return the widths of the states of a step module, or say why it is none.

    Args:
        module: the step.
        num_layers, bidirectional: of the RNN.
        **unused: arguments that have no meaning for a module, by name, each None where it is not given.

    Raises:
        ArgumentError: it is no module, has no `state_widths`, is to be stacked, or an argument would be
            ignored.
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
    where = f"cell: {type(module).__name__}.state_widths"
    for name in widths:
        if not isinstance(name, str):
            raise ArgumentError(f"{where}: expected names of states, got {_checks.short(name)}")
    widths = {name: _checks.whole(f"{where}[{name!r}]", width) for name, width in widths.items()}
    ignored = [name for name, value in unused.items() if value is not None]
    if ignored:
        reasons = "; ".join(_REASONS[name] for name in ignored)
        raise ArgumentError(f"{', '.join(ignored)}: not for a step that is a torch module: {reasons}")
    return widths


def run_step_module(
    module: nn.Module, x: Tensor, states: States, options: dict[str, Any], inputs: dict[str, Any]
) -> Result:
    """Run a step module over `x [B, T, D]` from states `[1, B, width]`; returns as `run_stack` does.

    Args:
        module: the step.
        x, states: input and initial states.
        options: `lengths`, `mask`, `resets` and `truncate` of `nabi.scan.loop`.
        inputs: further inputs, which the module takes by name.
    """
    extra, of_sequences = step_module_inputs(module, inputs, x)
    once = partial(module, **of_sequences) if of_sequences else module
    output, final, every = loop(once, x, [state[0] for state in states], extra=extra, **options)
    return output, tuple([last.unsqueeze(0) for last in final]), tuple([each.unsqueeze(0) for each in every])


def step_module_once(
    module: nn.Module, x: Tensor, states: States, inputs: dict[str, Any]
) -> tuple[Tensor, States]:
    """Take one step from `x [B, D]` and states `[1, B, width]`."""
    old = [state[0] for state in states]
    found = new_states(module(x, *old, **inputs), old, type(module).__name__)
    return found[0], tuple([state.unsqueeze(0) for state in found])
