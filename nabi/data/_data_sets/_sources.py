"""Where the files of a data set are: named by the user, in the folder of NABI_DATA, or downloaded once."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nabi.errors import MissingFileError

__all__ = ["DataSet", "Layout", "Part", "read_parts"]

# The texts of one part of a data set (training, test, ...) and the names of their labels.
Part = tuple[list[str], list[str]]


@dataclass(frozen=True)
class Layout:
    """Files in which a data set comes, and what reads them.

    Attributes:
        names: of the files, which lie in one folder.
        read: gives the parts of the data set, from the files in the order of `names`.
    """

    names: tuple[str, ...]
    read: Callable[[Sequence[Path]], tuple[Part, ...]]


@dataclass(frozen=True)
class DataSet:
    """A data set and the layouts in which its files may be found.

    Attributes:
        name: as in `nabi.datasets`.
        layouts: the one that is looked for first comes first.
    """

    name: str
    layouts: tuple[Layout, ...]


def read_parts(data_set: DataSet, path: str | os.PathLike[str] | None) -> tuple[Part, ...]:
    """Find a data set and read it.

    Args:
        data_set: which.
        path: a file or a folder; None looks where data sets usually are.

    Raises:
        MissingFileError: if there are no such files.
    """
    layout, files = _find(data_set, path)
    return layout.read(files)


def _find(data_set: DataSet, path: str | os.PathLike[str] | None) -> tuple[Layout, list[Path]]:
    if path is not None:
        return _find_in(data_set, Path(path), "path")
    folder = os.environ.get("NABI_DATA", "").strip()
    return _find_in(data_set, Path(folder), "NABI_DATA")


def _find_in(data_set: DataSet, place: Path, said_by: str) -> tuple[Layout, list[Path]]:
    for layout in data_set.layouts:
        if place.is_file() and len(layout.names) == 1:
            return layout, [place]
        # The folder of all data sets keeps texts in a folder of their own.
        for folder in (place, place / "text"):
            files = [folder / name for name in layout.names]
            if all(file.is_file() for file in files):
                return layout, files
    raise MissingFileError(f"{said_by}: the data set {data_set.name} is not in {place}")
