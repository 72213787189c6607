"""Which files a command may write: one rule for all commands.

Before any work is done, an output is refused if it is one of the inputs (through links and relative paths
too) or another output, or if a file of that name exists that nabi did not write. `--overwrite` replaces such
a file; an input is never replaced.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from nabi.errors import OutputError

__all__ = ["Overwrite", "cell_files", "check_outputs", "check_run_folder"]

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that nabi did not write.")]

_START = 1 << 16
# How files begin that nabi wrote: a model file or checkpoint, and by a mark pictures, figures and music.
_MODEL_FILE = b'{"__metadata__":{"nabi":'
_MARKS = (
    b"Software\0nabi",  # a PNG
    b"<dc:title>nabi</dc:title>",  # an SVG's creator
    b'"written_by": "nabi',  # figures as JSON
    b"written by nabi",  # a MIDI file
)


def check_outputs(
    outputs: Mapping[str, Path | Iterable[Path] | None],
    inputs: Mapping[str, Path | Iterable[Path] | None],
    *,
    overwrite: bool = False,
) -> None:
    """Refuse outputs that would replace what they must not.

    Args:
        outputs: the files that will be written, by the option that names them.
        inputs: the files and folders that are read, by the argument or option that names them.
        overwrite: whether files may be replaced that nabi did not write.

    Raises:
        OutputError: for an output that is an input, another output, a folder, or a file of somebody else's.
    """
    read = [(name, path) for name, given in inputs.items() for path in _paths(given)]
    written: list[tuple[str, Path]] = []
    for option, given in outputs.items():
        for path in _paths(given):
            if path.is_dir():
                raise OutputError(f"{option}: cannot write {path}: it is a folder, a file name was expected")
            for name, other in read:
                if _same(path, other) or _is_inside(path, other):
                    raise OutputError(f"{option}: {path} would replace {name}; give another name")
            for _, other in written:
                if _same(path, other):
                    raise OutputError(f"{option}: {path} would be written twice; give another name")
            written.append((option, path))
            _check_existing(option, path, overwrite)


def check_run_folder(folder: Path, *, overwrite: bool = False) -> None:
    """Refuse a folder for the results of a recipe that holds other files than those of earlier runs.

    Raises:
        OutputError: for such a folder, unless `overwrite`.
    """
    try:
        entries = list(folder.iterdir())
    except OSError:
        return  # not there yet; what else is wrong with it is said when it is made
    if overwrite or not entries:
        return
    results = folder / "result.json"
    if results.is_file() and b'"recipe"' in _start(results):
        return
    foreign = next((entry for entry in sorted(entries) if not _is_own(entry)), None)
    if foreign is not None:
        raise OutputError(
            f"--out: {folder} has files that are not of an earlier run, such as {foreign.name}; name another "
            "folder, or give --overwrite"
        )


def cell_files(cells: Iterable[str]) -> list[Path]:
    """Return the files of cells that are given as `FILE.py:Class`."""
    return [Path(name.rpartition(":")[0]) for name in cells if ":" in name]


def _paths(given: Path | Iterable[Path] | None) -> list[Path]:
    if given is None:
        return []
    return [given] if isinstance(given, Path) else list(given)


def _same(path: Path, other: Path) -> bool:
    if os.path.realpath(path) == os.path.realpath(other):
        return True
    try:
        return path.samefile(other)  # hard links, and names that differ only in case
    except (OSError, ValueError):
        return False


def _is_inside(path: Path, folder: Path) -> bool:
    """Whether `path` is one of the files of a folder that is read, and not one that nabi put there."""
    if not (folder.is_dir() and path.is_file()) or _is_own(path):
        return False
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _check_existing(option: str, path: Path, overwrite: bool) -> None:
    if not path.exists():
        return
    if not path.is_file():
        raise OutputError(f"{option}: cannot write {path}: it is not a regular file")
    if not overwrite and not _is_own(path):
        raise OutputError(
            f"{option}: {path} exists and was not written by nabi; give another name, or --overwrite"
        )


def _is_own(path: Path) -> bool:
    """Whether nabi wrote a file, as far as its beginning tells."""
    start = _start(path)
    return start[8 : 8 + len(_MODEL_FILE)] == _MODEL_FILE or any(mark in start for mark in _MARKS)


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_START)
    except OSError:
        return b""
