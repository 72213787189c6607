"""`.ts` files of the UEA and UCR archives: series of several channels, with or without a class label."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi._public import public
from nabi.data._text_files import TextFile, check_file

__all__ = ["TsFile", "TsHeader", "is_ts_file", "read_ts", "read_ts_header"]

_FLAGS = {"true": True, "false": False}


@dataclass(frozen=True)
class TsHeader:
    """What the lines before `@data` say; None where they say nothing."""

    name: str | None = None
    classes: tuple[str, ...] | None = None
    """The class labels, empty where the file has none; their number may be any."""
    has_targets: bool = False
    """Whether each series ends with a number to predict instead of a class label."""
    channels: int | None = None
    lines: int = 0
    """Lines up to `@data`, with it."""


@dataclass(frozen=True)
class TsFile:
    """The series of a file.

    Attributes:
        path: of the file.
        header: what stands before the series.
        series: for each an array `[T, channels]`, float64; NaN where a value is missing.
        labels: of each series the class label, or the number to predict, as text, and None where it is `?`;
            None in a file without labels.
        lines: of each series the number of its line.
    """

    path: Path
    header: TsHeader
    series: list[npt.NDArray[np.float64]]
    labels: list[str | None] | None
    lines: list[int]

    @property
    def names(self) -> tuple[str, ...]:
        """A name of each series, for messages: the file and its line."""
        return tuple(f"{self.path.name}:{line}" for line in self.lines)


def is_ts_file(path: Any) -> bool:
    """Return whether the name of a file ends in .ts, compressed or not."""
    return isinstance(path, str | os.PathLike) and ".ts" in (one.lower() for one in Path(path).suffixes)


def read_ts_header(path: str | os.PathLike[str], *, encoding: str = "utf-8") -> TsHeader:
    """Read what stands before the series of a file.

    Raises:
        MissingFileError, FileFormatError, ArgumentError: as `read_ts`.
    """
    file = _opened(path, encoding)
    return _header(file, iter(enumerate(file.lines(None), 1)))  # type: ignore[arg-type]


@public
def read_ts(path: str | os.PathLike[str], *, encoding: str = "utf-8") -> TsFile:
    """Read a `.ts` file: a header of lines with `@`, then a series per line.

    The channels of a series are separated by `:`, its values by `,`; `?` and `NaN` are missing values. Where
    the header says `@classLabel true` or `@targetlabel true`, the last field is the label. Series may have
    different lengths; the channels of one series have the same.

    Args:
        path: of the file, which may be compressed: `.ts.gz`, `.bz2`, `.xz`.
        encoding: of the text.

    Raises:
        MissingFileError: if there is no such file.
        FileFormatError: for a file without `@data` or without series after it, series with time stamps, and
            lines that are wrong: another number of channels, channels of different lengths, a value that is
            no number, an empty series, a label that the header does not name. The message has the line.
        ArgumentError: for a folder and an unknown encoding.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "two.ts"
    >>> _ = path.write_text("@classLabel true up down\\n@data\\n1,2,3:0,?,0:up\\n3,1:0,1:down\\n")
    >>> file = read_ts(path)
    >>> [one.shape for one in file.series], file.labels
    ([(3, 2), (2, 2)], ['up', 'down'])
    """
    file = _opened(path, encoding)
    lines = iter(enumerate(file.lines(None), 1))  # type: ignore[arg-type]
    header = _header(file, lines)
    series: list[npt.NDArray[np.float64]] = []
    labels: list[str | None] = []
    numbers: list[int] = []
    channels = header.channels
    for number, line in lines:
        text = line.strip()
        if not text or text.startswith(("#", "%")):
            continue
        *fields, last = text.split(":")
        if header.classes or header.has_targets:
            labels.append(_label(file, number, header, last.strip()))
        else:
            fields.append(last)
        if channels is None:
            channels = len(fields)
        if len(fields) != channels:
            raise file.wrong(number, f"expected {_channels(channels)}, got {len(fields)}")
        series.append(_values(file, number, fields))
        numbers.append(number)
    if not series:
        raise file.wrong(header.lines, "expected series after @data, got none")
    labelled = header.classes or header.has_targets
    return TsFile(file.path, header, series, labels if labelled else None, numbers)


def _opened(path: str | os.PathLike[str], encoding: str) -> TextFile:
    place = _checks.path("path", path)
    check_file(place)
    return TextFile(place, encoding)


def _header(file: TextFile, lines: Iterator[tuple[int, str]]) -> TsHeader:
    """Read the lines up to `@data`."""
    told: dict[str, Any] = {}
    number = 0
    for number, line in lines:
        text = line.strip()
        if not text or text.startswith(("#", "%")):
            continue
        name, *values = text.split()
        word = name.lower()
        if not word.startswith("@"):
            raise file.wrong(number, f"expected a line with @ or @data, got {text[:40]!r}")
        if word == "@data":
            return TsHeader(**told, lines=number)
        if word == "@problemname" and values:
            told["name"] = " ".join(values)
        elif word in ("@classlabel", "@targetlabel"):
            labelled = _flag(file, number, name, values)
            if word == "@targetlabel":
                told["has_targets"] = labelled
            else:
                if labelled and not values[1:]:
                    raise file.wrong(number, "@classLabel: expected true and the labels, got no label")
                told["classes"] = tuple(values[1:]) if labelled else ()
        elif word in ("@dimension", "@dimensions"):
            if not (values and values[0].isdecimal() and int(values[0])):
                raise file.wrong(number, f"{name}: expected a number of channels, got {' '.join(values)!r}")
            told["channels"] = int(values[0])
        elif word == "@univariate" and _flag(file, number, name, values):
            told.setdefault("channels", 1)
        elif word == "@timestamps" and _flag(file, number, name, values):
            raise file.wrong(number, "@timeStamps: series with time stamps are not read; write values alone")
    raise file.wrong(max(number, 1), "expected a line @data, got the end of the file")


def _flag(file: TextFile, number: int, name: str, values: list[str]) -> bool:
    if not values or values[0].lower() not in _FLAGS:
        raise file.wrong(number, f"{name}: expected true or false, got {' '.join(values)!r}")
    return _FLAGS[values[0].lower()]


def _label(file: TextFile, number: int, header: TsHeader, label: str) -> str | None:
    if label == "?":
        return None
    if header.classes and label not in header.classes:
        known = ", ".join(header.classes[:10]) + (", ..." if len(header.classes) > 10 else "")
        raise file.wrong(number, f"expected one of the labels of @classLabel ({known}), got {label!r}")
    if not label:
        raise file.wrong(number, "expected a label at the end, got none")
    return label


def _values(file: TextFile, number: int, fields: list[str]) -> npt.NDArray[np.float64]:
    """The channels of one series, `[T, channels]`."""
    columns: list[npt.NDArray[np.float64]] = []
    for place, field in enumerate(fields, 1):
        texts = field.split(",")
        try:
            values = np.array([one.strip() for one in texts], dtype=np.float64)
        except ValueError:
            values = np.array([_value(file, number, place, one.strip()) for one in texts])
        if np.isinf(values).any():
            raise file.wrong(number, f"channel {place}: expected finite numbers, got an infinite one")
        if columns and len(values) != len(columns[0]):
            raise file.wrong(
                number, f"channel {place}: expected {len(columns[0])} values, as channel 1 has, "
                f"got {len(values)}"
            )  # fmt: skip
        columns.append(values)
    return np.stack(columns, axis=1)


def _value(file: TextFile, number: int, place: int, text: str) -> float:
    if text == "?":
        return np.nan
    try:
        return float(text)
    except ValueError:
        what = "an empty one" if not text else repr(text[:40])
        raise file.wrong(number, f"channel {place}: expected a number or ?, got {what}") from None


def _channels(count: int) -> str:
    return "1 channel" if count == 1 else f"{count} channels"
