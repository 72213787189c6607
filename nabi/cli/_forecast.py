"""`nabi forecast`: what comes after the last observation, as a table and a picture."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nabi.cli._load import CELL_HELP, load_with_cells, series_as_trained
from nabi.cli._outputs import Overwrite, with_files
from nabi.cli._rows import RowWriter
from nabi.cli._texts import HEADER_HELP
from nabi.errors import ArgumentError

if TYPE_CHECKING:
    from nabi.models import Forecast

__all__ = ["forecast", "rounded", "written_time"]

_COLUMNS = ("series", "time", "forecast", "mean", "low95", "low80", "high80", "high95")


@with_files(
    reads={"MODEL": "model", "--file": "file"},
    writes={"--out": "out", "--picture": "picture", "--reading": "reading"},
)
def forecast(
    model: Annotated[
        Path,
        typer.Argument(help="A forecaster, from `nabi train`.", metavar="MODEL", show_default=False),
    ],
    file: Annotated[
        Path | None,
        typer.Option(
            help="Observations up to now, and what is known of the future, as in training.",
            show_default="those of the training",
        ),
    ] = None,
    horizon: Annotated[
        int | None, typer.Option(help="Steps to forecast.", min=1, show_default="as in training")
    ] = None,
    series: Annotated[
        list[str] | None, typer.Option(help="Name of a series; repeat it for several.", show_default="all")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write, .csv or .jsonl.", show_default="CSV to standard output"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write a JSON object for each row.")] = False,
    picture: Annotated[Path | None, typer.Option(help="Picture of the forecast, .png or .svg.")] = None,
    reading: Annotated[
        Path | None,
        typer.Option(help="Picture of which past steps moved the forecast of a series, .png or .svg."),
    ] = None,
    encoding: Annotated[str, typer.Option(help="Encoding of the file.")] = "utf-8",
    separator: Annotated[
        str | None, typer.Option(help="Column separator.", metavar="CHARACTER", show_default="detected")
    ] = None,
    quotes: Annotated[bool, typer.Option(help="Whether fields of a .csv file can be quoted.")] = True,
    header: Annotated[bool, typer.Option(help=HEADER_HELP)] = True,
    overwrite: Overwrite = False,
    cell: Annotated[list[str] | None, typer.Option(help=CELL_HELP, metavar="FILE.py:Class")] = None,
    threads: Annotated[int | None, typer.Option(help="Number of threads.", min=1)] = None,
) -> None:
    """Forecast what comes after the last observation of each series.

    Writes a row for each series and time: the forecast (the median, which has the smallest absolute errors),
    the mean (the smallest squared errors), and the ends of the intervals that hold 80 and 95 % of what may
    come. FILE may have other series than the training, and columns in another order; the columns and the step
    are those of the training. Rows after the last observation say what is known of the future.
    """
    from nabi.drawing import check_suffix
    from nabi.explain import forecast_picture, forecast_reading_picture
    from nabi.training import on_threads

    writer = RowWriter(out, as_json)
    for path in (picture, reading):
        if path is not None:
            check_suffix(path)
    loaded = load_with_cells("Forecaster", model, cell or ())
    if file is None:
        found = loaded.series
    else:
        found = series_as_trained(
            loaded, file, encoding=encoding, separator=separator, quoted=quotes, header=header
        )
        for note in found.notes:
            typer.echo(note, err=True)
    if series:
        found = found.with_series([found[name] for name in series])
    if reading is not None and len(found) > 1:
        raise ArgumentError(f"--reading: expected one series, got {len(found)}; name it with --series")
    with on_threads(threads):
        forecasts = loaded.forecast(found, horizon=horizon)
        if picture is not None:
            forecast_picture(forecasts, found, picture)
        if reading is not None:
            forecast_reading_picture(loaded.reading(found), reading)
    with writer:
        for row in _rows(forecasts, found.zone):
            writer.write(dict(zip(_COLUMNS, row, strict=True)), {})


def _rows(forecasts: "list[Forecast]", zone: str) -> Iterator[list[Any]]:
    for one in forecasts:
        (low80, high80), (low95, high95) = one.interval(0.8), one.interval(0.95)
        columns = (one.median, one.mean, low95, low80, high80, high95)
        for time, *numbers in zip(one.times, *columns, strict=True):
            yield [one.name, written_time(time, zone), *(rounded(number) for number in numbers)]


def written_time(time: Any, zone: str = "") -> Any:
    """Return a time as text: without the clock at midnight, with the zone of the file."""
    if isinstance(time, int):
        return time
    if zone:
        return time.isoformat() + ("Z" if zone == "UTC" else zone)
    return str(time).removesuffix(" 00:00:00")


def rounded(number: float) -> float:
    """Return a number with six digits that count."""
    if number == 0 or not math.isfinite(number):
        return float(number)
    return round(float(number), max(0, 5 - math.floor(math.log10(abs(number)))))
