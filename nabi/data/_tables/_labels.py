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
    """What the outputs of a classifier mean: the names of its classes, by number.

    With `several=False` a sample has one of them, with `several=True` any number. Names are text; those that
    are numbers are in the order of the numbers, and before the others, which are in that of the alphabet.

    Made by `learn` from the labels of samples, by `from_columns` from columns of 0 and 1, or by `from_dict`.
    Spaces around a label do not count.

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
        """Make labels of names in the order of their numbers.

        Args:
            names: each once, two or more (one is enough with `several`).
            several: whether a sample can have more than one of them.
            separator: between the labels of a sample where they are given as one text.

        Raises `ArgumentError` for too few names, for one that is there twice, and for a separator without
        `several`.
        """
        self.names, self.several, self.separator = tuple(names), bool(several), separator
        _check_separator(separator, several)
        texts = all(isinstance(name, str) for name in self.names)
        if not texts or len(set(self.names)) < len(self.names):
            raise ArgumentError(f"names: {self.names} were given, texts are expected, each once")
        if len(self.names) < (1 if several else 2):
            found = f"only {self.names[0]!r} was given" if self.names else "no labels were given"
            raise ArgumentError(f"labels: {found}, at least two classes are expected")
        self._number = {name: number for number, name in enumerate(self.names)}

    @classmethod
    @public
    def learn(cls, values: Iterable[Any], *, several: bool = False, separator: str | None = None) -> "Labels":
        """Collect the labels of samples.

        Args:
            values: a label for each sample, text or number; with `several` a list of them for each, or a
                text divided at `separator`. 1, 1.0 and "1" are the same label, as are True and "True".
            several: whether a sample can have more than one label, or none.
            separator: between labels in one text, such as `","` or `" "`.

        Raises `ArgumentError` for a missing label (None, NaN, an empty text), which it names the row of, for
        values that are no labels, and if all samples have the same label.

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
        """Take each column of 0 and 1 for a label: a sample has the labels whose columns have a 1 for it.

        The names are those of the columns, in their order. `encode` takes such columns too.
        Raises `ArgumentError` for columns of other values or of different lengths, and for none.

        >>> labels = Labels.from_columns({"rude": [0, 1, 1], "threat": [0, 0, 1]})
        >>> labels.encode({"rude": [0, 1], "threat": ["1", "1"]})
        array([[0., 1.],
               [1., 1.]], dtype=float32)
        """
        if not isinstance(columns, Mapping) or not columns:
            raise ArgumentError(f"columns: {columns!r} was given, names with values of 0 and 1 are expected")
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

        Returns numbers of classes `[N]`, int64; with `several` 0 and 1 in `[N, C]`, float32.
        Raises `UnknownNameError` for a label that was not learnt, `ArgumentError` as `learn` does.
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
            raise ArgumentError("values: columns were given, which are for labels with several=True")
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
                    raise ArgumentError(f"{name}[{row}]: {text!r} was given, 0 or 1 is expected")
            encoded.append([_YES_AND_NO[text] for text in texts])
        if len({len(column) for column in encoded}) > 1:
            raise ShapeError("values: the columns have different lengths")
        return np.array(encoded, dtype=np.float32).T.copy()

    @public
    def decode(
        self, probabilities: npt.ArrayLike, threshold: float = 0.5
    ) -> list[str] | list[tuple[str, ...]]:
        """Return the names that a classifier's outputs mean.

        Args:
            probabilities: `[N, C]`. Of two classes also `[N]` or `[N, 1]`, the probability of the second.
            threshold: from which probability on a label counts; of C classes the most probable one is taken.

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
            raise ShapeError(f"probabilities: shape {given.shape} was given, [N, {len(self)}] is expected")
        if self.several:
            return [
                tuple(name for name, value in zip(self.names, row, strict=True) if value >= threshold)
                for row in given
            ]
        return [self.names[number] for number in given.argmax(axis=1)]

    def to_dict(self) -> dict[str, Any]:
        """Return the labels as lists and text, which JSON can hold."""
        return {
            "layout": _LAYOUT,
            "names": list(self.names),
            "several": self.several,
            "separator": self.separator,
        }

    @classmethod
    def from_dict(cls, described: Mapping[str, Any]) -> "Labels":
        """Make the labels that `to_dict` described.

        Raises `FileFormatError` if something in it is missing or cannot be, or if its layout is newer.
        """
        if not isinstance(described, Mapping) or described.get("layout") != _LAYOUT:
            raise FileFormatError(
                f"labels: a description of layout {_LAYOUT} is expected, {described!r} was found"
            )
        names, several = described.get("names"), described.get("several")
        if not isinstance(names, list) or not isinstance(several, bool):
            raise FileFormatError("labels: names are missing or no list, or several is not true or false")
        try:
            return cls(names, several=several, separator=described.get("separator"))
        except (ArgumentError, TypeError) as problem:
            raise FileFormatError(f"labels: {problem}") from problem


_YES_AND_NO = {"0": 0, "False": 0, "false": 0, "1": 1, "True": 1, "true": 1}


def _check_separator(separator: Any, several: bool) -> None:
    if separator is not None and (not several or not isinstance(separator, str) or not separator):
        raise ArgumentError(f"separator: {separator!r} was given, text is expected, with several=True")


def _read(values: Any, several: bool, separator: str | None) -> list[tuple[str, ...]]:
    """The names of each sample's labels."""
    samples: list[tuple[str, ...]] = []
    for position, value in enumerate(_listed("values", values)):
        where = f"values[{position}]"
        if not several:
            samples.append((_text(where, value),))
        elif isinstance(value, str):
            if separator is None:
                raise ArgumentError(
                    f"{where}: {value!r} was given, a list is expected, or separator= for labels in one text"
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
        raise ArgumentError(f"{argument}: {values!r} was given, a list is expected")
    # An array or tensor gives its own numbers as Python's.
    listed = values.tolist() if hasattr(values, "tolist") else list(values)
    if not isinstance(listed, list):
        raise ArgumentError(f"{argument}: {values!r} was given, a list is expected")
    return listed


def _text(where: str, value: Any) -> str:
    """The name of a label."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if isinstance(value, str):
        value = value.strip()
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        raise ArgumentError(f"{where}: the label is missing ({value!r})")
    if not isinstance(value, str | int | float):
        raise ArgumentError(f"{where}: {type(value).__name__} was given, text or a number is expected")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)


def _place(name: str) -> tuple[bool, float, str]:
    """Numbers by their value, then texts by the alphabet."""
    try:
        number = float(name)
    except ValueError:
        number = math.nan
    return (False, number, name) if math.isfinite(number) else (True, 0.0, name)
