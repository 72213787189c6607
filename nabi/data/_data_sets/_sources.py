"""Locating data set files: given by the user, in the NABI_DATA folder, or downloaded once."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nabi import _checks
from nabi.data._data_sets._download import RemoteFile, fetch
from nabi.errors import FileFormatError, MissingFileError

__all__ = ["DataSet", "Layout", "Part", "data_folder", "read_parts"]

# The texts of one part of a data set (training, test, ...) and their label names or translations.
Part = tuple[list[str], list[str]]

_COMPRESSED = (".bz2", ".gz", ".xz")


@dataclass(frozen=True)
class Layout:
    """The files of a data set, and their reader.

    Attributes:
        names: of the files, which are in one folder.
        read: reads the parts of the data set from the files, in the order of `names`.
    """

    names: tuple[str, ...]
    read: Callable[[Sequence[Path]], tuple[Part, ...]]


@dataclass(frozen=True)
class DataSet:
    """A data set, the possible layouts of its files, and its downloads.

    Attributes:
        name: as in `nabi.datasets`.
        layouts: in search order.
        home: the downloads for one of the layouts, in its order; empty if there is no address with stable
            contents.
    """

    name: str
    layouts: tuple[Layout, ...]
    home: tuple[RemoteFile, ...]


def data_folder() -> Path:
    """Return the folder of downloaded data sets, `data` in nabi's cache; it may not exist yet."""
    from nabi.targets import llvm

    return llvm.cache_folder() / "data"


def read_parts(data_set: DataSet, path: str | os.PathLike[str] | None) -> tuple[Part, ...]:
    """Find a data set, download it if it is not on this machine, and read it.

    Args:
        data_set: the data set.
        path: a file or a folder. None, or Keras' default name (`"imdb.npz"`), searches the folder of the
            environment variable NABI_DATA, then the downloads.

    Raises:
        MissingFileError: if the files are not at the given place, or cannot be downloaded.
        FileFormatError: if a file is damaged or has another layout.
        ArgumentError: if `path` is not a path.
    """
    layout, files = _find(data_set, path)
    return layout.read(files)


def _find(data_set: DataSet, path: str | os.PathLike[str] | None) -> tuple[Layout, list[Path]]:
    if path is not None:
        place = _checks.path("path", path, " of a file or folder, or None")
        if str(place) != f"{data_set.name}.npz":
            return _find_said(data_set, place)
    return _find_usual(data_set)


def _find_said(data_set: DataSet, path: Path) -> tuple[Layout, list[Path]]:
    """Return the files at a place given by the user, and search nowhere else."""
    if path.is_dir():
        found = _in_folder(data_set, path)
        if found is None:
            raise MissingFileError(f"path: {path} has no {_wanted(data_set)}")
        return found
    if not path.is_file():
        raise MissingFileError(f"path: there is no file or folder {path}")
    for layout in data_set.layouts:
        if len(layout.names) == 1 and _kind(path.name) == _kind(layout.names[0]):
            return layout, [path]
    raise FileFormatError(f"path: expected a file like {_wanted(data_set)}, got {path}")


def _find_usual(data_set: DataSet) -> tuple[Layout, list[Path]]:
    said = os.environ.get("NABI_DATA", "").strip()
    if said:
        folder = Path(said).expanduser()
        if not folder.is_dir():
            raise MissingFileError(f"NABI_DATA: there is no folder {folder}")
        found = _in_folder(data_set, folder)
        if found is not None:
            return found
    cache = data_folder()
    found = _in_folder(data_set, cache)
    if found is None and not data_set.home:
        raise MissingFileError(
            f"path: {data_set.name} is not on this machine and cannot be downloaded; put "
            f"{_wanted(data_set)} into a folder and pass it with NABI_DATA or path="
        )
    if found is None:
        for remote in data_set.home:
            if not (cache / remote.name).is_file():
                _download(data_set, remote, cache)
        found = _in_folder(data_set, cache)
        if found is None:
            raise MissingFileError(f"{cache}: the files downloaded for {data_set.name} have disappeared")
    return found


def _download(data_set: DataSet, remote: RemoteFile, folder: Path) -> None:
    try:
        fetch(remote, folder)
    except MissingFileError as problem:
        raise MissingFileError(
            f"{problem}. To install it manually, download {remote.addresses[0]} into {folder}, or put "
            f"{_wanted(data_set)} into a folder and pass it with NABI_DATA or path="
        ) from problem


def _in_folder(data_set: DataSet, place: Path) -> tuple[Layout, list[Path]] | None:
    for layout, folder in _places(data_set, place):
        files = [folder / name for name in layout.names]
        if all(file.is_file() for file in files):
            return layout, files
    return None


def _places(data_set: DataSet, place: Path) -> Iterator[tuple[Layout, Path]]:
    # A shared data folder has a subfolder for each kind of data set.
    for folder in (place, place / "text", place / "translation"):
        for layout in data_set.layouts:
            yield layout, folder


def _wanted(data_set: DataSet) -> str:
    return " or ".join(" + ".join(layout.names) for layout in data_set.layouts)


def _kind(name: str) -> str:
    """Return the file type by name: `".csv"` of `reviews.csv.xz`."""
    for suffix in _COMPRESSED:
        name = name.removesuffix(suffix)
    return Path(name).suffix.replace(".tgz", ".tar")
