"""Torch's own recurrent operators, which use cuDNN on a graphics card, for cells with their equations."""

from nabi.targets.torch_operators._form import Part, TorchForm, torch_form
from nabi.targets.torch_operators._running import (
    OperatorRecord,
    are_for_operator,
    run_backward,
    run_forward,
    torch_weights,
)

__all__ = [
    "OperatorRecord",
    "Part",
    "TorchForm",
    "are_for_operator",
    "run_backward",
    "run_forward",
    "torch_form",
    "torch_weights",
]
