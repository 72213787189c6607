"""`nabi watch`: a stream of observations, each beside what was expected."""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from nabi.cli._forecast import rounded, written_time
from nabi.cli._load import CELL_HELP, load_with_cells
from nabi.cli._outputs import Overwrite, with_files
from nabi.cli._rows import RowWriter
from nabi.errors import ArgumentError, FileFormatError, NabiError

if TYPE_CHECKING:
    from nabi.data import Series, SeriesLine
    from nabi.models import Forecaster, ForecastState, Observation

__all__ = ["watch"]

_COLUMNS = ("series", "time", "value", "expected", "low95", "high95", "surprise", "anomaly", "next")
_STANDARD_INPUT = Path("-")
_MOST_MISSED = 100_000


@with_files(reads={"MODEL": "model", "--file": "file"}, writes={"--out": "out"})
def watch(
    model: Annotated[
        Path,
        typer.Argument(help="A forecaster, from `nabi train`.", metavar="MODEL", show_default=False),
    ],
    file: Annotated[
        Path, typer.Option(help="CSV file of observations; - reads lines from standard input.")
    ] = _STANDARD_INPUT,
    series: Annotated[
        str | None,
        typer.Option(help="Name of the series, if there are several and lines do not say which."),
    ] = None,
    surprise: Annotated[
        float,
        typer.Option(help="Bits from which an observation is an anomaly: 10 is once in a thousand.", min=0.0),
    ] = 10.0,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write, .csv or .jsonl.", metavar="FILE", show_default="standard output"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write a JSON object for each row.")] = False,
    only: Annotated[bool, typer.Option("--only-anomalies", help="Write anomalies only.")] = False,
    encoding: Annotated[str, typer.Option(help="Encoding of the file.")] = "utf-8",
    separator: Annotated[
        str | None, typer.Option(help="Column separator.", metavar="CHARACTER", show_default="comma")
    ] = None,
    overwrite: Overwrite = False,
    cell: Annotated[list[str] | None, typer.Option(help=CELL_HELP, metavar="FILE.py:Class")] = None,
) -> None:
    """Read observations one by one, and say how surprising each of them was.

    The series go on where the training ended. A line has the columns of the training, in the order that a
    first line names; without such a line it is a value, or a time and a value. Steps that are left out count
    as missing. A line is written for each value, at once: what was expected, the interval of 95 %, the
    surprise in bits, "yes" for an anomaly, and the forecast of the next step. Lines that are wrong are named
    and passed over.
    """
    writer = RowWriter(out, as_json)
    loaded = load_with_cells("Forecaster", model, cell or ())
    if series is not None:
        loaded.series[series]  # a name that is not known is an error before anything is read
    watching = _Watching(loaded, series)
    passed_over = 0
    with writer:
        writer.begin(_COLUMNS)
        for number, fields in _lines(file, encoding, separator or ",", watching):
            try:
                for name, seen, following in watching.read(fields, number):
                    odd = seen.surprise >= surprise
                    if odd or not only:
                        row = _row(name, seen, odd, following, watching.zone)
                        writer.write(dict(zip(_COLUMNS, row, strict=True)), {})
            except NabiError as problem:
                passed_over += 1
                typer.echo(f"nabi: {problem}; passed over", err=True)
            writer.flush()
    if passed_over:
        typer.echo(f"nabi: {passed_over:,} lines passed over", err=True)


def _row(name: str, seen: "Observation", odd: bool, following: float | None, zone: str) -> list[Any]:
    numbers = [
        "" if np.isnan(one) else rounded(one) for one in (seen.value, seen.expected, seen.low, seen.high)
    ]
    bits = "" if np.isnan(seen.surprise) else round(seen.surprise, 2)
    after = "" if following is None else rounded(following)
    return [name, written_time(seen.time, zone), *numbers, bits, "yes" if odd else "", after]


