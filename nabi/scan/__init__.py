"""A cell run over time: one torch operator, its derivative, lengths, masks, resets, states."""

from nabi._operator import register
from nabi.scan._arguments import check_dense
from nabi.scan._definition import Layout, Options
from nabi.scan._full_batch import scan_full_batch
from nabi.scan._noise import sample_noise
from nabi.scan._operator import backward_pass, forward_pass
from nabi.scan._prepared import PreparedStep
from nabi.scan._scan import scan, scan_packed
from nabi.scan._training import TrainingPass
from nabi.scan._unroll import loop, new_states, static_scan, step

__all__ = [
    "Layout",
    "Options",
    "PreparedStep",
    "TrainingPass",
    "backward_pass",
    "check_dense",
    "forward_pass",
    "loop",
    "new_states",
    "sample_noise",
    "scan",
    "scan_full_batch",
    "scan_packed",
    "static_scan",
    "step",
]

register()
