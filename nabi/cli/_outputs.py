"""What a command reads and writes, and the rule for all of them: no file of the user's is replaced unasked.

A command declares its files with `with_files`. Before any work, an input that does not exist is named, and an
output is refused if it is an input (links and relative paths are resolved) or another output, or if it exists
and was not written by the same command. `--overwrite` allows the last case; an input is never overwritten.
"""

import functools
import glob
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

import typer

from nabi.errors import MissingFileError, OutputError

__all__ = ["Files", "Overwrite", "Results", "Said", "Together", "beside_onnx", "files_of", "with_files"]

Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace existing files that this command did not write.")
]


@dataclass(frozen=True)
class Together:
    """Files written together, of which some cannot hold a mark: those of an export into a folder."""

    paths: tuple[Path, ...]


@dataclass(frozen=True)
class Results:
    """A folder of results, with files whose names the command does not know before it has run.

    Args:
        folder: the folder.
        mark: what `result.json` has in an earlier run of the same kind, such as '"recipe": "song"'.
    """

    folder: Path
    mark: str


Said = dict[str, Any]
"""The arguments of a command, by parameter."""
Input = Path | Iterable[Path] | None
Output = Path | Together | Results | Iterable[Path] | None
Inputs = Mapping[str, str | Callable[[Said], Input]] | Callable[[Said], Mapping[str, Input]]
Outputs = Mapping[str, str | Callable[[Said], Output]] | Callable[[Said], Mapping[str, Output]]

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

_STANDARD_INPUT = Path("-")
_CODE = re.compile(r"(.+\.py):\w+")  # a class of the user's: FILE.py:Class
_START = 1 << 16
_LONGEST_HEADER = 1 << 26
# Beginnings of files written by nabi: model files, and ONNX files (the version of their layout, the program).
_MODEL_FILE = b'{"__metadata__":{"nabi":'
_ONNX_FILE = b"\x08\x08\x12\x04nabi"
# The columns with which CSVLogger begins where it writes details.
_METRICS = b"epoch,seconds,learning_rate,"
# Marks, each followed by the name of the command.
_MARKS = (
    "Software\0nabi",  # a PNG
    "<dc:title>nabi",  # an SVG's creator
    '"written_by": "nabi',  # figures as JSON
    "written by nabi",  # a MIDI file, C source
)


