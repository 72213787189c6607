"""The torch target, which runs everywhere. Its definition specifies what a cell means."""

from nabi.targets.eager._code import kernel_source
from nabi.targets.eager._definition import StepFunction, named_values, run_definition, step_function
from nabi.targets.eager._kernel import Gradients, Record, noise_rows, run_backward, run_forward

__all__ = [
    "Gradients",
    "Record",
    "StepFunction",
    "kernel_source",
    "named_values",
    "noise_rows",
    "run_backward",
    "run_definition",
    "run_forward",
    "step_function",
]
