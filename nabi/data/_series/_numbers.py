"""The number series of the first lecture: four numbers and the one that follows."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nabi._public import public
from nabi.data._series._windows import windows

__all__ = ["NumberSeries", "number_series"]

_Array = npt.NDArray[np.float32]


class NumberSeries(NamedTuple):
    """Windows of four numbers, each with the number that follows, and two windows held out of training."""

    inputs: _Array
    """`[6, 4, 1]`: 0.0 to 0.3, 0.1 to 0.4, ... 0.5 to 0.8."""
    targets: _Array
    """`[6]`: 0.4, 0.5, ... 0.9."""
    unseen_inputs: _Array
    """`[2, 4, 1]`: 0.6 to 0.9, and -0.1 to 0.2."""
    unseen_targets: _Array
    """`[2]`: 1.0 and 0.3."""


@public
def number_series() -> NumberSeries:
    """Return six windows over 0.0, 0.1, ... 0.9 with their next numbers, and two unseen windows, as float32.

    >>> series = number_series()
    >>> series.inputs.shape, series.targets.shape
    ((6, 4, 1), (6,))
    >>> series.inputs[0, :, 0].tolist() == np.float32([0.0, 0.1, 0.2, 0.3]).tolist()
    True
    """
    numbers = (np.arange(-1, 11) / 10).astype(np.float32)  # -0.1 to 1.0: one extra number at either end
    every_input, every_target = windows(numbers[:, None], 4)
    inputs, targets = every_input.astype(np.float32), every_target[:, 0].astype(np.float32)
    return NumberSeries(inputs[1:7], targets[1:7], inputs[[7, 0]], targets[[7, 0]])
