"""Models of notes to and from files: the network, its labels and its figures, in one model file."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from nabi.cells import Cell
from nabi.data import KEYS
from nabi.errors import ArgumentError, FileFormatError
from nabi.interchange import ModelFile, write_model_file
from nabi.layers._cell_config import cell_config, cell_from_config
from nabi.models._files import read_kind
from nabi.models._note_network import NoteNetwork
from nabi.models._note_report import NoteReport
from nabi.models._note_settings import NoteSettings

if TYPE_CHECKING:
    from nabi.models._note_model import NoteModel

__all__ = ["KIND", "fill", "save"]

KIND = "note model"


def save(model: "NoteModel", path: str | os.PathLike[str]) -> None:
    """Write a model that has learnt something."""
    header = {
        "cell": cell_config(model.cell),
        "labels": list(model.labels),
        "settings": model.settings.to_dict(),
        "report": model.report.to_dict(),
        "history": model.history,
    }
    write_model_file(path, KIND, header, model.network.state_dict())


def fill(model: "NoteModel", path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None) -> None:
    """Give a new model what a file holds."""
    file = read_kind(path, (KIND,))
    try:
        cell = cell_from_config(file.header["cell"], custom_objects)
    except ArgumentError as problem:
        raise type(problem)(f"{problem} (in the model file {file.path}; see custom_objects)") from problem
    except (AttributeError, KeyError, TypeError) as problem:
        raise _damaged(file, f"{type(problem).__name__}: {problem}") from problem
    try:
        _fill(model, file, cell)
    except (
        ArgumentError, AttributeError, KeyError, IndexError, TypeError, ValueError, RuntimeError, MemoryError,
    ) as problem:  # fmt: skip
        raise _damaged(file, f"{type(problem).__name__}: {problem}") from problem


def _fill(model: "NoteModel", file: ModelFile, cell: Any) -> None:
    if not isinstance(cell, Cell):
        raise ArgumentError(f"cell: {cell!r} is no cell")
    header, tensors = file.header, file.tensors
    model.settings = model.asked = settings = NoteSettings.from_dict(header["settings"])
    model.cell = cell
    labels = tuple(header["labels"])
    if len(set(labels)) != len(labels) or any(
        isinstance(one, bool) or not isinstance(one, str | int) for one in labels
    ):
        raise ArgumentError(f"labels: {labels!r} are none")
    # Sizes first: a damaged header must not make this take memory for a network that the file does not hold.
    found = tuple(tensors["frames.kernel"].shape)
    largest = max(size for tensor in tensors.values() for size in tensor.shape)
    if found != (KEYS, settings.embedding_size) or settings.units != cell.units:
        raise ArgumentError(
            f"its first layer is {found} and its cell has {cell.units} units, its settings say "
            f"{(KEYS, settings.embedding_size)} and {settings.units}"
        )
    if cell.units > largest or settings.layers > len(tensors):
        raise ArgumentError(f"it has no weights for {settings.layers} layers of {cell.units} units")
    with torch.random.fork_rng(devices=[]):
        network = NoteNetwork(settings, cell, len(labels))
    network.load_state_dict(tensors)
    model.network, model.labels = network, labels
    model.report = NoteReport.from_dict(header["report"])
    model.history = {str(name): list(map(float, values)) for name, values in header["history"].items()}
    model.trained = True


def _damaged(file: ModelFile, why: str) -> FileFormatError:
    return FileFormatError(f"path: {file.path} is damaged: it cannot be made a model of notes again ({why})")