class _Watching:
    """The states of all series, made when they are first heard of."""

    def __init__(self, model: "Forecaster", only: str | None) -> None:
        self.model, self.columns, self._only = model, model.columns, only
        held = model.series
        self.zone = held.zone
        self._series = {one.name: one for one in held}
        self._states: dict[str, ForecastState] = {}
        self._known: dict[str, int] = {}

    @property
    def names(self) -> set[str]:
        """Names of columns that a first line may have."""
        columns = self.columns
        return {*columns.time, *columns.targets, *columns.group, *columns.known, *columns.past}

    def without_names(self, fields: list[str], line: int) -> dict[str, str]:
        """Return the fields of a line that has a value, or a time and a value."""
        several = len(self._series) > 1 and self._only is None
        if self.columns.known or self.columns.past or several:
            wanted = ", ".join(sorted(self.names))
            raise ArgumentError(
                f"--file: expected a first line that names the columns {wanted}, got {fields}"
            )
        target = (self.columns.targets or ("value",))[0]
        time = " ".join(self.columns.time) or "time"
        if len(fields) not in (1, 2):
            raise FileFormatError(
                f"line {line}: expected a value, or a time and a value, got {len(fields)} fields"
            )
        return {target: fields[0]} if len(fields) == 1 else {time: fields[0], target: fields[1]}

    def read(self, fields: dict[str, str], line: int) -> Iterator[tuple[str, "Observation", float | None]]:
        """Read a line, and yield what was observed of each of its series, with the next forecast."""
        from dataclasses import replace

        from nabi.data import read_series_line

        columns = self.columns if self.columns.targets else replace(self.columns, targets=("value",))
        found = read_series_line(fields, columns, line)
        for name, value in zip(found.series, found.values, strict=True):
            called = self._only or (name if name in self._series or len(self._series) > 1 else "")
            called = called or next(iter(self._series))
            state = self._state(called, line)
            self._go_to(called, state, fields, line)
            seen = self._update(called, state, value, found)
            yield called, seen, self._next(called, state)

    def _state(self, name: str, line: int) -> "ForecastState":
        if name not in self._states:
            if name not in self._series:
                raise FileFormatError(f"line {line}: the series {name!r} is not one of those of the training")
            one: Series = self._series[name]
            self._states[name] = self.model.state(name=name)
            self._known[name] = len(one.known)
        return self._states[name]

    def _go_to(self, name: str, state: "ForecastState", fields: dict[str, str], line: int) -> None:
        """Go on, without observations, to the step of a line that names its time."""
        from nabi.data import time_of_line

        frequency, one = self.model.frequency, self._series[name]
        expected = frequency.time(one.start, len(state))
        time = time_of_line(fields, self.columns, frequency, expected, line)
        if time is None:
            return
        steps = frequency.steps(expected, time)
        when = written_time(expected)
        if steps < 0:
            raise FileFormatError(f"line {line}: expected a time from {when} on, got {written_time(time)}")
        if not float(steps).is_integer() or steps > _MOST_MISSED:
            raise FileFormatError(
                f"line {line}: expected {when}, or whole steps of a {frequency} later, got "
                f"{written_time(time)}"
            )
        for _ in range(int(steps)):
            self._update(name, state, float("nan"), None)

    def _update(
        self, name: str, state: "ForecastState", value: float, found: "SeriesLine | None"
    ) -> "Observation":
        one = self._series[name]
        past = known = None
        if one.past.shape[1]:
            past = np.full(one.past.shape[1], np.nan) if found is None else found.past
        if one.known.shape[1] and len(state) >= self._known[name]:
            known = np.full((1, one.known.shape[1]), np.nan) if found is None else found.known[None]
            self._known[name] += 1
        return state.update(value, past=past, known=known)

    def _next(self, name: str, state: "ForecastState") -> float | None:
        """Return the forecast of the next step, if what has to be known of it is known."""
        if self._series[name].known.shape[1] and len(state) >= self._known[name]:
            return None
        return float(state.forecast(1).median[0])


def _lines(
    file: Path, encoding: str, separator: str, watching: _Watching
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number and the fields of each line; a first line of names is not yielded."""
    from nabi.data import TextFile, check_file

    if file == _STANDARD_INPUT:
        lines: Iterator[str] = iter(sys.stdin.readline, "")
    else:
        check_file(file)
        lines = TextFile(file, encoding).lines()
    header: list[str] | None = None
    for number, line in enumerate(lines, 1):
        fields = [field.strip() for field in next(csv.reader([line], delimiter=separator), [])]
        if not any(fields):
            continue
        if header is None and number == 1 and watching.names & set(fields):
            header = fields
            continue
        if header is None:
            try:
                yield number, watching.without_names(fields, number)
            except FileFormatError as problem:
                typer.echo(f"nabi: {problem}; passed over", err=True)
        elif len(fields) != len(header):
            typer.echo(
                f"nabi: line {number}: expected {len(header)} fields, got {len(fields)}; passed over",
                err=True,
            )
        else:
            yield number, dict(zip(header, fields, strict=True))
