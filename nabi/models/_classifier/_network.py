"""The network of a text classifier: from codes to probabilities of labels."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nabi import layers
from nabi.cells import Cell
from nabi.data import LengthGroups
from nabi.models._classifier._settings import TextNetworkSettings, TextSettings
from nabi.models._sequential import Sequential

if TYPE_CHECKING:
    from nabi.models._functional import Functional

__all__ = [
    "TextNetwork",
    "build_network",
    "built",
    "network_fault",
    "outputs_fault",
    "outputs_of",
    "read_codes",
    "reading_layers",
]

_BATCH_SIZE = 64  # of predictions
_MOST_JOINED_UNITS = 64

TextNetwork: TypeAlias = "Sequential | Functional"
"""Of codes alone, or of codes and the features of other columns."""


def build_network(
    vocabulary_size: int, outputs: int, settings: TextSettings, cell: Cell, several: bool, beside: int = 0
) -> TextNetwork:
    """Return the network, with its weights drawn from torch's random numbers.

    A Dense layer makes probabilities of what `reading_layers` give: of one label (softmax) or of each
    (sigmoid). It has a second input for `beside` features of other columns, if there are some.
    """
    last = layers.Dense(outputs, activation="sigmoid" if several else "softmax", name="labels")
    return built([*reading_layers(vocabulary_size, settings, cell), last], "text_classifier", beside)


def reading_layers(vocabulary_size: int, settings: TextNetworkSettings, cell: Cell) -> list[layers.Layer]:
    """Return the layers from codes `[B, T]` to features `[B, F]` of a text.

    Codes become vectors, of which a share of the features is dropped in training; the cell reads them in one
    or both directions; and the maximum or the mean of its outputs is taken, or the last.

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
    return stack


def built(stack: list[layers.Layer], name: str, beside: int = 0) -> TextNetwork:
    """Return the network of layers that read codes, the last of which gives what is asked for.

    Where there are features beside the text, they are put after those of the text, and a dense layer reads
    both before the last layer does: so what a word means can depend on a column.
    """
    if not beside:
        model = Sequential(stack, name=name)
        model.build((None, None))
        return model
    codes, others = layers.Input((None,), name="codes"), layers.Input((beside,), name="columns")
    *reading, last = stack
    found = codes
    for layer in reading:
        found = layer(found)
    both = layers.Concatenate(name="joined")([found, others])
    units = min(int(both.shape[-1]), _MOST_JOINED_UNITS)
    both = layers.Dense(units, activation="relu", name="joined_features")(both)
    network: TextNetwork = _kind(beside)([codes, others], last(both), name=name)
    return network


def _kind(beside: int) -> Any:
    """Return the class of a network; that of two inputs is loaded for those who have other columns."""
    if not beside:
        return Sequential
    from nabi.models._functional import Functional

    return Functional


def outputs_of(
    model: TextNetwork,
    sequences: Sequence[npt.NDArray[np.int32]],
    beside: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.float32]:
    """Return what the network gives for codes of N texts, and features beside them, `[N, outputs]`."""
    groups = LengthGroups(sequences, batch_size=_BATCH_SIZE, shuffle=False, seed=0, beside=beside)
    # Batch by batch: `predict` sets up an epoch with callbacks, which takes a third as long as a short text.
    outputs = np.concatenate(
        [
            model.predict_on_batch(x.numpy() if beside is None else [one.numpy() for one in x])
            for x, *_ in groups
        ]
    )
    result = np.empty_like(outputs, dtype=np.float32)
    result[groups.order] = outputs
    return result


def read_codes(
    model: TextNetwork,
    sequences: Sequence[npt.NDArray[np.int32]],
    labels: int,
    beside: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.float32]:
    """Return the network's probability of each label, `[N, labels]`; arguments as those of `outputs_of`."""
    outputs = outputs_of(model, sequences, beside)
    if outputs.shape[1] < labels:  # a sigmoid gives the probability of the second label
        outputs = np.concatenate([1 - outputs, outputs], 1)
    return outputs


def network_fault(model: Any, codes: int, beside: int) -> str:
    """Say why a network from a file or from a user does not read texts; "" if it does.

    Args:
        model: the network.
        codes: of the vocabulary.
        beside: features of other columns that it has to read.
    """
    kind = _kind(beside)
    stack = (
        [layer for layer in model.layers if not isinstance(layer, layers.InputLayer)]
        if isinstance(model, kind)
        else []
    )
    if (
        not stack
        or not isinstance(stack[0], layers.Embedding)
        or not isinstance(stack[-1], layers.Dense)
        or not model.built
    ):
        return "its network does not lead from an Embedding to a Dense layer"
    if beside and model.input_shape != [(None, None), (None, beside)]:
        return f"its network reads {model.input_shape}, expected codes and {beside} features of other columns"
    if not stack[0].mask_zero:
        return "its network reads padding, because its Embedding has no mask_zero"
    if stack[0].input_dim != codes:
        return f"its network knows {stack[0].input_dim} codes, its vocabulary {codes}"
    return ""


def outputs_fault(model: Any, labels: int, several: bool) -> str:
    """Say why a network has not the outputs of a classifier; "" if it has.

    One output is enough for one of two labels: the probability of the second.
    """
    shape = model.output_shape
    if len(shape or ()) != 2:
        return f"its network gives {shape}, expected one row of outputs for each text"
    if shape[1] not in ((1, 2) if labels == 2 and not several else (labels,)):
        return f"its network has {shape[1]} outputs for {labels} labels"
    return ""
