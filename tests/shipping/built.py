"""Models of every kind of layer that goes step by step, with weights that are not their initial ones."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from nabi import layers, models
from nabi.errors import ArgumentError
from nabi.layers import Layer

from ..cells.sampling import cells_of_today, make

FEATURES, CODES, STEPS = 5, 11, 6


def cells_alone() -> list[str]:
    """The cells of today that need nothing but an input and a number of units."""
    return [name for name in cells_of_today() if _is_alone(name)]


def _is_alone(name: str) -> bool:
    try:
        program = make(name, 6).program(FEATURES)
    except ArgumentError:
        return False
    return all(given.default is not None and given.name != "position" for given in program.inputs[1:])


def sequential(*stack: Layer, codes: bool = False, name: str = "model", features: int = FEATURES) -> Any:
    """A built model, with noise on its weights."""
    model = models.Sequential(list(stack), name=name)
    model.build((None, None) if codes else (None, None, features))
    shake(model)
    return model


def shake(model: Any, seed: int = 1) -> None:
    """Add noise to all weights that are learned."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.weights:
            if weight.requires_grad:
                weight.add_(0.1 * torch.randn(weight.shape, generator=draw))


def inputs(model: Any, steps: int = STEPS, seed: int = 2) -> Any:
    """One sequence for a model, `[steps, features]` or codes `[steps]`."""
    draw = np.random.default_rng(seed)
    shape = model.input_shape
    if len(shape) == 2:
        return draw.integers(0, CODES, steps)
    return draw.standard_normal((steps, shape[-1])).astype(np.float32)


def outputs(model: Any, x: Any) -> Any:
    """What a model gives after every step of one sequence, `[steps, outputs]`."""
    with torch.no_grad():
        whole = model(torch.as_tensor(x[None]), training=False)
        if whole.ndim == 3:
            return whole[0].numpy()
        rows = [model(torch.as_tensor(x[None, : end + 1]), training=False) for end in range(len(x))]
    return np.stack([row[0].numpy() for row in rows])


def agrees(found: Any, wanted: Any, tolerance: float = 2e-6) -> bool:
    """Whether results agree, relative to the largest where that is above 1."""
    return bool(np.abs(found - wanted).max() <= tolerance * max(1.0, np.abs(wanted).max()))


def functional() -> Any:
    """A model whose layers are no chain."""
    entry = layers.Input((None, FEATURES))
    first = layers.Dense(6)(entry)
    second = layers.LSTM(6, return_sequences=True)(first)
    joined = layers.Concatenate()([layers.Add()([first, second]), entry])
    model = models.Model(entry, layers.Dense(2)(joined))
    shake(model)
    return model


_ACTIVATIONS = (
    "elu", "exponential", "gelu", "hard_sigmoid", "hard_sigmoid_keras2", "leaky_relu", "linear",
    "log_softmax", "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softplus",
    "softsign", "swish", "tanh",
)  # fmt: skip

MODELS: dict[str, Callable[[], Any]] = {
    "convolutions": lambda: sequential(
        layers.Conv1D(7, 3, padding="causal", activation="relu"),
        layers.Conv1D(4, 2, dilation_rate=3, padding="causal", groups=1),
        layers.Conv1D(6, 1, padding="causal", groups=2),
        layers.LSTM(6),
    ),
    "codes": lambda: sequential(
        layers.Embedding(CODES, 6),
        layers.GRU(9, return_sequences=True),
        layers.Dropout(0.2),
        layers.GRU(8, reset_after=False),
        layers.Dense(CODES, activation="softmax"),
        codes=True,
    ),
    "normalizations": lambda: sequential(
        layers.LayerNormalization(),
        layers.BatchNormalization(),
        layers.RMSNormalization(),
        layers.UnitNormalization(),
        layers.LSTM(20, return_sequences=True),
        layers.LayerNormalization(),
        layers.Dense(3, activation="sigmoid"),
    ),
    "activations": lambda: sequential(*[layers.Dense(6, activation=one) for one in _ACTIVATIONS]),
    "activation layers": lambda: sequential(
        layers.Activation("tanh"),
        layers.ReLU(max_value=2.0, negative_slope=0.1, threshold=0.2),
        layers.LeakyReLU(0.1),
        layers.ELU(0.5),
        layers.PReLU(shared_axes=[1]),
        layers.Softmax(),
    ),
    "pooling": lambda: sequential(
        layers.SimpleRNN(9, return_sequences=True),
        layers.GlobalAveragePooling1D(),
    ),
    "largest": lambda: sequential(layers.GRU(5, return_sequences=True), layers.GlobalMaxPooling1D()),
    "stacks": lambda: sequential(
        layers.TimeDistributed(layers.Dense(7, activation="tanh")),
        layers.RNN([layers.LSTMCell(6), layers.LSTMCell(5)]),
    ),
    "graph": functional,
}
"""By name: what makes a model."""
