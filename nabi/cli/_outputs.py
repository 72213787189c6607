"""Which files a command may overwrite: one rule for all commands.

Before any work, an output is rejected if it is an input (links and relative paths are resolved) or another
output, or if it exists and was not written by nabi. `--overwrite` allows the last case; an input is never
overwritten.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from nabi.errors import OutputError

__all__ = ["Overwrite", "beside_onnx", "cell_files", "check_outputs", "check_run_folder"]

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Overwrite files not written by nabi.")]

_START = 1 << 16
# Beginnings of files written by nabi: model files and checkpoints, and marks in pictures, figures and music.
# Of an ONNX file: the version of its layout, and the program that wrote it.
_ONNX_FILE = b"\x08\x08\x12\x04nabi"
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
    """Check that outputs do not overwrite inputs, each other or foreign files.

    Args:
        outputs: the files to write, by option.
        inputs: the files and folders to read, by argument or option.
        overwrite: whether files not written by nabi may be overwritten.

    Raises:
        OutputError: for an output that is an input, another output, a folder, or a foreign file.
    """
    read = [(name, path) for name, given in inputs.items() for path in _paths(given)]
    written: list[tuple[str, Path]] = []
    for option, given in outputs.items():
        for path in _paths(given):
            if path.is_dir():
                raise OutputError(f"{option}: cannot write {path}: expected a file name, got a folder")
            for name, other in read:
                if _same(path, other) or _is_inside(path, other):
                    raise OutputError(f"{option}: {path} would overwrite {name}; choose another name")
            for _, other in written:
                if _same(path, other):
                    raise OutputError(f"{option}: {path} would be written twice; choose another name")
            written.append((option, path))
            _check_existing(option, path, overwrite)


def check_run_folder(folder: Path, *, overwrite: bool = False) -> None:
    """Check that the output folder of a recipe or a comparison has only files of earlier runs.

    Raises:
        OutputError: if it has other files, unless `overwrite`.
    """
    try:
        entries = list(folder.iterdir())
    except OSError:
        return  # it does not exist yet; other problems are reported when it is created
    if overwrite or not entries:
        return
    results = folder / "result.json"
    if results.is_file() and (b'"recipe"' in _start(results) or _is_own(results)):
        return
    foreign = next((entry for entry in sorted(entries) if not _is_own(entry)), None)
    if foreign is not None:
        raise OutputError(
            f"--out: {folder} has files that are not from an earlier run, such as {foreign.name}; choose "
            "another folder, or pass --overwrite"
        )


def beside_onnx(path: Path) -> list[Path]:
    """Return what a ready system may have beside its ONNX file: JSON, one step of its decoder, its chords."""
    parts = [path.with_name(f"{path.stem}.{part}{path.suffix}") for part in ("step", "chord")]
    return [path.with_suffix(".json"), *parts]


def cell_files(cells: Iterable[str]) -> list[Path]:
    """Return the files of cells given as `FILE.py:Class`."""
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
    """Return whether `path` is a file in a folder to read, and not written by nabi."""
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
            f"{option}: {path} exists and was not written by nabi; choose another name, or pass --overwrite"
        )


def _is_own(path: Path) -> bool:
    """Return whether nabi wrote a file, judging by its beginning."""
    start = _start(path)
    is_model = start[8 : 8 + len(_MODEL_FILE)] == _MODEL_FILE or start.startswith(_ONNX_FILE)
    return is_model or any(mark in start for mark in _MARKS)


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_START)
    except OSError:
        return b""
