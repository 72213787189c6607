"""Labels as numbers."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi._public import public
from nabi.errors import ArgumentError, FileFormatError, ShapeError, unknown_name

__all__ = ["Labels"]

_LAYOUT = 1


class Labels:
    """The class names of a classifier, by number.

    With `several=False` a sample has one of them, with `several=True` any number. Names are text; numeric
    names come first, in numerical order, then the others in alphabetical order.

    Created by `learn` from the labels of samples, by `from_columns` from columns of 0 and 1, or by
    `from_dict`. Spaces around a label are ignored.

    >>> labels = Labels.learn(["good", "bad", "good"])
    >>> labels.names
    ('bad', 'good')
    >>> labels.encode(["good", "bad"])
    array([1, 0])
    >>> labels.decode([[0.1, 0.9]])
    ['good']
    """

    @public
    def __init__(self, names: Iterable[str], *, several: bool = False, separator: str | None = None) -> None:
        """Make labels from names in the order of their numbers.

        Args:
            names: two or more distinct names (one is enough with `several`).
            several: whether a sample can have more than one of them.
            separator: between the labels of a sample that are given as one text.

        Raises `ArgumentError` for too few names, a repeated name, and a separator without `several`.
        """
        self.names, self.several, self.separator = tuple(names), bool(several), separator
        _check_separator(separator, several)
        texts = all(isinstance(name, str) for name in self.names)
        if not texts or len(set(self.names)) < len(self.names):
            raise ArgumentError(f"names: expected texts, each once, got {self.names}")
        if len(self.names) < (1 if several else 2):
            found = f"only {self.names[0]!r}" if self.names else "none"
            raise ArgumentError(f"labels: expected at least two classes, got {found}")
        self._number = {name: number for number, name in enumerate(self.names)}

    @classmethod
    @public
    def learn(cls, values: Iterable[Any], *, several: bool = False, separator: str | None = None) -> "Labels":
        """Collect the labels of samples.

        Args:
            values: a label for each sample, text or number; with `several` a list of labels for each, or a
                text split at `separator`. 1, 1.0 and "1" are the same label, as are True and "True".
            several: whether a sample can have more than one label, or none.
            separator: between labels in one text, such as `","` or `" "`.

        Raises `ArgumentError` for a missing label (None, NaN, an empty text), naming its row, for values that
        are not labels, and if all samples have the same label.

        >>> Labels.learn(["10", "9", 2]).names
        ('2', '9', '10')
        >>> Labels.learn(["tea, milk", "tea", ""], several=True, separator=",").names
        ('milk', 'tea')
        """
        _check_separator(separator, several)
        found = {name for names in _read(values, several, separator) for name in names}
        return cls(sorted(found, key=_place), several=several, separator=separator)

    @classmethod
    @public
    def from_columns(cls, columns: Mapping[str, Iterable[Any]]) -> "Labels":
        """Make a label of each column of 0 and 1: a sample has the labels whose columns are 1 for it.

        The names are those of the columns, in their order. `encode` accepts such columns too.
        Raises `ArgumentError` for no columns, other values, or different lengths.

        >>> labels = Labels.from_columns({"rude": [0, 1, 1], "threat": [0, 0, 1]})
        >>> labels.encode({"rude": [0, 1], "threat": ["1", "1"]})
        array([[0., 1.],
               [1., 1.]], dtype=float32)
        """
        if not isinstance(columns, Mapping) or not columns:
            raise ArgumentError(f"columns: expected names with values of 0 and 1, got {columns!r}")
        labels = cls(columns, several=True)
        labels.encode(columns)
        return labels

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"Labels({self.names!r}, several={self.several})"

    @public
    def encode(self, values: Iterable[Any]) -> npt.NDArray[Any]:
        """Return the labels of N samples as numbers.

        Args:
            values: as for `learn`; with `several` also columns as for `from_columns`.

        Returns class numbers `[N]`, int64; with `several` 0 and 1, `[N, C]`, float32.
        Raises `UnknownNameError` for an unknown label, `ArgumentError` as `learn` does.
        """
        if isinstance(values, Mapping):
            return self._encode_columns(values)
        samples = _read(values, self.several, self.separator)
        for position, names in enumerate(samples):
            for name in names:
                if name not in self._number:
                    raise unknown_name(f"values[{position}]", name, self.names)
        if not self.several:
            return np.array([self._number[name] for (name,) in samples], dtype=np.int64)
        encoded = np.zeros((len(samples), len(self)), dtype=np.float32)
        for row, names in zip(encoded, samples, strict=True):
            row[[self._number[name] for name in names]] = 1
        return encoded

    def _encode_columns(self, columns: Mapping[Any, Any]) -> npt.NDArray[np.float32]:
        if not self.several:
            raise ArgumentError("values: expected a list of labels, got columns, which need several=True")
        for name in columns:
            if name not in self._number:
                raise unknown_name("values", name, self.names)
        for name in self.names:
            if name not in columns:
                raise ArgumentError(f"values: the column {name!r} is missing")
        encoded = []
        for name in self.names:
            texts = [_text(f"{name}[{row}]", value) for row, value in enumerate(_listed(name, columns[name]))]
            for row, text in enumerate(texts):
                if text not in _YES_AND_NO:
                    raise ArgumentError(f"{name}[{row}]: expected 0 or 1, got {text!r}")
            encoded.append([_YES_AND_NO[text] for text in texts])
        if len({len(column) for column in encoded}) > 1:
            raise ShapeError("values: expected columns of the same length, got different lengths")
        return np.array(encoded, dtype=np.float32).T.copy()

    @public
    def decode(
        self, probabilities: npt.ArrayLike, threshold: float = 0.5
    ) -> list[str] | list[tuple[str, ...]]:
        """Return the names for a classifier's outputs.

        Args:
            probabilities: `[N, C]`; for two classes also `[N]` or `[N, 1]`, the probability of the second.
            threshold: minimum probability of a label with `several`, or of the second class given alone;
                otherwise the most probable class is returned.

        Returns a name for each sample, with `several` a tuple of names.
        Raises `ShapeError` for another shape.

        >>> Labels(["milk", "sugar"], several=True).decode([[0.9, 0.6], [0.2, 0.1]])
        [('milk', 'sugar'), ()]
        >>> Labels(["bad", "good"]).decode([0.7, 0.2])
        ['good', 'bad']
        """
        threshold = _checks.real("threshold", threshold)
        given = np.asarray(probabilities)
        if not self.several and len(self) == 2 and (given.ndim == 1 or given.shape[1:] == (1,)):
            return [self.names[int(second >= threshold)] for second in given.reshape(-1)]
        if given.ndim != 2 or given.shape[1] != len(self):
            raise ShapeError(f"probabilities: expected the shape [N, {len(self)}], got {given.shape}")
        if self.several:
            return [
                tuple(name for name, value in zip(self.names, row, strict=True) if value >= threshold)
                for row in given
            ]
        return [self.names[number] for number in given.argmax(axis=1)]

    def to_dict(self) -> dict[str, Any]:
        """Return the labels as lists and strings, which JSON can hold."""
        return {
            "layout": _LAYOUT,
            "names": list(self.names),
            "several": self.several,
            "separator": self.separator,
        }

    @classmethod
    def from_dict(cls, described: Mapping[str, Any]) -> "Labels":
        """Make labels from the output of `to_dict`.

        Raises `FileFormatError` if something is missing or invalid, or if its layout is newer.
        """
        if not isinstance(described, Mapping) or described.get("layout") != _LAYOUT:
            raise FileFormatError(f"labels: expected a description of layout {_LAYOUT}, got {described!r}")
        names, several = described.get("names"), described.get("several")
        if not isinstance(names, list) or not isinstance(several, bool):
            raise FileFormatError("labels: names are missing or not a list, or several is not true or false")
        try:
            return cls(names, several=several, separator=described.get("separator"))
        except (ArgumentError, TypeError) as problem:
            raise FileFormatError(f"labels: {problem}") from problem


_YES_AND_NO = {"0": 0, "False": 0, "false": 0, "1": 1, "True": 1, "true": 1}


def _check_separator(separator: Any, several: bool) -> None:
    if separator is not None and (not several or not isinstance(separator, str) or not separator):
        raise ArgumentError(f"separator: expected a text, with several=True, got {separator!r}")


def _read(values: Any, several: bool, separator: str | None) -> list[tuple[str, ...]]:
    """Return the label names of each sample."""
    samples: list[tuple[str, ...]] = []
    for position, value in enumerate(_listed("values", values)):
        where = f"values[{position}]"
        if not several:
            samples.append((_text(where, value),))
        elif isinstance(value, str):
            if separator is None:
                raise ArgumentError(
                    f"{where}: expected a list, or separator= for labels in one text, got {value!r}"
                )
            parts = (part.strip() for part in value.split(separator))
            samples.append(tuple(part for part in parts if part))
        else:
            names = enumerate(_listed(where, value))
            samples.append(tuple(_text(f"{where}[{number}]", name) for number, name in names))
    return samples


def _listed(argument: str, values: Any) -> list[Any]:
    if values is None:
        raise ArgumentError(f"{argument}: the label is missing (None)")
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise ArgumentError(f"{argument}: expected a list, got {values!r}")
    # Turn NumPy or torch numbers into Python's.
    listed = values.tolist() if hasattr(values, "tolist") else list(values)
    if not isinstance(listed, list):
        raise ArgumentError(f"{argument}: expected a list, got {values!r}")
    return listed


def _text(where: str, value: Any) -> str:
    """Return the name of a label."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if isinstance(value, str):
        value = value.strip()
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        raise ArgumentError(f"{where}: the label is missing ({value!r})")
    if not isinstance(value, str | int | float):
        raise ArgumentError(f"{where}: expected a text or a number, got {type(value).__name__}")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)


def _place(name: str) -> tuple[bool, float, str]:
    """Return the sort key of a name: numbers by value, then texts alphabetically."""
    try:
        number = float(name)
    except ValueError:
        number = math.nan
    return (False, number, name) if math.isfinite(number) else (True, 0.0, name)