def with_files(
    *, reads: Inputs, writes: Outputs | None = None
) -> Callable[[Callable[_Arguments, _Result]], Callable[_Arguments, _Result]]:
    """Declare the files of a command, which are checked before it runs; those it writes get its name as mark.

    Both tables map what messages call a file ("MODEL", "--out") to the parameter that has the path, or to a
    function of all arguments that returns the paths: defaults, and files beside the one that is named. Where
    even the names depend on the arguments, a function of all arguments returns the table. Files of classes
    given as `FILE.py:Class` are inputs without being declared. `-` is standard input.

    Args:
        reads: files and folders that are read.
        writes: files that are written.

    Raises:
        MissingFileError: when the command is called, for an input that does not exist.
        OutputError: likewise, for an output that is an input, another output, a folder, or an existing file
            that the command did not write, unless it is called with `overwrite`.
    """

    def declare(command: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
        files = Files(command.__name__, reads, writes or {})

        @functools.wraps(command)
        def checked(*arguments: _Arguments.args, **said: _Arguments.kwargs) -> _Result:
            from nabi.files import writing_as

            files.check(said)
            with writing_as(f"nabi {files.command}"):
                return command(*arguments, **said)

        checked.files = files  # type: ignore[attr-defined]
        return checked

    return declare


def files_of(command: Callable[..., Any]) -> "Files | None":
    """Return what a command declares; None if it declares nothing."""
    return getattr(command, "files", None)


@dataclass(frozen=True)
class Files:
    """The files of a command; see `with_files`."""

    command: str
    reads: Inputs
    writes: Outputs

    def inputs(self, said: Said) -> list[tuple[str, Path]]:
        """Return the files and folders to read, by what messages call them."""
        return [
            (name, path)
            for name, found in _looked_up(self.reads, said)
            for path in _paths(found)
            if path != _STANDARD_INPUT
        ]

    def outputs(self, said: Said) -> list[tuple[str, "Path | Together | Results"]]:
        """Return what is written, by the option."""
        return [
            (option, one)
            for option, found in _looked_up(self.writes, said)
            for one in ([found] if isinstance(found, (Together, Results)) else _paths(found))
        ]

    def check(self, said: Said) -> None:
        """Check inputs and outputs before any work.

        Raises:
            MissingFileError: for an input that does not exist.
            OutputError: for an output that may not be written.
        """
        inputs = self.inputs(said)
        for name, path in inputs:
            if not os.path.exists(path):
                what = "model file" if name == "MODEL" else "file"
                # Names such as "a picture" say what is there, which is nothing.
                place = f"{name}: " if name.startswith("--") or name.isupper() else ""
                raise MissingFileError(f"{place}there is no {what} {path}")
        inputs += [("the file of a cell", path) for path in _code_files(said)]
        overwrite = bool(said.get("overwrite"))
        written: list[Path] = []
        for option, output in self.outputs(said):
            if isinstance(output, Results):
                _check_folder(option, output, inputs, overwrite)
                continue
            several = output.paths if isinstance(output, Together) else (output,)
            own = any(_is_own(path, self.command) for path in several)
            for path in several:
                _check_place(option, path, inputs, written)
                if path.exists() and not own and not overwrite:
                    place = "folder" if isinstance(output, Together) else "name"
                    is_earlier = self.command == "train" and _is_model_file(_start(path))
                    found = (
                        "is a model" if is_earlier else f"exists and was not written by nabi {self.command}"
                    )
                    raise OutputError(
                        f"{option}: {path} {found}; choose another {place}, or pass --overwrite"
                    )
                written.append(path)


def beside_onnx(path: Path) -> list[Path]:
    """Return what a ready system may have beside its ONNX file: JSON, one step of its decoder, its chords."""
    parts = [path.with_name(f"{path.stem}.{part}{path.suffix}") for part in ("step", "chord")]
    return [path.with_suffix(".json"), *parts]


def _looked_up(table: Any, said: Said) -> list[tuple[str, Any]]:
    if callable(table):
        return list(table(said).items())
    return [(name, said[one] if isinstance(one, str) else one(said)) for name, one in table.items()]


def _paths(given: Path | Iterable[Path] | None) -> list[Path]:
    if given is None:
        return []
    return [given] if isinstance(given, Path) else list(given)


def _code_files(said: Said) -> list[Path]:
    """Return the files of classes given as `FILE.py:Class`, whichever argument has them."""
    found = []
    for value in said.values():
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(one, str):
                matches = map(_CODE.fullmatch, map(str.strip, one.split(",")))
                found += [Path(match[1]) for match in matches if match]
    return found


# Whether an output is an input --------------------------------------------------------------------------


def _check_place(option: str, path: Path, inputs: list[tuple[str, Path]], written: list[Path]) -> None:
    if path.is_dir():
        raise OutputError(f"{option}: cannot write {path}: expected a file name, got a folder")
    for name, other in inputs:
        if _same(path, other) or _is_inside(path, other):
            raise OutputError(f"{option}: {path} would overwrite {name}; choose another name")
    if any(_same(path, other) for other in written):
        raise OutputError(f"{option}: {path} would be written twice; choose another name")
    if path.exists() and not path.is_file():
        raise OutputError(f"{option}: cannot write {path}: it is not a regular file")


def _same(path: Path, other: Path) -> bool:
    if os.path.realpath(path) == os.path.realpath(other):
        return True
    try:
        return path.samefile(other)  # hard links, and names that differ only in case
    except (OSError, ValueError):
        return False


def _is_inside(path: Path, folder: Path) -> bool:
    """Return whether `path` is a file in a folder to read, and not written by nabi."""
    if not (os.path.isdir(folder) and path.is_file()) or _is_of_nabi(path):
        return False
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


# Who wrote a file ---------------------------------------------------------------------------------------


def _is_own(path: Path, command: str) -> bool:
    """Return whether a command wrote a file, judging by its content."""
    start = _start(path)
    if any(f"{mark} {command}".encode() in start for mark in _MARKS):
        return True
    known = _OF_COMMANDS.get(command)
    return known is not None and known(path, start)


def _goes_on(path: Path, start: bytes) -> bool:
    """Return whether `nabi train` goes on with an interrupted training that writes this file."""
    # Of several cells that are compared, each has a number.
    several = path.parent.glob(f"{glob.escape(path.stem)}.*.training")
    return _is_model_file(start) and any(map(_is_checkpoint, (path.with_suffix(".training"), *several)))


def _is_checkpoint(path: Path) -> bool:
    """Return whether a training was interrupted, and can go on from this file."""
    header = _header(path)
    if str(header.get("kind")).endswith(" training"):
        return True
    training = header.get("training")
    kept = training.get("extra") if isinstance(training, dict) else None
    return isinstance(kept, dict) and any(name.startswith("callbacks/KeptRun/") for name in kept)


def _has_small_weights(path: Path, start: bytes) -> bool:
    return _is_model_file(start) and "small_weights" in _header(path)


def _is_exported(path: Path, start: bytes) -> bool:
    """Return whether a file was made from a model; `export` and `convert` make the same."""
    by_either = any(f'"written_by": "nabi {one}"'.encode() in start for one in ("export", "convert"))
    return start.startswith(_ONNX_FILE) or by_either or b"written by nabi" in start


# By what commands know files without a mark of theirs.
_OF_COMMANDS: Mapping[str, Callable[[Path, bytes], bool]] = {
    "train": lambda path, start: _goes_on(path, start) or start.startswith(_METRICS),
    "quantize": _has_small_weights,
    "export": _is_exported,
    "convert": _is_exported,
}


def _check_folder(option: str, results: Results, inputs: list[tuple[str, Path]], overwrite: bool) -> None:
    """Check that a folder of results is no input, and has only files of earlier runs of the same kind."""
    folder = results.folder
    for name, path in inputs:
        if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
            raise OutputError(f"{option}: {folder} would overwrite {name}; choose another folder")
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return  # it does not exist yet; other problems are reported when it is created
    if overwrite or not entries:
        return
    earlier = folder / "result.json"
    if earlier.exists():
        if results.mark.encode() in _start(earlier):
            return
        foreign: Path | None = earlier
    else:
        foreign = next((entry for entry in entries if not _is_of_nabi(entry)), None)
        # Files of nabi alone may be the user's models; an unfinished run says so.
        if foreign is None and not any(_is_unfinished(entry) for entry in entries):
            foreign = entries[0]
    if foreign is not None:
        raise OutputError(
            f"{option}: {folder} has files that are not from an earlier run, such as {foreign.name}; choose "
            "another folder, or pass --overwrite"
        )


def _is_unfinished(path: Path) -> bool:
    return path.suffix == ".training" or path.name == "unfinished.txt"


def _is_of_nabi(path: Path) -> bool:
    """Return whether nabi wrote a file, with whichever command."""
    start = _start(path)
    marked = any(mark.encode() in start for mark in _MARKS)
    return marked or _is_model_file(start) or start.startswith(_ONNX_FILE)


def _is_model_file(start: bytes) -> bool:
    return start[8 : 8 + len(_MODEL_FILE)] == _MODEL_FILE


def _header(path: Path) -> dict[str, Any]:
    """Return the header of a model file; empty for another file."""
    if not _is_model_file(_start(path)):
        return {}
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            content = json.loads(file.read(min(size, _LONGEST_HEADER)))
        found = json.loads(content["__metadata__"]["nabi"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _start(path: Path) -> bytes:
    """Return how a file begins; nothing for a pipe, from which nothing may ever come."""
    if not os.path.isfile(path):
        return b""
    try:
        with path.open("rb") as file:
            return file.read(_START)
    except OSError:
        return b""
