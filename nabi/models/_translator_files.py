"""Translators to and from files: the network, its two vocabularies and its figures, in one model file."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from nabi.cells import Cell
from nabi.data import Vocabulary
from nabi.errors import ArgumentError, FileFormatError
from nabi.interchange import ModelFile, write_model_file
from nabi.layers._cell_config import cell_config, cell_from_config
from nabi.models._files import read_kind
from nabi.models._translator_network import TranslatorNetwork
from nabi.models._translator_report import TranslatorReport
from nabi.models._translator_settings import TranslatorSettings

if TYPE_CHECKING:
    from nabi.models._translator import Translator

__all__ = ["KIND", "fill", "save"]

KIND = "translator"


def save(model: "Translator", path: str | os.PathLike[str]) -> None:
    """Write a translator that has learnt something."""
    header = {
        "cell": cell_config(model.cell),
        "source": model.source_vocabulary.to_dict(),
        "target": model.target_vocabulary.to_dict(),
        "settings": model.settings.to_dict(),
        "room": model.room,
        "report": model.report.to_dict(),
        "history": model.history,
    }
    write_model_file(path, KIND, header, model.network.state_dict())


def fill(model: "Translator", path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None) -> None:
    """Give a new translator what a file holds."""
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


def _fill(model: "Translator", file: ModelFile, cell: Any) -> None:
    if not isinstance(cell, Cell):
        raise ArgumentError(f"cell: {cell!r} is no cell")
    header, tensors = file.header, file.tensors
    model.settings = model.asked = settings = TranslatorSettings.from_dict(header["settings"])
    model.cell = cell
    model.source_vocabulary = Vocabulary.from_dict(header["source"])
    model.target_vocabulary = Vocabulary.from_dict(header["target"])
    codes = (len(model.source_vocabulary), len(model.target_vocabulary))
    # Sizes first: a damaged header must not make this take memory for a network that the file does not hold.
    for name, count in zip(("encoder", "decoder"), codes, strict=True):
        found = tuple(tensors[f"{name}.embedding.embeddings"].shape)
        if found != (count, settings.embedding_size):
            raise ArgumentError(
                f"the embedding of its {name} is {found}, its vocabulary and settings say "
                f"{(count, settings.embedding_size)}"
            )
    largest = max(size for tensor in tensors.values() for size in tensor.shape)
    # What is read out beside the output of the cell has its width as well, in each direction.
    parts = 1 + (1 + settings.bidirectional if settings.attention else 0)
    read_out = tuple(tensors["decoder.combine.kernel"].shape)
    fits = read_out == (parts * cell.output_width, settings.embedding_size) and cell.units <= largest
    if settings.units != cell.units or not fits or settings.layers > len(tensors):
        raise ArgumentError(
            f"it has no weights for {settings.layers} layers of {cell.units} units; its settings say "
            f"{settings.units}"
        )
    with torch.random.fork_rng(devices=[]):
        network = TranslatorNetwork(*codes, settings, cell)
    network.load_state_dict(tensors)
    model.network, model.room = network, int(header["room"])
    model.report = TranslatorReport.from_dict(header["report"])
    model.history = {str(name): list(map(float, values)) for name, values in header["history"].items()}
    model.trained = True


def _damaged(file: ModelFile, why: str) -> FileFormatError:
    return FileFormatError(f"path: {file.path} is damaged: it cannot be made a translator again ({why})")
