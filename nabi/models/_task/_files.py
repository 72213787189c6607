"""What files of models of a cell have in common: how one is read, and the checks of its sizes.

Sizes come first: a damaged header must not make this take memory for a network that the file does not hold.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from nabi.cells import Cell
from nabi.errors import ArgumentError
from nabi.interchange import ModelFile, check_figures, read_kind, reading
from nabi.layers import cell_from_config, only_tensors_of
from nabi.models._files import set_weights
from nabi.models._task._described import Described

__all__ = ["check_decoder", "check_layers", "check_shapes", "fill_model"]


def fill_model(
    model: Any,
    path: str | os.PathLike[str],
    custom_objects: Mapping[str, Any] | None,
    *,
    kind: str,
    called: str,
    settings: type[Described],
    report: type[Described],
    network: Callable[[Any, ModelFile, Any, Cell], torch.nn.Module],
) -> None:
    """Give a new model what a file holds.

    Args:
        model: as it was made without arguments.
        path: the file.
        custom_objects: classes of the user's own by name.
        kind: what the file must hold.
        called: what it is in messages, such as "a translator".
        settings: class of its settings.
        report: class of its report.
        network: of the model, the file, its settings and its cell: checks that the file holds weights of the
            sizes that it claims, makes the network, and gives the model what else it has of its own.

    Raises:
        MissingFileError: if there is no such file.
        FileFormatError: if it is damaged or holds another kind.
        ArgumentError: if it needs a class that is not there.
    """
    file = read_kind(path, (kind,))
    header, result = file.header, f"it cannot be made {called} again"
    with reading(file.path, result, of_own_classes=True):
        cell = cell_from_config(header["cell"], custom_objects)
    held = only_tensors_of(one.shape for one in file.tensors.values())
    with reading(file.path, result), held, torch.random.fork_rng(devices=[]):
        if not isinstance(cell, Cell):
            raise ArgumentError(f"cell: expected a cell, got {type(cell).__name__}")
        model.settings = model.asked = settings.from_dict(header["settings"])
        model.cell = cell
        model.network = network(model, file, model.settings, cell)
        set_weights(model.network, file, file.tensors, "")
        model.report = report.from_dict(header["report"])
        model.history = check_figures("history", header["history"])
    model.trained = True


def check_shapes(tensors: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse a file in which a tensor has another shape than its header says."""
    for name, shape in expected.items():
        found = tuple(tensors[name].shape) if name in tensors else "none"
        if found != shape:
            raise ArgumentError(f"{name}: expected shape {shape}, as its header says, got {found}")


def check_layers(
    tensors: Mapping[str, Tensor], prefix: str, settings: Any, cell: Cell, reads: int, directions: int = 1
) -> None:
    """Refuse a file that lacks the weights of recurrent layers on top of each other.

    Args:
        tensors: of the file.
        prefix: of the names of their weights, before the number of the layer.
        settings: which say how many layers of how many units there are.
        cell: of every layer.
        reads: width of what the first layer reads.
        directions: in which each layer reads.
    """
    found: dict[str, list[tuple[int, ...]]] = {}
    for name, tensor in tensors.items():
        if name.startswith(prefix):
            number = name.removeprefix(prefix).split(".")[0]
            found.setdefault(number, []).append(tuple(tensor.shape))
    fits = settings.units == cell.units and len(found) == settings.layers * directions
    for place in range(len(found) if fits else 0):
        families = cell.program(reads if place < directions else directions * cell.output_width).families
        # Layers have them turned, as Keras does.
        shapes = [tuple(reversed(family.shape)) for family in families]
        fits = fits and sorted(found.get(str(place), [])) == sorted(shapes)
    if not fits:
        raise ArgumentError(
            f"it has no weights for {settings.layers} layers of {cell.units} units; its settings say "
            f"{settings.units}"
        )


def check_decoder(
    tensors: Mapping[str, Tensor],
    settings: Any,
    cell: Cell,
    codes: int,
    memory_width: int,
    summary_width: int,
) -> None:
    """Refuse a file that lacks the weights of a `DecoderNetwork`.

    Args:
        tensors: of the file; those of the network begin with "decoder.".
        settings: of the model.
        cell: of every layer.
        codes: how many the vocabulary has.
        memory_width: features of a vector of the memory.
        summary_width: features of the summary.
    """
    size, width = settings.embedding_size, cell.output_width
    # What the first layer reads beside the code.
    beside = memory_width if settings.attention == "bahdanau" else 0
    if getattr(settings, "input_feeding", False):
        beside = size
    read_out = width + (memory_width if settings.attention else 0)
    check_shapes(
        tensors,
        {"decoder.embedding.embeddings": (codes, size), "decoder.combine.kernel": (read_out, size)},
    )
    check_layers(tensors, "decoder.recurrent.", settings, cell, size + beside)
    for number, state in enumerate(cell.states * settings.layers):
        check_shapes(tensors, {f"decoder.bridge.{number}.kernel": (summary_width, cell.state_width(state))})
