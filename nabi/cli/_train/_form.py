"""What `nabi train` knows of a kind of data."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nabi.errors import NabiError

__all__ = ["EVERYWHERE", "Form", "Said", "columns_of", "settings_of"]

Said = dict[str, Any]
"""What the command line says: the value of each option by the name of its argument."""

EVERYWHERE = frozenset(
    {"file", "cell", "units", "epochs", "batch_size", "learning_rate", "seed", "threads", "out", "overwrite"}
)
"""Options that mean something for every kind of data."""


@dataclass(frozen=True)
class Form:
    """A kind of data that `nabi train` learns from."""

    name: str
    usage: str
    what: str
    options: frozenset[str]
    """Arguments of `train` that mean something for it; others are refused."""
    is_meant: Callable[[Said], bool]
    """Whether it is what the command line says."""
    train: Callable[[Said], None]


def settings_of(said: Said, names: Collection[str]) -> dict[str, Any]:
    """Return some of the options, as settings of a model: what was not said is None."""
    return {name: said[name] for name in names}


def columns_of(said: Said) -> str:
    """Return what the columns of the file are, or why it has none."""
    from nabi.data import table_columns

    file: Path = said["file"]
    try:
        names = table_columns(file, encoding=said["encoding"], separator=said["separator"])
    except NabiError as problem:
        return str(problem)
    return f"{file} has the columns {', '.join(names)}"
