"""What a traced step is turned into: one file or folder for each target.

`eager` (torch, the definition), `llvm` (native code for CPUs), `latex` and `picture`. `run_forward` and
`run_backward` choose between the first two, and so does `prepare`, for the steps of a training; nothing
outside this room asks which target runs.
"""

from nabi.targets import eager, latex, picture
from nabi.targets._adam import AdamSteps, adam_steps
from nabi.targets._dropout import Kept, draw_kept
from nabi.targets._full_batch import BatchShape, FullBatch, full_batch
from nabi.targets._pooled_convolution import PooledConvolution, pooled_convolution
from nabi.targets._prepared import Prepared, prepare
from nabi.targets._prepared_step import Step, prepare_step
from nabi.targets._rows import Rows
from nabi.targets._run import Gradients, Record, run_backward, run_forward
from nabi.targets._small import SmallDense, SmallLoss, small_dense, small_loss

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
    "draw_kept",
    "eager",
    "full_batch",
    "latex",
    "picture",
    "pooled_convolution",
    "prepare",
    "prepare_step",
    "run_backward",
    "run_forward",
    "small_dense",
    "small_loss",
]
