"""Captioners to and from files: the network, its vocabulary and its figures, in one model file."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nabi.cells import Cell
from nabi.data import Vocabulary
from nabi.errors import ArgumentError
from nabi.interchange import ModelFile, write_model_file
from nabi.layers import cell_config
from nabi.models._captioner._network import COLOURS, CaptionNetwork
from nabi.models._captioner._report import CaptionReport
from nabi.models._captioner._settings import CaptionSettings
from nabi.models._task._files import check_decoder, fill_model

if TYPE_CHECKING:
    from nabi.models._captioner._model import Captioner

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
    """Give a new captioner what a file holds; raises as `fill_model`."""
    fill_model(
        model,
        path,
        custom_objects,
        kind=KIND,
        called="a captioner",
        settings=CaptionSettings,
        report=CaptionReport,
        network=_network,
    )


def _network(model: "Captioner", file: ModelFile, settings: CaptionSettings, cell: Cell) -> CaptionNetwork:
    model.vocabulary = Vocabulary.from_dict(file.header["vocabulary"])
    model.longest = int(file.header["longest"])
    kernels = [f"encoder.forms.{number}.convolution.kernel" for number in range(len(settings.channels))]
    filters = tuple(file.tensors[name].shape[-1] for name in kernels)
    if filters != settings.channels:
        raise ArgumentError(f"its convolutions have {filters} filters, its settings say {settings.channels}")
    codes, width = len(model.vocabulary), filters[-1] + COLOURS
    check_decoder(file.tensors, settings, cell, codes, width, width)
    return CaptionNetwork(codes, settings, cell)
