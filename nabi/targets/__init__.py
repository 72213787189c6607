"""What a traced step is turned into: one file or folder for each target.

`eager` (torch, the definition), `llvm` (native code for CPUs), `latex` and `picture`. `run_forward` and
`run_backward` choose between the first two; nothing outside this room asks which target runs.
"""

from nabi.targets import eager, latex, picture
from nabi.targets._dropout import Kept, draw_kept
from nabi.targets._pooled_convolution import PooledConvolution, pooled_convolution
from nabi.targets._rows import Rows
from nabi.targets._run import Gradients, Record, run_backward, run_forward

__all__ = [
    "Gradients",
    "Kept",
    "PooledConvolution",
    "Record",
    "Rows",
    "draw_kept",
    "eager",
    "latex",
    "picture",
    "pooled_convolution",
    "run_backward",
    "run_forward",
]
