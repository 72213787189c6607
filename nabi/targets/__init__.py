"""What a traced step is turned into: one file or folder for each target.

`eager` (torch, the definition), `llvm` (native code for CPUs), `latex` and `picture`. `run_forward` and
`run_backward` choose between the first two, and so does `prepare`, for the steps of a training; nothing
outside this room asks which target runs.
"""

from nabi.targets import eager, latex, picture
from nabi.targets._batches import gather, rows_of_lengths, rows_of_mask, spread
from nabi.targets._dropout import Kept, draw_kept
from nabi.targets._full_batch import BatchShape, FullBatch, full_batch
from nabi.targets._pooled_convolution import PooledConvolution, pooled_convolution
from nabi.targets._prepared import Prepared, prepare
from nabi.targets._prepared_step import Step, prepare_step
from nabi.targets._rows import Rows
from nabi.targets._run import Gradients, Record, run_backward, run_forward

__all__ = [
    "BatchShape",
    "FullBatch",
    "Gradients",
    "Kept",
    "PooledConvolution",
    "Prepared",
    "Record",
    "Rows",
    "Step",
    "draw_kept",
    "eager",
    "full_batch",
    "gather",
    "latex",
    "picture",
    "pooled_convolution",
    "prepare",
    "prepare_step",
    "rows_of_lengths",
    "rows_of_mask",
    "run_backward",
    "run_forward",
    "spread",
]
