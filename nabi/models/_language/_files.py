"""Language models to and from files: the network, its vocabulary and its figures, in one model file."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nabi.cells import Cell
from nabi.data import Vocabulary
from nabi.interchange import ModelFile, write_model_file
from nabi.layers import cell_config
from nabi.models._language._network import LanguageNetwork
from nabi.models._language._report import LanguageReport
from nabi.models._language._settings import LanguageSettings
from nabi.models._task._files import check_layers, check_shapes, fill_model

if TYPE_CHECKING:
    from nabi.models._language._model import LanguageModel

__all__ = ["KIND", "fill", "save"]

KIND = "language model"


def save(model: "LanguageModel", path: str | os.PathLike[str]) -> None:
    """Write a model that has learnt something."""
    header = {
        "cell": cell_config(model.cell),
        "vocabulary": model.vocabulary.to_dict(),
        "settings": model.settings.to_dict(),
        "ends": model.ends,
        "report": model.report.to_dict(),
        "history": model.history,
    }
    write_model_file(path, KIND, header, model.network.state_dict())


def fill(
    model: "LanguageModel", path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None
) -> None:
    """Give a new model what a file holds; raises as `fill_model`."""
    fill_model(
        model,
        path,
        custom_objects,
        kind=KIND,
        called="a language model",
        settings=LanguageSettings,
        report=LanguageReport,
        network=_network,
    )


def _network(
    model: "LanguageModel", file: ModelFile, settings: LanguageSettings, cell: Cell
) -> LanguageNetwork:
    model.vocabulary, model.ends = Vocabulary.from_dict(file.header["vocabulary"]), bool(file.header["ends"])
    codes, size, width = len(model.vocabulary), settings.embedding_size, cell.output_width
    expected = {"embedding.embeddings": (codes, size)}
    if not settings.tied:
        expected["readout.kernel"] = (width, codes)
    elif width != size:
        expected["projection.kernel"] = (width, size)
    check_shapes(file.tensors, expected)
    check_layers(file.tensors, "recurrent.", settings, cell, size)
    return LanguageNetwork(codes, settings, cell, model.ends)
