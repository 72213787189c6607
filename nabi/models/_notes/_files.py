"""Models of notes to and from files: the network, its labels and its figures, in one model file."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nabi.cells import Cell
from nabi.data import KEYS
from nabi.errors import ArgumentError
from nabi.interchange import ModelFile, write_model_file
from nabi.layers import cell_config
from nabi.models._notes._network import NoteNetwork
from nabi.models._notes._report import NoteReport
from nabi.models._notes._settings import NoteSettings
from nabi.models._task._files import check_layers, check_shapes, fill_model

if TYPE_CHECKING:
    from nabi.models._notes._model import NoteModel

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
    """Give a new model what a file holds; raises as `fill_model`."""
    fill_model(
        model,
        path,
        custom_objects,
        kind=KIND,
        called="a model of notes",
        settings=NoteSettings,
        report=NoteReport,
        network=_network,
    )


def _network(model: "NoteModel", file: ModelFile, settings: NoteSettings, cell: Cell) -> NoteNetwork:
    labels = tuple(file.header["labels"])
    if len(set(labels)) != len(labels) or any(
        isinstance(one, bool) or not isinstance(one, str | int) for one in labels
    ):
        raise ArgumentError(f"labels: {labels!r} are none")
    model.labels, size = labels, settings.embedding_size
    expected = {"frames.kernel": (KEYS, size), "readout.kernel": (cell.output_width, KEYS + 1)}
    if labels:
        expected["labels.embeddings"] = (len(labels), size)
    check_shapes(file.tensors, expected)
    check_layers(file.tensors, "recurrent.", settings, cell, size)
    return NoteNetwork(settings, cell, len(labels))
