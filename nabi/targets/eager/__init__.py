"""The torch target, which runs everywhere. Its definition specifies what a cell means."""

from typing import TYPE_CHECKING

from nabi._lazy import loaded_when_asked

if TYPE_CHECKING:
    from nabi.targets.eager._code import kernel_source
    from nabi.targets.eager._definition import (
        StepFunction,
        named_values,
        run_definition,
        sequence_function,
        step_function,
    )
    from nabi.targets.eager._kernel import noise_rows, run_backward, run_forward
    from nabi.targets.eager._prologue import lower, prepare_lowering
    from nabi.targets.eager._render import added_operation
    from nabi.targets.eager._results import Gradients, Record
else:
    # Programs that run native code need none of it.
    __getattr__, __dir__ = loaded_when_asked(
        __name__,
        {
            "nabi.targets.eager._code": ["kernel_source"],
            "nabi.targets.eager._definition": [
                "StepFunction",
                "named_values",
                "run_definition",
                "sequence_function",
                "step_function",
            ],
            "nabi.targets.eager._kernel": ["noise_rows", "run_backward", "run_forward"],
            "nabi.targets.eager._prologue": ["lower", "prepare_lowering"],
            "nabi.targets.eager._render": ["added_operation"],
            "nabi.targets.eager._results": ["Gradients", "Record"],
        },
    )

__all__ = [
    "Gradients",
    "Record",
    "StepFunction",
    "added_operation",
    "kernel_source",
    "lower",
    "named_values",
    "noise_rows",
    "prepare_lowering",
    "run_backward",
    "run_definition",
    "run_forward",
    "sequence_function",
    "step_function",
]
