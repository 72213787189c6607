"""Small sets of series for tests of the forecaster."""

from datetime import datetime

import numpy as np

from nabi.data import Frequency, Series, SeriesSet
from nabi.models import Forecaster


def shops(count: int = 12, steps: int = 44, seed: int = 0, gaps: bool = False) -> SeriesSet:
    """Quarterly sales with a season; prices, which are known for ten more steps, lower them."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(count):
        length = steps - number % 5
        price = random.integers(0, 2, length + 10).astype(float)
        level = 50 * (number + 1)
        season = np.tile([1.0, 1.3, 0.8, 0.9], length)[:length]
        sales = level * season * (1 - 0.3 * price[:length]) * random.normal(1, 0.03, length)
        weather = random.normal(size=length)
        if gaps:
            sales[5:8], weather[9] = np.nan, np.nan
        found.append(
            Series(
                f"shop {number}",
                datetime(2001, 1, 1),
                sales,
                price[:, None],
                weather[:, None],
                np.array([float(number)]),
            )
        )
    return SeriesSet(tuple(found), Frequency("quarter"), ("price",), ("weather",), ("size",))


def small(**said: object) -> Forecaster:
    """Return a forecaster that trains in a second or two."""
    usual: dict[str, object] = {
        "units": 6,
        "networks": 2,
        "window": 6,
        "season": 4,
        "batch_size": 2,
        "seed": 1,
    }
    return Forecaster(said.pop("cell", "gru"), **{**usual, **said})  # type: ignore[arg-type]
