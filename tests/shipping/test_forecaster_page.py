"""The page of a forecaster: its scripts in node against what Python computes, and the page in a browser."""

import json
import math
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nabi import models
from nabi.data import Frequency
from nabi.models._baselines._forecasts import FORECASTS, statistical_forecasts
from nabi.models._forecaster._inputs import InputPlan, Inputs

from .browser import Browser, needs_browser
from .pages import in_node, needs_node, opened


def plain(values: Any) -> Any:
    """Numbers for JSON, which has no NaN."""
    return [None if math.isnan(one) else one for one in np.asarray(values, float).ravel().tolist()]


def a_series(seed: int, steps: int, *, gaps: float = 0.05) -> np.ndarray:
    draw = np.random.default_rng(seed)
    at = np.arange(steps)
    values = 50 + 0.4 * at + 12 * np.sin(at * np.pi / 2) * (seed % 3) + 5 * draw.standard_normal(steps)
    values[draw.random(steps) < gaps] = np.nan
    values[steps // 2] = 60.0
    return values if seed % 2 else np.abs(values)


@needs_node
def test_the_networks_read_the_same_as_in_python(tmp_path: Path) -> None:
    draw, steps, horizon, given, expected = np.random.default_rng(1), 40, 3, [], []
    for seed, (season, scaling, past, known) in enumerate(
        [(4, "level", 0, 0), (1, "deviation", 2, 0), (5, "deviation", 1, 2), (4, "level", 17, 1)]
    ):
        columns = past + known + 1
        plan = InputPlan(
            season=season, multiplicative=seed % 2 == 0, scaling=scaling, window=6, horizon=horizon,
            calendar=2, past=past, known=known, static=1, centres=tuple(draw.normal(size=columns)),
            spreads=tuple(draw.random(columns) + 0.5),
        )  # fmt: skip
        inputs = Inputs(plan, Frequency("step"))
        values = np.abs(a_series(seed, steps, gaps=0.2))
        values[:2] = np.nan
        rows = [draw.normal(size=(steps, width)) for width in (past, (horizon + 1) * known, 1, 2)]
        rows[0][draw.random(rows[0].shape) < 0.1] = np.nan
        rows[1][-2:] = np.nan
        state, found = inputs.filters.start(1), []
        for step in range(steps):
            parts = [one[step][None] for one in rows]
            parts[1] = parts[1].reshape(1, horizon + 1, known) if known else np.zeros((1, 0))
            read = inputs.step(state, values[step : step + 1], *parts)
            found.append(plain(np.concatenate([one.ravel() for one in read])))
        expected.append(found)
        facts = {**plan.to_dict(), "changes": plan.changes, "lookedAt": plan.looked_at}
        facts["crossed"] = plan.crossed
        given.append(
            {
                "plan": facts,
                "values": plain(values),
                "rows": [[plain(row) for row in one] for one in rows],
                "width": plan.width,
            }
        )
    program = """
        const { Inputs } = await import(`${source}/forecast-inputs.mjs`);
        const whole = (values) => Float64Array.from(values, (one) => one ?? NaN);
        console.log(JSON.stringify(given.map(({ plan, values, rows }) => {
          const inputs = new Inputs(plan);
          const state = inputs.filters.start();
          return values.map((value, step) => {
            const [past, known, fixed, calendar] = rows.map((one) => whole(one[step]));
            inputs.filters.step(state, value ?? NaN, past);
            const read = inputs.features(state, past, known, fixed, [...calendar]);
            return [...read.x, ...read.methods.flatMap((row) => [...row]), ...read.centre, ...read.scale];
          });
        })));
    """
    for one, found, wanted in zip(given, in_node(program, given, tmp_path), expected, strict=True):
        for step, (row, right) in enumerate(zip(found, wanted, strict=True)):
            assert len(row) > one["width"]
            assert np.allclose(row, right, rtol=1e-6, atol=1e-6), (one["plan"], step)


@needs_node
def test_simple_methods_forecast_as_in_python(tmp_path: Path) -> None:
    every = list(FORECASTS)
    cases = [(a_series(seed, steps), season, every) for seed, (steps, season) in enumerate(
        [(30, 4), (31, 4), (60, 5), (3, 4), (9, 4), (25, 1), (1, 1), (44, 4)]
    )]  # fmt: skip
    cases.append((np.tile([-3.0, 5.0, 1.0], 8), 3, every))
    cases.append((a_series(2, 1100), 4, ["Theta"]))  # of which the last 1000 are read
    program = """
        const { baseline } = await import(`${source}/forecast-baselines.mjs`);
        console.log(JSON.stringify(given.map(([values, season, names]) =>
          names.map((name) => baseline(name, values.map((one) => one ?? NaN), 7, season)))));
    """
    found = in_node(program, [[plain(values), *more] for values, *more in cases], tmp_path)
    for (values, season, names), rows in zip(cases, found, strict=True):
        expected = statistical_forecasts([values], 7, [season], names)
        for name, row in zip(names, rows, strict=True):
            assert np.allclose(row, expected[name][0], rtol=1e-7, atol=1e-7), (name, len(values), season)


@needs_node
def test_times_and_the_calendar_are_those_of_python(tmp_path: Path) -> None:
    start = datetime(2023, 12, 29, 22, 30)
    frequencies = [Frequency(*one) for one in (
        ("year", 1), ("quarter", 1, True), ("month", 1, True), ("month", 2), ("week", 1), ("day", 3),
        ("workday", 1), ("hour", 6), ("minute", 15), ("second", 40),
    )]  # fmt: skip
    starts = [start.replace(day=31) if one.month_end else start for one in frequencies]
    given = [
        {
            "frequency": {"unit": one.unit, "count": one.count, "monthEnd": one.month_end},
            "start": (begin - datetime(1970, 1, 1)).total_seconds() * 1000,
        }
        for one, begin in zip(frequencies, starts, strict=True)
    ]
    program = """
        const { Frequency } = await import(`${source}/forecast-times.mjs`);
        console.log(JSON.stringify(given.map(({ frequency, start }) => {
          const one = new Frequency(frequency);
          const times = Array.from({ length: 30 }, (_, step) => one.time(start, step - 7));
          const again = times.map((time) => one.read(one.shown(time))?.time);
          return { times, calendar: times.map((time) => one.calendar(time)), again };
        })));
    """
    for one, begin, found in zip(frequencies, starts, in_node(program, given, tmp_path), strict=True):
        times = one.times(begin, 30, first=-7)
        assert found["times"] == [(time - datetime(1970, 1, 1)).total_seconds() * 1000 for time in times]
        wanted = one.calendar(times)
        assert np.allclose(np.reshape(found["calendar"], wanted.shape), wanted, atol=1e-12), str(one)
        if one.unit in ("hour", "minute", "second"):
            assert found["again"] == found["times"]


@needs_node
def test_pasted_values_are_read(tmp_path: Path) -> None:
    texts = {
        "1\n2.5\n\nNA\n-3e2\n": [1, 2.5, None, None, -300],
        "1 2; 3,4": [1, 2, 3, 4],
        "2024-03\t1,5\n2024-04\t\n2024-05;7": [1.5, None, 7],
        "2024-03-05,12": [12],
        "": [],
        "1\nfive\n3": 2,
    }
    program = """
        const { Frequency } = await import(`${source}/forecast-times.mjs`);
        const { readValues, writtenValues } = await import(`${source}/forecast-values.mjs`);
        const month = new Frequency({ unit: "month", count: 1, monthEnd: false });
        console.log(JSON.stringify(given.map((text) => {
          const found = readValues(text, month);
          if (found.line) return found.line;
          const written = writtenValues(found.values, (at) => month.shown(month.time(Date.UTC(2024, 2), at)));
          const again = readValues(written, month);
          if (JSON.stringify(again.values) !== JSON.stringify(found.values)) throw new Error(written);
          return found.values;
        })));
    """
    assert in_node(program, list(texts), tmp_path) == list(texts.values())


@pytest.fixture(scope="module")
def forecaster(torch_only: None) -> models.Forecaster:
    """A forecaster of two series with columns, mixed with a simple method."""
    draw, steps, horizon = np.random.default_rng(0), 60, 3
    table: dict[str, list[Any]] = {name: [] for name in ("date", "shop", "sales", "rain", "price")}
    for shop, size in (("북쪽", 1.0), ("</script>", 4.0)):
        sales = size * (20 + 5 * np.sin(np.arange(steps) * np.pi / 6) + draw.standard_normal(steps))
        for at in range(steps + 4):
            table["date"].append(f"{2018 + at // 12}-{at % 12 + 1:02d}")
            table["shop"].append(shop)
            table["sales"].append(sales[at] if at < steps else None)
            table["rain"].append(float(draw.random()) if at < steps else None)
            table["price"].append(float(draw.random()))
    model = models.Forecaster(units=4, networks=2, epochs=1, refit=False, cell="lstm")
    model.fit(table, horizon=horizon, group="shop", target="sales", past="rain", known="price", verbose=0)
    model.calibration = replace(
        model.calibration, share=0.5, share_of_mean=0.75, baseline="damped Holt-Winters"
    )
    model._engine = model._engine._replace(calibration=model.calibration)
    return model


def forecast_in(browser: Browser) -> tuple[np.ndarray, np.ndarray]:
    found = json.loads(browser.value("document.body.dataset.forecast"))
    return np.array([one["quantiles"] for one in found]), np.array([one["mean"] for one in found])


@needs_browser
def test_a_forecaster_forecasts_as_in_python_also_what_one_changes(
    browser: Browser, folder: Path, forecaster: models.Forecaster
) -> None:
    opened(browser, forecaster, folder)

    def agrees(table: Any = None, name: str = "</script>", horizon: int = 3) -> bool:
        wanted = forecaster.state(table, name).forecast(horizon)
        quantiles, mean = forecast_in(browser)
        size = np.abs(wanted.quantiles).max()
        assert np.abs(quantiles - wanted.quantiles).max() < 2e-6 * size
        return bool(np.abs(mean - wanted.mean).max() < 2e-6 * size)

    assert agrees(name="북쪽")
    browser.value("document.getElementById('series').selectedIndex = 1")
    browser.value("document.getElementById('series').dispatchEvent(new Event('change'))")
    browser.wait("document.getElementById('said').textContent.includes('60 values')")
    assert agrees()
    # Steps beyond the horizon of the training; the known columns end four steps after the values.
    browser.value("document.getElementById('ahead').value = 9")
    browser.value("document.getElementById('ahead').dispatchEvent(new Event('input'))")
    assert agrees(horizon=4)
    # With the keyboard: the value before the last rises twice, the last one is taken away.
    shown = float(browser.value("document.getElementById('values').value").split()[-3])
    browser.value("document.getElementById('chart').focus()")
    for key in ("ArrowLeft", "ArrowLeft", "ArrowUp", "ArrowUp", "ArrowRight", "Delete"):
        browser.press(key)
    assert "no value" in browser.value("document.getElementById('point').textContent")
    changed = float(browser.value("document.getElementById('values').value").split()[-2])
    assert changed > shown
    series = forecaster.series
    held = series["</script>"]
    target = held.target.copy()
    target[-2:] = changed, np.nan
    assert agrees(series.with_series([replace(held, target=target)]), horizon=4)
    # Values that are pasted, without what came before them; columns stay those of their times.
    browser.value("document.getElementById('alone').click()")
    browser.value("document.getElementById('values').value = '80 90 85 NA 88 91'")
    browser.value("document.getElementById('values').dispatchEvent(new Event('input'))")
    first = len(held) - 48  # so many are shown on a phone
    short = replace(
        held, start=forecaster.frequency.time(held.start, first),
        target=np.array([80, 90, 85, np.nan, 88, 91]),
        past=held.past[first : first + 6], known=held.known[first:],
    )  # fmt: skip
    assert agrees(series.with_series([short]), horizon=9)
    browser.value("document.getElementById('reset').click()")
    browser.value("document.getElementById('alone').click()")
    assert agrees(horizon=4)
    assert not browser.errors


@needs_browser
def test_a_point_is_dragged_and_a_line_that_is_no_number_is_named(
    browser: Browser, folder: Path, forecaster: models.Forecaster, tmp_path: Path
) -> None:
    opened(browser, forecaster, folder)
    before, _ = forecast_in(browser)
    left, top, width = browser.value(
        "(({ left, top, width }) => [left, top, width])"
        "(document.getElementById('chart').getBoundingClientRect())"
    )
    for kind, down in (("mousePressed", 120), ("mouseMoved", 90), ("mouseReleased", 40)):
        place = {"x": left + width - 60, "y": top + down}
        browser("Input.dispatchMouseEvent", type=kind, button="left", buttons=1, clickCount=1, **place)
    assert "recorded" in browser.value("document.getElementById('point').textContent")
    assert np.abs(forecast_in(browser)[0] - before).max() > 1e-3
    browser.value("document.getElementById('values').value = '1\\n2\\nthree'")
    browser.value("document.getElementById('values').dispatchEvent(new Event('input'))")
    assert "Line 3" in browser.value("document.getElementById('problem').textContent")
    browser.value("document.getElementById('reset').click()")
    assert np.array_equal(forecast_in(browser)[0], before)
    # What is taken as the next value is read, and where known columns end there is no forecast.
    for _ in range(4):
        browser.value("document.getElementById('add').click()")
    assert "known end here" in browser.value("document.getElementById('said').textContent")
    browser.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 5000
    assert not browser.errors
