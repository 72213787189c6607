"""Which cells a test runs when running all of them would take too long."""

from collections.abc import Iterable

from nabi import cells
from nabi.cells import Cell

from ..rotation import day, everything

CLASSIC = (
    "simple-rnn", "lstm", "peephole-lstm", "coupled-lstm", "gru-lecture", "gru-2014", "gru",
    "layer-norm-lstm", "projected-lstm", "zoneout-lstm", "ind-rnn",
)  # fmt: skip
"""The cells of the first versions, which most tests run on every day."""


def cells_of_today(names: Iterable[str] | None = None, days: int = 8) -> list[str]:
    """The cells of the first versions and a part of the others; every cell comes up once in so many days."""
    chosen = list(cells.names() if names is None else names)
    today = day() % days
    others = [name for name in chosen if name not in CLASSIC]
    part = {name for at, name in enumerate(others) if everything() or at % days == today}
    return [name for name in chosen if name in CLASSIC or name in part]


def make(name: str, units: int) -> Cell:
    """A cell with its defaults; the one argument without a default gets a value."""
    more = {"projection": max(units // 2, 1)} if name == "projected-lstm" else {}
    return cells.get(name)(units, **more)
