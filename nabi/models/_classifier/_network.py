"""The network of a text classifier: from codes to probabilities of labels."""

from nabi import layers
from nabi.cells import Cell
from nabi.models._classifier._settings import TextSettings
from nabi.models._sequential import Sequential

__all__ = ["build_network"]


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
