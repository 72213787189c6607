"""Airline passengers by the month, 1949 to 1960: the series of Box and Jenkins (many to many).

One short series with a season that grows is what exponential smoothing was made for. The forecaster reads it
through such smoothings, and says whether its networks add anything. The last twelve months are the test part.
"""

from nabi.data import read_series
from nabi.models import Forecaster
from nabi.recipes._results._forecasting import learn, show_test
from nabi.recipes._run._data_file import find_data
from nabi.recipes._run._run import Run

__all__ = ["main"]

FILE = "airline-passengers.csv"
HORIZON = TESTED = 12
BASELINES = ("last value", "seasonal naive", "Theta", "Holt-Winters", "median of five")


def main(run: Run) -> None:
    """Learn eleven years, forecast the twelfth, then the year after it."""
    passengers = read_series(find_data("airline", run.data, FILE, "series"))
    [series] = passengers.series
    known = passengers.with_series([series.until(len(series) - TESTED)])
    model: Forecaster = learn(run, known, HORIZON)
    show_test(run, model, known, passengers, (1, 6, 12), baselines=BASELINES, lags=14)
