"""Forecasts as a picture: history, medians and intervals, and how earlier forecasts would have done."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nabi import _checks
from nabi._public import public
from nabi.drawing import check_suffix, fonts_for, write_figure
from nabi.errors import ArgumentError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nabi.data import Series, SeriesSet
    from nabi.models import Backtest, Forecast

__all__ = ["forecast_picture"]

_SEEN, _FORECAST, _EARLIER = "#30363d", "#1f6fb2", "#e08214"
_SHADES = ((0.95, 0.14), (0.8, 0.16), (0.5, 0.22))
_MOST_PANELS, _FEWEST_STEPS, _HORIZONS = 8, 24, 6
_EARLIER_SHOWN = 4


@public
def forecast_picture(
    forecasts: "Sequence[Forecast]",
    series: "SeriesSet",
    path: str | os.PathLike[str],
    *,
    backtest: "Backtest | None" = None,
    steps: int | None = None,
    title: str = "",
) -> Path:
    """Draw forecasts behind the end of their series, with intervals of 50, 80 and 95 %.

    Each series has a panel, eight at most; the title says if some are left out. Earlier forecasts of a
    backtest are drawn in orange over what came, with their intervals of 80 %: up to four for each series, the
    last ones that do not overlap. Missing values interrupt the line.

    Args:
        forecasts: from `Forecaster.forecast`.
        series: what was forecast; the panel of a forecast shows the series of its name.
        path: the file to write, .png or .svg.
        backtest: from `Forecaster.backtest` or `Forecaster.evaluate`.
        steps: of the history to draw; six horizons by default, at least 24.
        title: above the picture.

    Returns:
        The path.

    Raises:
        ArgumentError: for another suffix, and no forecasts.
        UnknownNameError: for a forecast of another series.
        OutputError: if the file cannot be written.
    """
    from matplotlib.figure import Figure

    check_suffix(path)
    if not forecasts:
        raise ArgumentError("forecasts: expected at least one, got none")
    if steps is not None:
        steps = _checks.whole("steps", steps, otherwise=" or None")
    drawn = forecasts[:_MOST_PANELS]
    columns = 1 if len(drawn) < 3 else 2
    rows = -(-len(drawn) // columns)
    figure = Figure(figsize=(10.0 if columns == 1 else 13.0, 0.9 + 3.1 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    names = {one.name: number for number, one in enumerate(backtest.series)} if backtest is not None else {}
    fonts = fonts_for([title, *(one.name for one in drawn)])
    for panel, forecast in zip(panels, drawn, strict=False):
        one = series[forecast.name]
        shown = max(_HORIZONS * len(forecast), _FEWEST_STEPS) if steps is None else steps
        begin = max(len(one) - shown, 0)
        times = series.frequency.times(one.start, len(one) - begin, first=begin)
        panel.plot(
            times, one.target[begin:], color=_SEEN, linewidth=1.3, marker=_marker(one, begin), markersize=2.5
        )
        _draw_forecast(panel, forecast, times[-1], one.target[-1])
        if backtest is not None and forecast.name in names:
            _draw_earlier(panel, backtest, names[forecast.name], begin, forecast.levels)
        panel.set_title(
            fonts.write(f"{forecast.name}: {forecast.method}"), loc="left", fontsize=10,
            fontfamily=list(fonts.families), parse_math=False,
        )  # fmt: skip
        _finish(panel, series.frequency.unit != "step")
    for panel in panels[len(drawn) :]:
        panel.set_visible(False)
    if len(drawn) < len(forecasts):
        title = f"{title}: " * bool(title) + f"the first {len(drawn)} of {len(forecasts):,} series"
    if title:
        figure.suptitle(
            fonts.write(title),
            x=0.01,
            ha="left",
            fontsize=12,
            fontfamily=list(fonts.families),
            parse_math=False,
        )
    _draw_key(figure, backtest is not None)
    return write_figure(figure, path, title=title or "forecast")


def _marker(one: "Series", begin: int) -> str:
    """Dots where a line alone would not show a value between two gaps."""
    missing = np.isnan(one.target[begin:])
    return "o" if missing.any() or len(missing) <= _FEWEST_STEPS else ""


def _draw_forecast(panel: "Axes", forecast: "Forecast", last_time: Any, last: float) -> None:
    times = [last_time, *forecast.times]
    for share, alpha in _SHADES:
        low, high = forecast.interval(share)
        panel.fill_between(
            times,
            [last, *low],
            [last, *high],
            color=_FORECAST,
            alpha=alpha,
            linewidth=0,
        )
    panel.plot(times, [last, *forecast.median], color=_FORECAST, linewidth=1.6)


def _draw_earlier(
    panel: "Axes", backtest: "Backtest", number: int, begin: int, levels: Sequence[float]
) -> None:
    """Draw the last forecasts of a series that do not overlap."""
    own = [row for row, (place, origin) in enumerate(backtest.origins) if place == number and origin > begin]
    own.sort(key=lambda row: -backtest.origins[row][1])
    horizon = backtest.actual.shape[1]
    chosen: list[int] = []
    for row in own:
        if not chosen or backtest.origins[chosen[-1]][1] - backtest.origins[row][1] >= horizon:
            chosen.append(row)
    low, high = (levels.index(level) for level in (0.1, 0.9))
    for row in chosen[:_EARLIER_SHOWN]:
        times = backtest.times(row)
        bounds = backtest.quantiles[row][:, low], backtest.quantiles[row][:, high]
        panel.fill_between(times, *bounds, color=_EARLIER, alpha=0.16, linewidth=0)
        panel.plot(times, backtest.median[row], color=_EARLIER, linewidth=1.1)


def _finish(panel: "Axes", dates: bool) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    if dates:
        locator: Any = AutoDateLocator()  # type: ignore[no-untyped-call]
        panel.xaxis.set_major_locator(locator)
        panel.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    panel.grid(axis="y", color="#e3e6ea", linewidth=0.8)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=9)
    panel.margins(x=0.01)


def _draw_key(figure: Any, earlier: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Line2D([], [], color=_SEEN, label="observed"),
        Line2D([], [], color=_FORECAST, label="forecast"),
        Patch(color=_FORECAST, alpha=0.3, label="50, 80, 95 %"),
    ]
    if earlier:
        handles.append(Line2D([], [], color=_EARLIER, label="forecast earlier, 80 %"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9)
