"""Captioners to and from files: the network, its vocabulary and its figures, in one model file."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from nabi.cells import Cell
from nabi.data import Vocabulary
from nabi.errors import ArgumentError, FileFormatError
from nabi.interchange import ModelFile, write_model_file
from nabi.layers._cell_config import cell_config, cell_from_config
from nabi.models._caption_network import CaptionNetwork
from nabi.models._caption_report import CaptionReport
from nabi.models._caption_settings import CaptionSettings
from nabi.models._files import read_kind

if TYPE_CHECKING:
    from nabi.models._captioner import Captioner

__all__ = ["KIND", "fill", "save"]

KIND = "captioner"


def save(model: "Captioner", path: str | os.PathLike[str]) -> None:
    """Write a captioner that has learnt something."""
    header = {
        "cell": cell_config(model.cell),
        "vocabulary": model.vocabulary.to_dict(),
        "settings": model.settings.to_dict(),
        "longest": model.longest,
        "report": model.report.to_dict(),
        "history": model.history,
    }
    write_model_file(path, KIND, header, model.network.state_dict())


def fill(model: "Captioner", path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None) -> None:
    """Give a new captioner what a file holds."""
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


def _fill(model: "Captioner", file: ModelFile, cell: Any) -> None:
    if not isinstance(cell, Cell):
        raise ArgumentError(f"cell: {cell!r} is no cell")
    header, tensors = file.header, file.tensors
    model.settings = model.asked = settings = CaptionSettings.from_dict(header["settings"])
    model.cell = cell
    model.vocabulary = Vocabulary.from_dict(header["vocabulary"])
    # Sizes first: a damaged header must not make this take memory for a network that the file does not hold.
    expected = (len(model.vocabulary), settings.embedding_size)
    found = tuple(tensors["decoder.embedding.embeddings"].shape)
    largest = max(size for tensor in tensors.values() for size in tensor.shape)
    if found != expected or settings.units != cell.units:
        raise ArgumentError(
            f"its embedding is {found} and its cell has {cell.units} units, its settings say {expected} and "
            f"{settings.units}"
        )
    if max(cell.units, *settings.channels) > largest or settings.layers > len(tensors):
        raise ArgumentError(f"it has no weights for {settings.layers} layers of {cell.units} units")
    with torch.random.fork_rng(devices=[]):
        network = CaptionNetwork(expected[0], settings, cell)
    network.load_state_dict(tensors)
    model.network = network
    model.longest = int(header["longest"])
    model.report = CaptionReport.from_dict(header["report"])
    model.history = {str(name): list(map(float, values)) for name, values in header["history"].items()}
    model.trained = True


def _damaged(file: ModelFile, why: str) -> FileFormatError:
    return FileFormatError(f"path: {file.path} is damaged: it cannot be made a captioner again ({why})")
