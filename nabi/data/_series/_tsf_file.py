"""Files of the Monash forecasting archive, `.tsf`: one series a line, with its start and attributes."""

from datetime import datetime
from pathlib import Path

import numpy as np

from nabi.data._series._frequency import Frequency
from nabi.data._series._series import Series, SeriesSet
from nabi.data._text_files import TextFile, check_file
from nabi.errors import ArgumentError, FileFormatError

__all__ = ["read_tsf"]

_KINDS = ("string", "numeric", "date")
_HALF_HOURLY = Frequency("minute", 30)


def read_tsf(path: Path, encoding: str = "utf-8") -> SeriesSet:
    """Read a `.tsf` file. Numeric attributes become static columns; the horizon is named in the notes.

    Raises:
        MissingFileError: if there is no such file.
        FileFormatError: for a file of another form, with the line.
    """
    check_file(path)
    file = TextFile(path, encoding)
    attributes: list[tuple[str, str]] = []
    header: dict[str, str] = {}
    found: list[tuple[str, datetime | None, list[float], list[float]]] = []
    in_data = False
    for number, whole in enumerate(file.lines(), 1):
        line = whole.strip()
        if not line or line.startswith("#"):
            continue
        if in_data:
            found.append(_series(file, number, line, attributes))
            continue
        if not line.startswith("@"):
            raise file.wrong(number, "expected a line that begins with @, before @data")
        word, _, rest = line[1:].partition(" ")
        word = word.lower()
        if word == "attribute":
            name, _, kind = rest.strip().rpartition(" ")
            if kind not in _KINDS or not name:
                raise file.wrong(number, f"expected '@attribute NAME {' or '.join(_KINDS)}', got {line!r}")
            attributes.append((name.strip(), kind))
        elif word == "data":
            in_data = True
        else:
            header[word] = rest.strip()
    if not found:
        raise FileFormatError(f"path: {path}: expected series after a line @data, found none")
    return _as_set(path, header, attributes, found)


def _series(
    file: TextFile, number: int, line: str, attributes: list[tuple[str, str]]
) -> tuple[str, datetime | None, list[float], list[float]]:
    *parts, values = line.split(":")
    if len(parts) != len(attributes):
        raise file.wrong(number, f"expected {len(attributes)} attributes and the values, got {len(parts)}")
    names, static, start = [], [], None
    for part, (attribute, kind) in zip(parts, attributes, strict=True):
        try:
            if kind == "string":
                names.append(part)
            elif kind == "numeric":
                static.append(float(part))
            else:
                start = datetime.strptime(part, "%Y-%m-%d %H-%M-%S")
        except ValueError:
            raise file.wrong(number, f"{attribute}: expected a {kind}, got {part!r}") from None
    numbers = []
    for place, value in enumerate(values.split(","), 1):
        try:
            numbers.append(float("nan" if value.strip() in ("?", "") else value))
        except ValueError:
            raise file.wrong(number, f"value {place}: expected a number or ?, got {value!r}") from None
    if np.isinf(numbers).any():
        raise file.wrong(number, "expected finite numbers, got an infinite one")
    return " ".join(names) or f"line {number}", start, static, numbers


def _as_set(
    path: Path,
    header: dict[str, str],
    attributes: list[tuple[str, str]],
    found: list[tuple[str, datetime | None, list[float], list[float]]],
) -> SeriesSet:
    notes = [f"horizon of the file: {header['horizon']}"] if header.get("horizon") else []
    said = header.get("frequency", "")
    if any(start is None for _, start, _, _ in found) or not said:
        frequency = Frequency("step")
        notes.append("series have no start or no frequency; their steps are numbered")
    else:
        try:
            frequency = _HALF_HOURLY if said == "half_hourly" else Frequency.of(said.replace("_", " "))
        except ArgumentError as problem:
            raise FileFormatError(f"path: {path}: {problem}") from None
    series = []
    for name, start, static, numbers in found:
        there = np.flatnonzero(~np.isnan(numbers))
        if not len(there):
            notes.append(f"{name}: no value at all; left out")
            continue
        first, last = int(there[0]), int(there[-1]) + 1
        begin = 0 if frequency.unit == "step" or start is None else start
        target = np.array(numbers[first:last], np.float64)
        nothing = np.zeros((len(target), 0))
        begins = frequency.time(begin, first)
        series.append(Series(name, begins, target, nothing, nothing, np.array(static, np.float64)))
    if not series:
        raise FileFormatError(f"path: {path}: expected observations, got missing values only")
    static_names = tuple(name for name, kind in attributes if kind == "numeric")
    return SeriesSet(tuple(series), frequency, static_names=static_names, notes=tuple(notes))
