"""Torch's own recurrent operators, which use cuDNN on a graphics card, for cells with their equations."""

from typing import TYPE_CHECKING

from nabi._lazy import loaded_when_asked

if TYPE_CHECKING:
    from nabi.targets.torch_operators._form import Part, TorchForm, torch_form
    from nabi.targets.torch_operators._running import (
        OperatorRecord,
        are_for_operator,
        run_backward,
        run_forward,
        torch_weights,
    )
else:
    # What runs natively needs none of it.
    __getattr__, __dir__ = loaded_when_asked(
        __name__,
        {
            "nabi.targets.torch_operators._form": ["Part", "TorchForm", "torch_form"],
            "nabi.targets.torch_operators._running": [
                "OperatorRecord",
                "are_for_operator",
                "run_backward",
                "run_forward",
                "torch_weights",
            ],
        },
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
