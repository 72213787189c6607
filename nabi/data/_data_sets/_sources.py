"""Where the files of a data set are: named by the user, in the folder of NABI_DATA, or downloaded once."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nabi import _checks
from nabi.data._data_sets._download import RemoteFile, fetch
from nabi.errors import FileFormatError, MissingFileError

__all__ = ["DataSet", "Layout", "Part", "data_folder", "read_parts"]

# The texts of one part of a data set (training, test, ...) and the names of their labels, or translations.
Part = tuple[list[str], list[str]]

_COMPRESSED = (".bz2", ".gz", ".xz")


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
    """A data set, the layouts in which its files may be found, and its public home.

    Attributes:
        name: as in `nabi.datasets`.
        layouts: the one that is looked for first comes first.
        home: the files of one of the layouts, in its order, and where they can be downloaded; empty where no
            address is known that always gives the same.
    """

    name: str
    layouts: tuple[Layout, ...]
    home: tuple[RemoteFile, ...]


def data_folder() -> Path:
    """Return the folder of downloaded data sets, whether it exists or not: `data` in nabi's cache."""
    from nabi.targets import llvm

    return llvm.cache_folder() / "data"


def read_parts(data_set: DataSet, path: str | os.PathLike[str] | None) -> tuple[Part, ...]:
    """Find a data set, download it if it is nowhere on this machine, and read it.

    Args:
        data_set: which.
        path: a file or a folder. None, or the name that is Keras' default (`"imdb.npz"`), looks in the folder
            of the environment variable NABI_DATA, then among what was downloaded before.

    Raises:
        MissingFileError: if the files are not where they were said to be, or cannot be downloaded.
        FileFormatError: if a file is damaged or of another layout.
        ArgumentError: if `path` is no path.
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
    """The files at a place that the user names: nowhere else is looked."""
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
    raise FileFormatError(f"path: {path} is of another kind than {_wanted(data_set)}")


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
            f"path: {data_set.name} is not on this machine, and there is no address to download it from; put "
            f"{_wanted(data_set)} into a folder and name that with NABI_DATA or path="
        )
    if found is None:
        for remote in data_set.home:
            if not (cache / remote.name).is_file():
                _download(data_set, remote, cache)
        found = _in_folder(data_set, cache)
        if found is None:
            raise MissingFileError(f"{cache}: what was downloaded for {data_set.name} is not there any more")
    return found


def _download(data_set: DataSet, remote: RemoteFile, folder: Path) -> None:
    try:
        fetch(remote, folder)
    except MissingFileError as problem:
        raise MissingFileError(
            f"{problem}. By hand: get it from {remote.addresses[0]} and put it into {folder}, or put "
            f"{_wanted(data_set)} into a folder and name that with NABI_DATA or path="
        ) from problem


def _in_folder(data_set: DataSet, place: Path) -> tuple[Layout, list[Path]] | None:
    for layout, folder in _places(data_set, place):
        files = [folder / name for name in layout.names]
        if all(file.is_file() for file in files):
            return layout, files
    return None


def _places(data_set: DataSet, place: Path) -> Iterator[tuple[Layout, Path]]:
    # A folder of all kinds of data sets keeps each kind in a folder of its own.
    for folder in (place, place / "text", place / "translation"):
        for layout in data_set.layouts:
            yield layout, folder


def _wanted(data_set: DataSet) -> str:
    return " or ".join(" + ".join(layout.names) for layout in data_set.layouts)


def _kind(name: str) -> str:
    """What a file is by its name: `".csv"` of `reviews.csv.xz`."""
    for suffix in _COMPRESSED:
        name = name.removesuffix(suffix)
    return Path(name).suffix.replace(".tgz", ".tar")
