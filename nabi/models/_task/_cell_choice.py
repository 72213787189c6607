"""The network of a text classifier: from codes to probabilities of labels."""

import dataclasses
from typing import Any

from nabi import cells, layers
from nabi.cells import Cell
from nabi.errors import ArgumentError
from nabi.models._classifier._settings import TextSettings
from nabi.models._sequential import Sequential

__all__ = ["CellChoice", "build_network", "cell_name", "check_cell", "make_cell"]

CellChoice = str | Cell | type[Cell]


def check_cell(cell: object, units: int | None) -> None:
    """Refuse what is no cell.

    Raises:
        UnknownNameError: for a name that no cell has.
        ArgumentError: for anything else, and for units beside a cell that has its own.
    """
    if isinstance(cell, str):
        cells.get(cell)
    elif isinstance(cell, Cell):
        if units is not None and units != cell.units:
            raise ArgumentError(f"units: got {units}, but the cell given has {cell.units}")
    elif not (isinstance(cell, type) and issubclass(cell, Cell)):
        raise ArgumentError(f"cell: got {cell!r}, expected a name such as 'lstm', or a cell of nabi.cells")


def cell_name(cell: CellChoice) -> str:
    """Return the name of a cell for people: as it was given, or that of its class."""
    if isinstance(cell, str):
        return cell
    return (cell if isinstance(cell, type) else type(cell)).__name__


def make_cell(cell: CellChoice, units: int) -> Cell:
    """Return the cell with so many units; one given as an object is it already."""
    if isinstance(cell, Cell):
        return cell
    kind = cells.get(cell) if isinstance(cell, str) else cell
    arguments: dict[str, Any] = {}
    if any(field.name == "projection" for field in dataclasses.fields(kind)):
        arguments["projection"] = max(units // 2, 1)  # the one argument without a default of its own
    return kind(units, **arguments)


def build_network(
    vocabulary_size: int, outputs: int, settings: TextSettings, cell: Cell, several: bool
) -> Sequential:
    """Return the network, with its weights drawn from torch's random numbers.

    Codes `[B, T]` become vectors, of which a share of the features is dropped in training; the cell reads
    them in one or both directions; the maximum or the mean of its outputs is taken, or the last; and a Dense
    layer makes probabilities of that, of one label (softmax) or of each (sigmoid).

    All layers have names of their own, so that equal networks give equal files.
    """
    assert settings.embedding_size is not None
    assert settings.dropout is not None
    recurrent: layers.Layer = layers.RNN(cell, return_sequences=settings.pooling != "last", name="recurrent")
    if settings.bidirectional:
        recurrent = layers.Bidirectional(recurrent, name="bidirectional")
    stack = [
        layers.Embedding(vocabulary_size, settings.embedding_size, mask_zero=True, name="embedding"),
        layers.SpatialDropout1D(settings.dropout, name="embedding_dropout"),
        recurrent,
    ]
    if settings.pooling == "max":
        stack.append(layers.GlobalMaxPooling1D(name="pooling"))
    elif settings.pooling == "mean":
        stack.append(layers.GlobalAveragePooling1D(name="pooling"))
    stack.append(layers.Dropout(settings.dropout, name="dropout"))
    stack.append(layers.Dense(outputs, activation="sigmoid" if several else "softmax", name="labels"))
    model = Sequential(stack, name="text_classifier")
    model.build((None, None))
    return model
