"""What is held out of the samples of a model of texts: shares of them, or others that are given."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from nabi import _checks
from nabi.errors import ArgumentError
from nabi.models._classifier._columns import Columns
from nabi.models._classifier._other_columns import Cells

__all__ = ["HeldOut", "check_same_columns", "check_shares", "collect_part", "note_repeated"]

S = TypeVar("S")


@dataclass(frozen=True)
class HeldOut:
    """What says when to stop and what the report is about; arguments of `fit`."""

    validation: Any = None
    """A table or a tuple of lists; None for a share of the samples."""
    test: Any = None
    """Likewise."""
    validation_share: float = 0.1
    test_share: float = 0.1
    seed: int = 0
    """Of the choice of rows: that of the settings."""

    @property
    def given(self) -> dict[str, Any]:
        """The parts that can be given, by name."""
        return {"validation": self.validation, "test": self.test}

    @property
    def shares(self) -> tuple[float, float]:
        """Which shares of the rows are held out to stop by and to test on; 0 for a part that is given.

        Raises:
            ArgumentError: as `check_shares`.
        """
        has_validation, has_test = self.validation is not None, self.test is not None
        return check_shares(self.validation_share, self.test_share, has_validation, has_test)


def collect_part(
    name: str, given: Any, columns: Columns | None, called: str, collect: Callable[..., S]
) -> S | None:
    """Return the samples of `validation` or `test`; None where it is not given.

    Args:
        name: of the part.
        given: a table, or a tuple of texts and labels or numbers, with aspects and columns if any.
        columns: of the table of the training rows.
        called: what texts have, "labels" or "targets".
        collect: reads samples.

    Raises:
        ArgumentError: for something else.
    """
    if given is None:
        return None
    if isinstance(given, str | os.PathLike):
        if columns is None:
            raise ArgumentError(f"{name}: expected (texts, {called}) as for the training rows, got a table")
        return collect(given, columns=columns)
    if not isinstance(given, tuple) or not 2 <= len(given) <= 4:
        raise ArgumentError(
            f"{name}: expected the path of a table, or (texts, {called}), got {_checks.short(given)}"
        )
    return collect(*given)


def check_shares(
    validation_share: float, test_share: float, has_validation: bool, has_test: bool
) -> tuple[float, float]:
    """Return which shares of the rows are held out to stop by and to test on; 0 for a part that is given.

    Raises:
        ArgumentError: for shares that leave nothing to train on, or nothing to measure on.
    """
    wanted = {
        "validation_share": 0.0 if has_validation else validation_share,
        "test_share": 0.0 if has_test else test_share,
    }
    for name, share in wanted.items():
        _checks.rate(name, share)
    if sum(wanted.values()) >= 1:
        raise ArgumentError(
            f"validation_share, test_share: {validation_share} and {test_share} leave no rows to train on"
        )
    if not (sum(wanted.values()) or has_validation or has_test):
        raise ArgumentError(
            "validation_share, test_share: one of them must be above 0, to know what was learnt"
        )
    return wanted["validation_share"], wanted["test_share"]


def note_repeated(name: str, trained: Sequence[str], held_out: Sequence[str] | None) -> list[str]:
    """Say how many of the texts held out are trained on too, if there are such."""
    known = set(trained)
    again = sum(text in known for text in held_out or ())
    if not again:
        return []
    return [
        f"{again:,} of the {len(held_out or ()):,} {name} rows have a text that is trained on too, "
        "which flatters the figures"
    ]


def check_same_columns(own: Cells | None, given: Cells | None, name: str) -> None:
    """Refuse rows that have not the same other columns as those to learn from.

    Raises:
        ArgumentError: for such rows.
    """
    if set(own or ()) != set(given or ()):
        wanted = ", ".join(own or ()) or "no other columns"
        raise ArgumentError(
            f"{name}: expected {wanted} beside the texts as in the training rows, got "
            f"{', '.join(given or ()) or 'none'}"
        )
