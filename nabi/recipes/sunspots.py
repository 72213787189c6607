"""Sunspots by the month, 1749 to 1983 (many to many).

The cycle has about eleven years, but no fixed length: a season would be wrong, and the forecaster finds none.
The last fifth is the test part; each of its months is an origin.
"""

from nabi.data import read_series
from nabi.recipes._results._forecasting import learn, show_test
from nabi.recipes._run._data_file import find_data
from nabi.recipes._run._run import Run

__all__ = ["main"]

FILE = "monthly-sunspots.csv"
HORIZON, SHARE = 12, 0.8
BASELINES = ("last value", "exponential smoothing")


def main(run: Run) -> None:
    """Learn four fifths, forecast twelve months from every month of the last fifth."""
    sunspots = read_series(find_data("sunspots", run.data, FILE, "series"))
    [series] = sunspots.series
    known = sunspots.with_series([series.until(int(len(series) * SHARE))])
    model = learn(run, known, HORIZON)
    show_test(run, model, known, sunspots, (1, 6, 12), baselines=BASELINES, lags=36)
