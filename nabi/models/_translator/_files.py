"""Translators to and from files: the network, its two vocabularies and its figures, in one model file."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nabi.cells import Cell
from nabi.data import Vocabulary
from nabi.interchange import ModelFile, write_model_file
from nabi.layers import cell_config
from nabi.models._task._files import check_decoder, check_layers, check_shapes, fill_model
from nabi.models._translator._network import TranslatorNetwork
from nabi.models._translator._report import TranslatorReport
from nabi.models._translator._settings import TranslatorSettings

if TYPE_CHECKING:
    from nabi.models._translator._model import Translator

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
    """Give a new translator what a file holds; raises as `fill_model`."""
    fill_model(
        model,
        path,
        custom_objects,
        kind=KIND,
        called="a translator",
        settings=TranslatorSettings,
        report=TranslatorReport,
        network=_network,
    )


def _network(
    model: "Translator", file: ModelFile, settings: TranslatorSettings, cell: Cell
) -> TranslatorNetwork:
    header, tensors, size = file.header, file.tensors, settings.embedding_size
    model.source_vocabulary = Vocabulary.from_dict(header["source"])
    model.target_vocabulary = Vocabulary.from_dict(header["target"])
    model.room = int(header["room"])
    codes = (len(model.source_vocabulary), len(model.target_vocabulary))
    directions = 1 + settings.bidirectional
    check_shapes(tensors, {"encoder.embedding.embeddings": (codes[0], size)})
    check_layers(tensors, "encoder.recurrent.", settings, cell, size, directions)
    summary_width = directions * sum(cell.state_width(name) for name in cell.states)
    check_decoder(tensors, settings, cell, codes[1], directions * cell.output_width, summary_width)
    return TranslatorNetwork(*codes, settings, cell)
