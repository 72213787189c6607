"""What a forecast read, as a picture: how far each past step moves each step ahead."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nabi._public import public
from nabi.drawing import check_suffix, fonts_for, write_figure

if TYPE_CHECKING:
    from nabi.models import ForecastReading

__all__ = ["forecast_reading_picture"]

_SEEN, _FORECAST = "#30363d", "#1f6fb2"
_MOST_TICKS = 8


@public
def forecast_reading_picture(
    reading: "ForecastReading", path: str | os.PathLike[str], *, title: str | None = None
) -> Path:
    """Draw which past steps moved a forecast.

    Above are the last observations and the forecast. The map below has a column for each of these past steps
    and a row for each step ahead: blue where the forecast rises by so much when the observation is larger by
    one, orange where it falls. Missing observations are grey.

    Args:
        reading: from `Forecaster.reading`.
        path: the file to write, .png or .svg.
        title: above the picture; the name of the series by default.

    Returns:
        The path.

    Raises:
        ArgumentError: for another suffix.
        OutputError: if the file cannot be written.
    """
    from matplotlib.figure import Figure

    check_suffix(path)
    shown = f"What moved the forecast of {reading.name}" if title is None else title
    fonts = fonts_for([shown])
    steps, horizon = reading.weights.shape
    figure = Figure(figsize=(11.0, 6.0), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=(1.0, 1.25), sharex=True)
    places = np.arange(steps)
    above.plot(
        places, reading.values, color=_SEEN, linewidth=1.3, marker="o", markersize=2.5, label="observed"
    )
    above.plot(steps + np.arange(horizon), reading.median, color=_FORECAST, linewidth=1.6, label="forecast")
    above.legend(frameon=False, fontsize=9, loc="best")
    above.grid(axis="y", color="#e3e6ea", linewidth=0.8)
    above.spines[["top", "right"]].set_visible(False)
    above.set_title(
        fonts.write(shown), loc="left", fontsize=12, fontfamily=list(fonts.families), parse_math=False
    )
    known = reading.weights[~np.isnan(reading.weights)]
    limit = max(float(np.abs(known).max()) if len(known) else 0.0, 1e-9)
    colours = _colours()
    image = below.imshow(
        reading.weights.T, aspect="auto", origin="lower", cmap=colours, vmin=-limit, vmax=limit,
        extent=(-0.5, steps - 0.5, 0.5, horizon + 0.5), interpolation="nearest",
    )  # fmt: skip
    below.set_ylabel("steps ahead", fontsize=9)
    below.set_xlim(-0.5, steps + horizon - 0.5)
    ticks = np.unique(np.linspace(0, steps - 1, min(_MOST_TICKS, steps)).round().astype(int))
    below.set_xticks(ticks, [_short(reading.times[place]) for place in ticks], fontsize=8)
    below.set_xlabel("observed at", fontsize=9)
    below.yaxis.get_major_locator().set_params(integer=True)
    bar = figure.colorbar(image, ax=below, pad=0.01, fraction=0.03)
    bar.set_label("change of the forecast", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    return write_figure(figure, path, title=shown)


def _colours() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    found = LinearSegmentedColormap.from_list("moved", ["#c8500a", "#ffffff", "#1f6fb2"])
    return found.with_extremes(bad="#d4d8dc")


def _short(time: Any) -> str:
    """Return a time without parts that are zero."""
    return str(time).removesuffix(" 00:00:00").removesuffix(":00")
