"""`tf.nn`: running a cell over time, the cells, activations."""

from nabi.tf1._activations import (
    elu,
    leaky_relu,
    relu,
    selu,
    sigmoid,
    softmax,
    softplus,
    softsign,
    swish,
    tanh,
)
from nabi.tf1._missing import getter as _getter
from nabi.tf1._unroll import bidirectional_dynamic_rnn, dynamic_rnn, static_bidirectional_rnn, static_rnn
from nabi.tf1.nn import rnn_cell

__all__ = [
    "bidirectional_dynamic_rnn",
    "dynamic_rnn",
    "elu",
    "leaky_relu",
    "relu",
    "rnn_cell",
    "selu",
    "sigmoid",
    "softmax",
    "softplus",
    "softsign",
    "static_bidirectional_rnn",
    "static_rnn",
    "swish",
    "tanh",
]

__getattr__ = _getter("nn.", __all__)
