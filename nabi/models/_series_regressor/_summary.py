"""What the linear model beside a series regressor reads: a few figures of a series."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi.models._sequences._baselines import summary_features

__all__ = ["features_of"]


def features_of(series: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
    """Return features `[N, F]` of series `[T, D]`: mean, deviation, 8 steps of each channel; their length."""
    rows = [np.concatenate([*summary_features(one).values(), [len(one)]]) for one in series]
    return np.stack(rows).astype(np.float64)
