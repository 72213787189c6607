"""What a traced step is turned into: one file or folder for each target.

`eager` (torch, the definition), `llvm` (native code for CPUs), `latex` and `picture`. `run_forward` and
`run_backward` choose between the first two, and so does `prepare`, for the steps of a training; nothing
outside this room asks which target runs.
"""

from typing import TYPE_CHECKING

from nabi._when_asked import loaded_when_asked

if TYPE_CHECKING:
    from nabi.targets import eager, latex, picture
    from nabi.targets._adam import AdamSteps, adam_steps
    from nabi.targets._batches import gather, rows_of_lengths, rows_of_mask, spread
    from nabi.targets._dropout import Kept, draw_kept
    from nabi.targets._full_batch import BatchShape, FullBatch, full_batch
    from nabi.targets._pooled_convolution import PooledConvolution, pooled_convolution
    from nabi.targets._prepared import Prepared, prepare
    from nabi.targets._prepared_step import Step, prepare_step
    from nabi.targets._rows import Rows
    from nabi.targets._run import Gradients, Record, run_backward, run_forward
    from nabi.targets._small import SmallDense, SmallLoss, small_dense, small_loss
    from nabi.targets._watching import are_ordinary, has_lost_memory, is_watched
else:
    # What runs cells needs torch; what shows them does not, and what runs them shows nothing.
    __getattr__, __dir__ = loaded_when_asked(
        __name__,
        {
            "nabi.targets._adam": ["AdamSteps", "adam_steps"],
            "nabi.targets._batches": ["gather", "rows_of_lengths", "rows_of_mask", "spread"],
            "nabi.targets._dropout": ["Kept", "draw_kept"],
            "nabi.targets._full_batch": ["BatchShape", "FullBatch", "full_batch"],
            "nabi.targets._pooled_convolution": ["PooledConvolution", "pooled_convolution"],
            "nabi.targets._prepared": ["Prepared", "prepare"],
            "nabi.targets._prepared_step": ["Step", "prepare_step"],
            "nabi.targets._rows": ["Rows"],
            "nabi.targets._run": ["Gradients", "Record", "run_backward", "run_forward"],
            "nabi.targets._small": ["SmallDense", "SmallLoss", "small_dense", "small_loss"],
            "nabi.targets._watching": ["are_ordinary", "has_lost_memory", "is_watched"],
        },
    )

__all__ = [
    "AdamSteps",
    "BatchShape",
    "FullBatch",
    "Gradients",
    "Kept",
    "PooledConvolution",
    "Prepared",
    "Record",
    "Rows",
    "SmallDense",
    "SmallLoss",
    "Step",
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
]
