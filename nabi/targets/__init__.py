"""What a traced step is turned into: one file or folder for each target.

`eager` (torch, the definition), `llvm` (native code for CPUs), `torch_operators` (torch's own, for graphics
cards), `onnx`, `latex` and `picture`. `run_forward` and `run_backward` choose between the first three;
`full_batch`, `prepare` and `prepare_step` do so for what is run often. Nothing outside this room asks which
target runs.
"""

from typing import TYPE_CHECKING

from nabi._lazy import loaded_when_asked

if TYPE_CHECKING:
    from nabi.kernels import (
        Kept,
        PooledConvolution,
        Rows,
        SmallDense,
        SmallLoss,
        adam_steps,
        draw_kept,
        gather,
        pooled_convolution,
        rows_of_lengths,
        rows_of_mask,
        small_dense,
        small_loss,
        spread,
    )
    from nabi.native import are_ordinary, has_lost_memory, is_watched
    from nabi.targets import eager, latex, picture, torch_operators
    from nabi.targets._run import (
        Gradients,
        Record,
        Step,
        TorchPasses,
        full_batch,
        prepare,
        prepare_step,
        run_backward,
        run_forward,
    )
    from nabi.targets.llvm._binder import Passes, TrainingPasses
else:
    # What runs cells needs torch; what shows them does not, and what runs them shows nothing.
    __getattr__, __dir__ = loaded_when_asked(
        __name__,
        {
            # They have rooms of their own now; these names stay.
            "nabi.kernels": [
                "Kept",
                "PooledConvolution",
                "Rows",
                "SmallDense",
                "SmallLoss",
                "adam_steps",
                "draw_kept",
                "gather",
                "pooled_convolution",
                "rows_of_lengths",
                "rows_of_mask",
                "small_dense",
                "small_loss",
                "spread",
            ],
            "nabi.native": ["are_ordinary", "has_lost_memory", "is_watched"],
            "nabi.targets.llvm._binder": ["Passes", "TrainingPasses"],
            "nabi.targets._run": [
                "Gradients",
                "Record",
                "Step",
                "TorchPasses",
                "full_batch",
                "prepare",
                "prepare_step",
                "run_backward",
                "run_forward",
            ],
        },
    )

__all__ = [
    "Gradients",
    "Kept",
    "Passes",
    "PooledConvolution",
    "Record",
    "Rows",
    "SmallDense",
    "SmallLoss",
    "Step",
    "TorchPasses",
    "TrainingPasses",
    "adam_steps",
    "are_ordinary",
    "draw_kept",
    "eager",
    "full_batch",
    "gather",
    "has_lost_memory",
    "is_watched",
    "latex",
    "picture",
    "pooled_convolution",
    "prepare",
    "prepare_step",
    "rows_of_lengths",
    "rows_of_mask",
    "run_backward",
    "run_forward",
    "small_dense",
    "small_loss",
    "spread",
    "torch_operators",
]
