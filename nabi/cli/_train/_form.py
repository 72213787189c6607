"""What `nabi train` knows of a kind of data."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from nabi.cli._train._given import Given
from nabi.errors import NabiError

__all__ = ["EVERYWHERE", "Form", "HandMadeForm", "Said", "columns_of", "settings_of"]

Said = dict[str, Any]
"""What the command line says: the value of each option by the name of its argument."""

EVERYWHERE = frozenset(
    {"file", "cell", "units", "epochs", "batch_size", "learning_rate", "seed", "threads", "out", "overwrite"}
)
"""Options that mean something for every kind of data."""


class Form(Protocol):
    """A kind of data that `nabi train` learns from."""

    @property
    def name(self) -> str:
        """What it is: "a folder of pictures with captions"."""

    @property
    def short(self) -> str:
        """The same in a word, for lists of defaults: "captions"."""

    @property
    def usage(self) -> str:
        """The command."""

    @property
    def what(self) -> str:
        """What the data must be."""

    @property
    def options(self) -> frozenset[str]:
        """Arguments of `train` that mean something for it; others are refused."""

    @property
    def data(self) -> Mapping[str, Given]:
        """Options that say where the data lies, which no other kind has."""

    @property
    def settings(self) -> Any:
        """The `Settings` class of its system, None for a form that is made by hand."""

    def is_meant(self, said: Said, /) -> bool:
        """Whether it is what the command line says."""

    def train(self, said: Said, /) -> None:
        """Train a model, say how good it is, save it."""


@dataclass(frozen=True)
class HandMadeForm:
    """A kind of data whose system has no `Settings` class yet; its options stand in `_bridge`."""

    name: str
    usage: str
    what: str
    options: frozenset[str]
    is_meant: Callable[[Said], bool]
    train: Callable[[Said], None]
    short: str = ""
    settings: None = None
    data: Mapping[str, Given] = field(default_factory=dict)


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
