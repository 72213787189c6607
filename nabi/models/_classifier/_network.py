"""The network of a text classifier: from codes to probabilities of labels."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nabi import layers
from nabi.cells import Cell
from nabi.data import LengthGroups
from nabi.models._classifier._settings import TextNetworkSettings, TextSettings
from nabi.models._sequential import Sequential

__all__ = ["build_network", "built", "outputs_of", "read_codes", "reading_layers"]

_BATCH_SIZE = 64  # of predictions


def build_network(
    vocabulary_size: int, outputs: int, settings: TextSettings, cell: Cell, several: bool
) -> Sequential:
    """Return the network, with its weights drawn from torch's random numbers.

    A Dense layer makes probabilities of what `reading_layers` give: of one label (softmax) or of each
    (sigmoid).
    """
    last = layers.Dense(outputs, activation="sigmoid" if several else "softmax", name="labels")
    return built([*reading_layers(vocabulary_size, settings, cell), last], "text_classifier")


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


def built(stack: list[layers.Layer], name: str) -> Sequential:
    """Return the network of layers that read codes."""
    model = Sequential(stack, name=name)
    model.build((None, None))
    return model


def outputs_of(model: Sequential, sequences: Sequence[npt.NDArray[np.int32]]) -> npt.NDArray[np.float32]:
    """Return what the network gives for codes of N texts, `[N, outputs]`."""
    groups = LengthGroups(sequences, batch_size=_BATCH_SIZE, shuffle=False, seed=0)
    # Batch by batch: `predict` sets up an epoch with callbacks, which takes a third as long as a short text.
    outputs = np.concatenate([model.predict_on_batch(x.numpy()) for x, *_ in groups])
    result = np.empty_like(outputs, dtype=np.float32)
    result[groups.order] = outputs
    return result


def read_codes(
    model: Sequential, sequences: Sequence[npt.NDArray[np.int32]], labels: int
) -> npt.NDArray[np.float32]:
    """Return the network's probability of each label, `[N, labels]`, for codes of N texts."""
    outputs = outputs_of(model, sequences)
    if outputs.shape[1] < labels:  # a sigmoid gives the probability of the second label
        outputs = np.concatenate([1 - outputs, outputs], 1)
    return outputs
