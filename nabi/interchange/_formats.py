"""The formats of model files: one table, from which reading, writing, converting and describing follow.

A file's format is seen in its content, whatever its name ends in. What is written follows the ending. The
functions stand here by name and are loaded when they are used.
"""

import mmap
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nabi import _checks
from nabi.errors import ArgumentError, FileFormatError, MissingFileError
from nabi.files import begins_as_safetensors
from nabi.files.protobuf import BYTES, VARINT, read_varint

__all__ = ["FORMATS", "Format", "endings", "format_of", "format_to_write", "function", "recognised"]


class Content:
    """What shows the format of a file: its first and last bytes, and the names in an archive."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size
        with path.open("rb") as file:
            self.start = file.read(512)
            file.seek(max(self.size - 8, 0))
            self.end = file.read(8)

    @cached_property
    def members(self) -> frozenset[str]:
        """The names in a zip archive, also without the folder that all may be in; none for other files."""
        if not self.start.startswith(b"PK\x03\x04"):
            return frozenset()
        try:
            with zipfile.ZipFile(self.path) as archive:
                names = archive.namelist()
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            return frozenset()
        return frozenset(names) | frozenset(name.partition("/")[2] for name in names)

    @cached_property
    def has_safetensors(self) -> bool:
        """Whether the file begins as safetensors do."""
        return begins_as_safetensors(self.start, self.size)

    @cached_property
    def has_hdf5(self) -> bool:
        """Whether it is an HDF5 file."""
        return self.start.startswith(b"\x89HDF\r\n\x1a\n")

    @cached_property
    def describes_keras_model(self) -> bool:
        """Whether an HDF5 file has the attribute in which Keras keeps a model's layers."""
        with self.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return data.find(b"model_config") >= 0


# The fields of ONNX's ModelProto.
_ONNX_FIELDS = {1: VARINT, 2: BYTES, 3: BYTES, 4: BYTES, 5: VARINT, 6: BYTES, 7: BYTES, 8: BYTES}
_ONNX_FIELDS |= {14: BYTES, 20: BYTES, 25: BYTES, 26: BYTES}
_GRAPH = 7
_KEY_AND_SIZE = 20  # bytes, at most


