"""The kernels of a program, bound to what stays from run to run."""

from nabi.targets.llvm._binder._records import NativeRecord
from nabi.targets.llvm._binder._runs import (
    Passes,
    Steps,
    layout_of,
    readable,
    run_backward,
    run_forward,
    weights_of,
)
from nabi.targets.llvm._binder._small_weights import SmallWeightsRun, small_weights_run
from nabi.targets.llvm._binder._training import TrainingPasses

__all__ = [
    "NativeRecord",
    "Passes",
    "SmallWeightsRun",
    "Steps",
    "TrainingPasses",
    "layout_of",
    "readable",
    "run_backward",
    "run_forward",
    "small_weights_run",
    "weights_of",
]
