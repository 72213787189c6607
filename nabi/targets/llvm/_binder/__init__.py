"""The kernels of a program, bound to what stays from run to run."""

from typing import TYPE_CHECKING

from nabi._lazy import loaded_when_asked
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

if TYPE_CHECKING:
    from nabi.targets.llvm._binder._small_weights import SmallWeightsRun, small_weights_run
    from nabi.targets.llvm._binder._training import TrainingPasses
else:
    __getattr__, __dir__ = loaded_when_asked(
        __name__,
        {
            "nabi.targets.llvm._binder._small_weights": ["SmallWeightsRun", "small_weights_run"],
            "nabi.targets.llvm._binder._training": ["TrainingPasses"],
        },
    )

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
