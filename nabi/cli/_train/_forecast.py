"""`nabi train` on observations over time: a model that forecasts them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import typer

from nabi.cli._texts import Reading
from nabi.cli._train._form import Said
from nabi.cli._train._given import given, listed
from nabi.cli._train._system import Figures, SystemForm
from nabi.cli._uses import quoted
from nabi.errors import NabiError
from nabi.models import ForecastSettings

__all__ = ["ForecastForm"]

_PANEL = "Observations to forecast"
_HORIZON = 12
_OWN = ("horizon", "known", "past", "static", "frequency")
_OTHERS = ("id", "label", "text", "source", "captions")
_SHOWN = 6


class ForecastForm(SystemForm):
    """Observations over time."""

    name, short = "observations to forecast", "forecasts"
    usage = "nabi train FILE --time COLUMN --target COLUMN [--group COLUMN] [--horizon STEPS]"
    what = (
        "FILE: a table with a row for each time (and each series, with --group), or with a column for each "
        "series; or .tsf"
    )
    settings, model, learnt = ForecastSettings, "Forecaster", "forecasts are"
    beside = ((".png", "the forecast"),)
    shared = frozenset({"time", "target", "group", "encoding", "separator", "quotes", "header"})
    data: ClassVar = {
        "horizon": given(
            int, min=1, help="Steps to forecast.", metavar="STEPS", show_default=str(_HORIZON), panel=_PANEL
        ),
        "known": given(
            str,
            help="Columns whose future is known, such as prices and holidays, separated by commas.",
            metavar="COLUMNS",
            panel=_PANEL,
        ),
        "past": given(
            str,
            help="Columns that are known up to the last observation, such as the weather.",
            metavar="COLUMNS",
            panel=_PANEL,
        ),
        "static": given(
            str, help="Columns that are the same for a whole series.", metavar="COLUMNS", panel=_PANEL
        ),
        "frequency": given(
            str,
            help='Step between observations, such as month or "15 minutes"; rows within it are averaged.',
            metavar="STEP",
            show_default="found in the file",
            panel=_PANEL,
        ),
    }

    def is_meant(self, said: Said) -> bool:
        """Whether times or a horizon are named, or a target that holds numbers, or it is a .tsf file."""
        if any(said[name] for name in _OTHERS):
            return False
        if any(said[name] is not None for name in ("time", *_OWN)) or said["file"].suffix.lower() == ".tsf":
            return True
        return said["target"] is not None and _holds_numbers(said)

    def inputs(self, said: Said) -> Mapping[str, Path | None]:
        """Return the table."""
        return {"the observations": said["file"]}

    def read(self, said: Said, model: Any) -> tuple[Any, Any]:
        """Read the series, and say what was found in the file."""
        from nabi.data import read_series

        found = read_series(
            said["file"],
            time=listed(said["time"]) or None,
            target=listed(said["target"]) or None,
            group=listed(said["group"]) or None,
            known=listed(said["known"]),
            past=listed(said["past"]),
            static=listed(said["static"]),
            frequency=said["frequency"],
            encoding=said["encoding"],
            separator=said["separator"],
            quoted=said["quotes"],
            header=said["header"],
        )
        for note in found.notes:
            typer.echo(note)
        return model, found

    def fit(self, said: Said, model: Any, data: Any, how: Mapping[str, Any]) -> Any:
        """Train on the series."""
        return model.fit(data, horizon=said["horizon"] or _HORIZON, **how)

    def figures(self, said: Said, model: Any, data: Any) -> Figures:
        """Return the file, its columns and what was found in it."""
        return {
            "file": str(said["file"]),
            "columns": data.columns.as_json(),
            "frequency": str(data.frequency),
            "notes": list(data.notes),
        }

    def try_out_takes(self, said: Said, data: Any) -> Callable[[Any], float]:
        """Return what tells how long it takes to read the series that are shown, twice."""
        share = min(1.0, _SHOWN / len(data.series))
        return lambda model: 2 * share * float(model.reading_seconds)

    def try_out(
        self, said: Said, model: Any, data: Any, beside: Sequence[Path]
    ) -> tuple[str, dict[str, Any]]:
        """Forecast what comes after the last observation, and draw it."""
        from nabi.explain import forecast_picture

        some = data.with_series(data.series[:_SHOWN])
        horizon = said["horizon"] or _HORIZON
        if data.known_names:
            # As far as the known columns go.
            horizon = min([horizon, *(one.future for one in some)])
        if not horizon:
            return "\nKnown columns end with the observations: add rows with their future to forecast.", {}
        forecasts = model.forecast(some, horizon=horizon)
        forecast_picture(forecasts, some, beside[0], backtest=model.backtest(origins=4))
        return "", {}

    def next_command(self, model: Any, path: Path, own: Sequence[str]) -> str:
        """Say how it forecasts, and how it goes on."""
        watch = " ".join(["nabi watch", quoted(path), *own])
        return f"{super().next_command(model, path, own)}\nIt watches new observations with: {watch}"


def _holds_numbers(said: Said) -> bool:
    """Whether the first values of the target are numbers; what is wrong with a table, others tell."""
    from nabi.data import stream_table

    columns = listed(said["target"])[:1]
    try:
        table = next(stream_table(said["file"], columns, rows=_SHOWN, **Reading.of(said).options()))
        for value in table[columns[0]]:
            float(value or "nan")
    except (NabiError, ValueError, TypeError, IndexError):
        return False
    return True
