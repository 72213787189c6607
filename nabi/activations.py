"""Activation functions by name, as `keras.activations`.

>>> import torch
>>> from nabi import activations
>>> activations.get("relu")(torch.tensor([-1.0, 2.0]))
tensor([0., 2.])
"""

from typing import TYPE_CHECKING

from nabi._lazy import names_missing as _names_missing
from nabi.layers._layer._activations import (
    elu,
    exponential,
    gelu,
    get,
    hard_sigmoid,
    hard_sigmoid_keras2,
    leaky_relu,
    linear,
    log_softmax,
    relu,
    relu6,
    selu,
    serialize,
    sigmoid,
    silu,
    softmax,
    softplus,
    softsign,
    swish,
    tanh,
)

deserialize = get

__all__ = [
    "deserialize",
    "elu",
    "exponential",
    "gelu",
    "get",
    "hard_sigmoid",
    "hard_sigmoid_keras2",
    "leaky_relu",
    "linear",
    "log_softmax",
    "relu",
    "relu6",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "swish",
    "tanh",
]

if not TYPE_CHECKING:
    __getattr__ = _names_missing(__name__)