def _is_onnx(content: Content) -> bool:
    """Go from field to field of the outer message, of which there are few, without reading what they hold."""
    seen: set[int] = set()
    place = 0
    with content.path.open("rb") as file:
        while place < content.size:
            file.seek(place)
            view = memoryview(file.read(_KEY_AND_SIZE))
            try:
                label, used = read_varint(view, 0)
                number, wire = label >> 3, label & 7
                whole, used = read_varint(view, used)
            except FileFormatError:
                return False
            if _ONNX_FIELDS.get(number) != wire:
                return False
            seen.add(number)
            place += used + (whole if wire == BYTES else 0)
    return _GRAPH in seen


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        name: for people, in the singular.
        endings: of names of files; the first is the usual one.
        recognises: whether a file is of this format.
        read_model: reads a model, given a path and `custom_objects` if `takes_own_classes`.
        write_model: writes a model, given it and a path.
        read_weights: reads tensors by name.
        write_weights: writes them, given tensors by name and a path.
        list_weights: reads types and shapes by name, without the tensors.
        describe: describes a file, given a path and `custom_objects`; without it, the model or the weights
            are described.
        takes_own_classes: whether `read_model` has the argument `custom_objects`.
        hint: what to do with what nabi does not read.
    """

    name: str
    endings: tuple[str, ...]
    recognises: Callable[[Content], bool]
    read_model: str | None = None
    write_model: str | None = None
    read_weights: str | None = None
    write_weights: str | None = None
    list_weights: str | None = None
    describe: str | None = None
    takes_own_classes: bool = False
    hint: str = ""

    @property
    def with_article(self) -> str:
        """The name after "a" or "an"."""
        return f"{'an' if self.name.startswith('ONNX') else 'a'} {self.name}"


# The pickle of a number that PyTorch's first format begins with.
_OLD_PYTORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_DOOR = "nabi.interchange"

# The first that recognises a file counts.
FORMATS = (
    Format(
        "nabi model file",
        (".nabi",),
        lambda content: content.has_safetensors and content.start[8:].startswith(b'{"__metadata__":{"nabi":'),
        read_model=f"{_DOOR}._own_files.read_own_model",
        write_model=f"{_DOOR}._own_files.write_own_model",
        read_weights=f"{_DOOR}._own_files.read_own_weights",
        describe=f"{_DOOR}._description._own.describe_own",
        takes_own_classes=True,
    ),
    Format(
        "safetensors file",
        (".safetensors",),
        lambda content: content.has_safetensors,
        read_weights=f"{_DOOR}._safetensors.read_safetensors",
        write_weights=f"{_DOOR}._safetensors.write_safetensors",
        list_weights=f"{_DOOR}._safetensors.list_safetensors",
    ),
    Format(
        "Keras archive",
        (".keras",),
        lambda content: {"config.json", "metadata.json"} <= content.members,
        read_model=f"{_DOOR}.read_keras",
        write_model=f"{_DOOR}.write_keras",
        takes_own_classes=True,
    ),
    Format(
        "Keras weights file (HDF5)",
        (".weights.h5",),
        lambda content: content.has_hdf5 and not content.describes_keras_model,
        write_model=f"{_DOOR}.write_keras_weights",
        read_weights=f"{_DOOR}._hdf5_weights.read_hdf5",
        list_weights=f"{_DOOR}._hdf5_weights.list_hdf5",
    ),
    Format(
        "Keras model file (HDF5)",
        (".h5", ".hdf5"),
        lambda content: content.has_hdf5,
        read_model=f"{_DOOR}.read_keras",
        write_model=f"{_DOOR}.write_keras",
        takes_own_classes=True,
    ),
    Format(
        "TorchScript program",
        (".pt",),
        lambda content: "constants.pkl" in content.members and "data.pkl" in content.members,
        hint="write its weights with torch.save(model.state_dict(), path)",
    ),
    Format(
        "program of torch.export",
        (".pt2",),
        lambda content: any(name.startswith("models/") for name in content.members),
        read_model=f"{_DOOR}.read_torch_export",
    ),
    Format(
        "PyTorch weights file",
        (".pt", ".pth"),
        lambda content: "data.pkl" in content.members or content.start.startswith(_OLD_PYTORCH),
        read_weights=f"{_DOOR}._torch._reading.read_weights_file",
        write_weights=f"{_DOOR}._torch._writing.write_weights_file",
    ),
    Format(
        "TensorFlow checkpoint",
        (".index",),
        lambda content: content.end == b"\x57\xfb\x80\x8b\x24\x75\x47\xdb",
        read_weights=f"{_DOOR}.read_tensorflow_checkpoint",
        list_weights=f"{_DOOR}._tensorflow._checkpoint.list_checkpoint",
    ),
    Format(
        "ONNX model",
        (".onnx",),
        _is_onnx,
        read_model=f"{_DOOR}.read_onnx",
        write_model=f"{_DOOR}.write_onnx",
        takes_own_classes=True,
    ),
    Format(
        "pickle",
        (".pkl", ".pickle"),
        lambda content: content.start[:1] == b"\x80" and content.end.endswith(b"."),
        hint="it can run anything when it is loaded; load it where it is trusted and save it otherwise",
    ),
)


def function(name: str | None) -> Callable[..., Any] | None:
    """Return a function by its dotted name; None for no name, or if this version of nabi has none such."""
    if name is None:
        return None
    module, _, own = name.rpartition(".")
    package = module.rpartition(".")[0]
    if find_spec(package) is None or find_spec(module) is None:
        return None
    found: Callable[..., Any] | None = getattr(import_module(module), own, None)
    return found


def format_of(path: str | os.PathLike[str]) -> tuple[Path, Format]:
    """Return the format of a file by its content, and the file that shows it.

    A checkpoint of TensorFlow may be named without an ending, as TensorFlow does.

    Raises:
        MissingFileError: if there is no such file.
        FileFormatError: if it is of none of the formats; or a folder, a pipe or a device.
    """
    place = _checks.path("path", path)
    index = place.with_name(f"{place.name}.index")
    if not place.exists() and index.exists():
        place = index
    if not place.exists():
        raise MissingFileError(f"path: there is no file {place}")
    if not place.is_file():
        what = "a folder" if place.is_dir() else "a pipe or a device"
        hint = _in_folder(place) if place.is_dir() else ""
        raise FileFormatError(f"path: expected a model file, got {place}, {what}{hint}")
    try:
        found = recognised(place)
    except OSError as problem:
        raise FileFormatError(f"path: {place} cannot be read ({problem.strerror})") from problem
    if found is None:
        named = _by_ending(place.name)
        said = "is of no known format"
        if named:
            said = f"is not {named.with_article}, although its name says so, or it is damaged"
        raise FileFormatError(f"path: {place} {said}; nabi knows {', '.join(one.name for one in FORMATS)}")
    return place, found


def recognised(place: Path) -> Format | None:
    """Return the format that a file's content shows, None for an unknown one."""
    content = Content(place)
    return next((one for one in FORMATS if one.recognises(content)), None)


def _in_folder(folder: Path) -> str:
    """Say where the tensors of a folder are that TensorFlow wrote."""
    if (folder / "saved_model.pb").exists():
        return f"; the weights of a SavedModel are a checkpoint: {folder / 'variables' / 'variables.index'}"
    indexes = sorted(one.name for one in folder.glob("*.index"))
    return f"; in it are {', '.join(indexes[:3])}" if indexes else ""


def format_to_write(path: str | os.PathLike[str]) -> Format:
    """Return the format that the ending of a name asks for.

    Raises:
        ArgumentError: for another ending, or one that nabi does not write; with those that it writes.
    """
    place = _checks.path("path", path)
    found = _by_ending(place.name)
    if found is None or not any(map(function, (found.write_model, found.write_weights))):
        what = (
            f"{place.name!r}"
            if found is None
            else f"{place.name!r}, {found.with_article}, which nabi cannot write"
        )
        known = ", ".join(ending for one in FORMATS if _is_written(one) for ending in one.endings)
        raise ArgumentError(f"path: expected a name that ends in one of {known}, got {what}")
    return found


def _is_written(one: Format) -> bool:
    return function(one.write_model) is not None or function(one.write_weights) is not None


def _by_ending(name: str) -> Format | None:
    """Return the format with the longest ending that a name has; one that nabi reads or writes, if any."""
    matches = [
        (len(ending), any((one.read_model, one.read_weights, one.write_model)), one)
        for one in FORMATS
        for ending in one.endings
        if name.lower().endswith(ending)
    ]
    return max(matches, key=lambda match: match[:2])[2] if matches else None


def endings() -> list[str]:
    """Return the endings of all formats, each once."""
    return list(dict.fromkeys(ending for one in FORMATS for ending in one.endings))
