"""Fine dust in Beijing by the hour, 2010 to 2014, with the weather (many to many).

Every twentieth hour has no measurement: such hours are missing to the network, and neither learnt from nor
scored. The weather up to now is known, that to come is not. 2010 to 2013 is the training part, 2014 the test
part.
"""

from datetime import datetime

from nabi.data import read_series
from nabi.recipes._results._forecasting import learn, show_test
from nabi.recipes._run._data_file import find_data
from nabi.recipes._run._run import Run

__all__ = ["main"]

FILE = "pollution.csv.xz"
WEATHER = ("DEWP", "TEMP", "PRES", "cbwd", "Iws", "Is", "Ir")
HORIZON, TEST_BEGINS = 24, datetime(2014, 1, 1)
BASELINES = ("last value",)


def main(run: Run) -> None:
    """Learn four years, forecast 24 hours from every hour of the fifth."""
    file = find_data("pollution", run.data, FILE, "series")
    hours = read_series(file, time=("year", "month", "day", "hour"), target="pm2.5", past=WEATHER)
    [series] = hours.series
    known = hours.with_series([series.until(int(hours.frequency.steps(series.start, TEST_BEGINS)))])
    model = learn(run, known, HORIZON)
    show_test(run, model, known, hours, (1, 6, 12, 24), baselines=BASELINES, lags=24)
