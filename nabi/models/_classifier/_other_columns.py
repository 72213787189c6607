"""Other columns of a table of texts, as the numbers that a network reads beside a text."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nabi import _checks
from nabi.errors import ArgumentError
from nabi.models._classifier._rows import Places, as_list, as_number, is_missing

__all__ = ["Cells", "OtherColumns", "as_cells", "beside_texts", "features_of", "no_columns", "taken"]

_MOST_CATEGORIES = 100
# A column of more different texts than this share of its rows is no column of categories, which repeat.
_MOST_OF_ROWS = 0.5
# Rarer values are unknown ones: so the network learns what an unknown value is like.
_FEWEST_ROWS = 2
_MOST_DATES = 0.9
_DATE = re.compile(r"\d{1,4}([-./])\d{1,2}\1\d{1,4}([T ]\d{1,2}:\d{2}.*)?")
_FURTHEST = 10.0

Cells = Mapping[str, Sequence[Any]]
"""What stands in each column, by its name."""
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Column:
    """A column of numbers, or of categories."""

    name: str
    values: tuple[str, ...] | None
    """The categories that are told apart; None for numbers."""
    mean: float = 0.0
    deviation: float = 1.0

    @property
    def width(self) -> int:
        """Numbers that a cell becomes: its own and whether it is missing; or one a category, or none."""
        return 2 if self.values is None else len(self.values)

    @property
    def described(self) -> str:
        """What it holds, in a few words."""
        if self.values is None:
            return f"{self.name} (numbers, mean {self.mean:.4g}, standard deviation {self.deviation:.4g})"
        return f"{self.name} ({len(self.values)} categor{'y' if len(self.values) == 1 else 'ies'})"

    def fault(self, cell: Any) -> str:
        """Say what is wrong with a cell; "" for one that can be read."""
        if isinstance(cell, list | tuple | dict | set):
            what = "a number" if self.values is None else "a text or a number"
        elif self.values is None and not is_missing(_stripped(cell)) and as_number(cell) is None:
            what = "a finite number"
        else:
            return ""
        return f"expected {what} in the column {self.name!r}, got {_checks.short(cell)}"

    def write(self, cell: Any, row: Floats) -> None:
        """Write the numbers of a cell into a row of zeros."""
        if self.values is not None:
            name = _as_category(cell)
            if name in self.values:
                row[self.values.index(name)] = 1
            return
        number = as_number(cell)
        if number is None:
            row[1] = 1
        else:
            row[0] = min(max((number - self.mean) / self.deviation, -_FURTHEST), _FURTHEST)


@dataclass(frozen=True, eq=False)
class OtherColumns:
    """How cells become features, and what a linear model makes of these alone.

    Numbers are standardized by the rows that are learnt from, beside a feature that is 1 for a missing one.
    Categories are 0 or 1 each; an unknown or missing one is 0 in all.
    """

    FURTHEST: ClassVar[float] = _FURTHEST
    """A number further from the mean than this many standard deviations counts as one that is that far."""

    columns: tuple[_Column, ...]
    weight: Tensor | None = None
    """Of the linear model, `[features, outputs]`."""
    bias: Tensor | None = None
    """`[outputs]`."""

    @classmethod
    def learn(cls, learnt_from: Cells, held_out: Sequence[Cells | None]) -> Self:
        """Find out what the columns hold.

        Args:
            learnt_from: the cells of the rows to learn from.
            held_out: those of others, which must hold the same kind of cells.

        Raises:
            ArgumentError: for a column that holds neither numbers nor categories, or only one value.
        """
        everywhere = [cells for cells in (learnt_from, *held_out) if cells is not None]
        return cls(
            tuple(
                _learn_column(name, cells, [cell for one in everywhere for cell in one[name]])
                for name, cells in learnt_from.items()
            )
        )

    def __len__(self) -> int:
        return sum(one.width for one in self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        return tuple(one.name for one in self.columns)

    @property
    def described(self) -> str:
        """What is read beside a text, in a line."""
        return ", ".join(one.described for one in self.columns)

    def features(self, columns: Any, count: int) -> Floats:
        """Return the features of the cells of N texts, `[N, features]`.

        Args:
            columns: N cells for each column, by its name.
            count: N.

        Raises:
            ArgumentError: for a column that is missing or unknown, a wrong number of cells, and a cell that
                cannot be read.
        """
        cells = as_cells(columns, count)
        if cells is None:
            raise ArgumentError(
                f"columns: expected {_listed(self.names)} for each text, got None; the model was trained "
                "with them"
            )
        missing = [name for name in self.names if name not in cells]
        unknown = [name for name in cells if name not in self.names]
        if missing or unknown:
            fault = f"no column {missing[0]!r}" if missing else f"the column {unknown[0]!r}"
            raise ArgumentError(f"columns: expected {_listed(self.names)} as in training, got {fault}")
        for place, fault in self.faults(cells):
            raise ArgumentError(f"columns: {fault} for texts[{place}]")
        found = np.zeros((count, len(self)), dtype=np.float32)
        start = 0
        for one in self.columns:
            part = found[:, start : start + one.width]
            for row, cell in zip(part, cells[one.name], strict=True):
                one.write(cell, row)
            start += one.width
        return found

    def faults(self, cells: Cells) -> Iterator[tuple[int, str]]:
        """Yield the places of cells that cannot be read, and what is wrong with them."""
        for one in self.columns:
            for place, cell in enumerate(cells[one.name]):
                if fault := one.fault(cell):
                    yield place, fault

    def check(self, cells: Cells, places: Places) -> None:
        """Look at cells of the rows of a table: rows with one that cannot be read are wrong ones.

        Raises:
            ArgumentError: for such a cell, with its row, where wrong rows are not passed over.
        """
        for place, fault in self.faults(cells):
            what = f"columns: {fault} for {places.row(place)}"
            if not places.keeps_wrong:
                raise ArgumentError(what)
            places.wrong.setdefault(place, what)

    def with_linear(self, weight: Tensor, bias: Tensor) -> Self:
        """Return them with what a linear model has learnt from their features alone."""
        return replace(self, weight=weight, bias=bias)

    def alone(self, features: Floats) -> npt.NDArray[np.float32]:
        """Return what that makes of features `[N, features]`, `[N, outputs]`."""
        assert self.weight is not None
        assert self.bias is not None
        found: npt.NDArray[np.float32] = (torch.from_numpy(features) @ self.weight + self.bias).numpy()
        return found

    # Files --------------------------------------------------------------------------------------------------

    def to_file(self) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
        """Return what a file holds: a description that JSON can hold, and tensors by name."""
        assert self.weight is not None
        assert self.bias is not None
        described = [
            {
                "name": one.name,
                "values": None if one.values is None else list(one.values),
                "mean": one.mean,
                "deviation": one.deviation,
            }
            for one in self.columns
        ]
        return described, {"weight": self.weight, "bias": self.bias}

    @classmethod
    def from_file(cls, described: Any, tensors: Mapping[str, Tensor], outputs: int) -> Self:
        """Make the columns that `to_file` described.

        Raises:
            ArgumentError: for something else.
        """
        columns = []
        for one in described:
            values = one["values"]
            name = one["name"]
            if not isinstance(name, str) or not (
                values is None
                or (isinstance(values, list) and values and all(isinstance(value, str) for value in values))
            ):
                raise ArgumentError("columns: expected names, and texts for categories")
            mean, deviation = float(one["mean"]), float(one["deviation"])
            if not (math.isfinite(mean) and math.isfinite(deviation) and deviation > 0):
                raise ArgumentError(f"columns: expected a mean and a deviation above 0 for {name!r}")
            columns.append(_Column(name, None if values is None else tuple(values), mean, deviation))
        found = cls(tuple(columns), tensors["weight"], tensors["bias"])
        if len(set(found.names)) != len(columns) or not columns:
            raise ArgumentError("columns: expected different names")
        shapes = tuple(tensors["weight"].shape), tuple(tensors["bias"].shape)
        types = {tensors["weight"].dtype, tensors["bias"].dtype}
        if shapes != ((len(found), outputs), (outputs,)) or types != {torch.float32}:
            raise ArgumentError(f"columns: expected {len(found)} features and {outputs} outputs")
        return found


def as_cells(columns: Any, count: int) -> dict[str, list[Any]] | None:
    """Return the cells of columns as lists; None for none.

    Raises:
        ArgumentError: for something else than a mapping from names to `count` cells each.
    """
    if columns is None:
        return None
    if not isinstance(columns, Mapping) or not columns or not all(isinstance(one, str) for one in columns):
        raise ArgumentError(
            f"columns: expected a dictionary of names with a list of cells each, got {_checks.short(columns)}"
        )
    cells = {name: as_list(f"columns[{name!r}]", values) for name, values in columns.items()}
    for name, values in cells.items():
        if len(values) != count:
            raise ArgumentError(f"columns[{name!r}]: expected {count}, one for each text, got {len(values)}")
    return cells


class WithCells(Protocol):
    """Samples that may have other columns."""

    @property
    def texts(self) -> list[str]:
        """N texts."""

    @property
    def others(self) -> dict[str, list[Any]] | None:
        """N cells of each other column."""


def features_of(columns: OtherColumns | None, samples: WithCells) -> Floats | None:
    """Return the features of the other columns of samples, `[N, features]`; None where there are none."""
    return None if columns is None else columns.features(samples.others, len(samples.texts))


def beside_texts(columns: OtherColumns | None, given: Any, count: int) -> Floats | None:
    """Return the features of the columns that are given with `count` texts; None for a model without.

    Raises:
        ArgumentError: as `OtherColumns.features`, and for columns of a model that was trained without.
    """
    if columns is not None:
        return columns.features(given, count)
    if given is not None:
        raise ArgumentError("columns: expected None, as the model was trained without other columns")
    return None


def taken(cells: Mapping[str, Sequence[Any]] | None, rows: Sequence[int]) -> dict[str, list[Any]] | None:
    """Return the cells of some rows."""
    if cells is None:
        return None
    return {name: [values[row] for row in rows] for name, values in cells.items()}


def no_columns(model: Any, what: str) -> None:
    """Refuse a model that reads other columns beside the text, where there is no place for them.

    Args:
        model: a model of texts.
        what: cannot be done with it, "exported as a web page".

    Raises:
        ArgumentError: for such a model.
    """
    others = getattr(model, "other_columns", None)
    if others is not None:
        raise ArgumentError(
            f"model: it reads {_listed(others.names)} of the table beside the text, and such a model cannot "
            f"be {what}"
        )


def _listed(names: Sequence[str]) -> str:
    return f"the column{'' if len(names) == 1 else 's'} {', '.join(names)}"


def _stripped(cell: Any) -> Any:
    return cell.strip() if isinstance(cell, str) else cell


def _as_category(cell: Any) -> str:
    """Return a cell as the name of a category; "" for a missing one."""
    if is_missing(cell):
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def _learn_column(name: str, learnt_from: Sequence[Any], everywhere: Sequence[Any]) -> _Column:
    there = [cell for cell in map(_stripped, everywhere) if not is_missing(cell)]
    for cell in there:
        if fault := _Column(name, ()).fault(cell):
            raise ArgumentError(f"columns: {fault}")
    different = Counter(_as_category(cell) for cell in there)
    if len(different) < 2 and len(there) == len(everywhere):
        raise ArgumentError(
            f"columns: the column {name!r} holds {next(iter(different), '')!r} in every row, from which "
            "nothing can be learnt"
        )
    if not there:
        raise ArgumentError(f"columns: the column {name!r} is empty in every row")
    if all(as_number(cell) is not None for cell in there):
        numbers = np.array([one for cell in learnt_from if (one := as_number(cell)) is not None] or [0.0])
        # Divided first: the mean of numbers near the largest that there are is still a number.
        size = float(np.abs(numbers).max()) or 1.0
        deviation = float((numbers / size).std()) * size
        return _Column(name, None, float((numbers / size).mean()) * size, deviation or 1.0)
    example = next(iter(different))
    if sum(map(bool, map(_DATE.fullmatch, map(str, there)))) > _MOST_DATES * len(there):
        raise ArgumentError(
            f"columns: the column {name!r} holds dates, such as {example!r}, which are neither numbers nor "
            "categories; add a column with what counts of them, such as the year, the month or the days "
            "since then"
        )
    counts = Counter(_as_category(cell) for cell in learnt_from)
    counts.pop("", None)
    known = [value for value, count in counts.most_common(_MOST_CATEGORIES) if count >= _FEWEST_ROWS]
    if not known or (len(different) > _MOST_CATEGORIES and len(different) > _MOST_OF_ROWS * len(there)):
        raise ArgumentError(
            f"columns: the column {name!r} holds {len(different):,} different texts in {len(there):,} rows, "
            f"such as {_checks.short(example)}: expected numbers, or categories, which repeat"
        )
    return _Column(name, tuple(sorted(known)))
