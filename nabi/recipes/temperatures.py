"""Minimum temperatures in Melbourne by the day, 1981 to 1990 (many to many).

Tomorrow is like today, and the year comes again: the last value and the season of 365 days are both hard to
beat, and together they are better. The last year is the test part; each of its days is an origin.
"""

from nabi.data import read_series
from nabi.recipes._results._forecasting import learn, show_test
from nabi.recipes._run._data_file import find_data
from nabi.recipes._run._run import Run

__all__ = ["main"]

FILE = "daily-min-temperatures.csv"
HORIZON, TESTED = 7, 365
BASELINES = ("last value", "seasonal naive", "exponential smoothing")


def main(run: Run) -> None:
    """Learn nine years, forecast a week from every day of the tenth."""
    temperatures = read_series(find_data("temperatures", run.data, FILE, "series"))
    [series] = temperatures.series
    known = temperatures.with_series([series.until(len(series) - TESTED)])
    model = learn(run, known, HORIZON)
    show_test(run, model, known, temperatures, (1, 3, 7), baselines=BASELINES, lags=14)
