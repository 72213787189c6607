"""What `nabi train` knows of a kind of data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from nabi.cli._train._given import Given
from nabi.cli._train._logs import Logs, Trained
from nabi.errors import NabiError

__all__ = ["Form", "Said", "columns_of"]

Said = dict[str, Any]
"""What the command line says: the value of each option by the name of its argument."""


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
        """The `Settings` class of its system."""

    def is_meant(self, said: Said, /) -> bool:
        """Whether it is what the command line says."""

    def inputs(self, said: Said, /) -> Mapping[str, Path | None]:
        """Return files and folders that are learnt from, by what messages call them."""

    def outputs(self, said: Said, /) -> list[Path]:
        """Return the files that are written: the model, and those beside it."""

    def train(self, said: Said, logs: Logs, /) -> Trained | None:
        """Train a model, say how good it is, save it; return what came of it, in the first worker."""


def columns_of(said: Said) -> str:
    """Return what the columns of the file are, or why it has none."""
    from nabi.data import table_columns

    file: Path = said["file"]
    try:
        names = table_columns(
            file, encoding=said["encoding"], separator=said["separator"], header=said["header"]
        )
    except NabiError as problem:
        return str(problem)
    return f"{file} has the columns {', '.join(names)}"
