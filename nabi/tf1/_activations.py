"""`tf.nn.relu` and other activations: functions of arrays, and values for a cell's `activation=`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nabi.errors import ArgumentError
from nabi.ir import functions

__all__ = [
    "activation_name",
    "elu",
    "leaky_relu",
    "relu",
    "selu",
    "sigmoid",
    "softmax",
    "softplus",
    "softsign",
    "swish",
    "tanh",
]


def _activation(name: str, compute: Callable[[Tensor], Tensor]) -> Callable[[Any], Any]:
    def function(x: Any) -> Any:
        if isinstance(x, Tensor):
            return compute(x)
        array = np.asarray(x)
        values = torch.from_numpy(array if array.dtype.kind == "f" else array.astype(np.float64))
        return compute(values).numpy()

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Apply {name} to an array or a tensor; also an `activation=` of a cell."
    return function


elu = _activation("elu", torch.nn.functional.elu)
leaky_relu = _activation("leaky_relu", lambda x: torch.nn.functional.leaky_relu(x, 0.2))
relu = _activation("relu", torch.relu)
selu = _activation("selu", torch.selu)
sigmoid = _activation("sigmoid", torch.sigmoid)
softmax = _activation("softmax", lambda x: torch.softmax(x, dim=-1))
softplus = _activation("softplus", torch.nn.functional.softplus)
softsign = _activation("softsign", torch.nn.functional.softsign)
swish = _activation("swish", torch.nn.functional.silu)
tanh = _activation("tanh", torch.tanh)


def activation_name(activation: Any) -> str:
    """Return the name of an activation given by name, as `tf.nn.relu`, `torch.tanh`, or None for tanh.

    Raises:
        UnknownNameError: an unknown name.
        ArgumentError: an unknown function.
    """
    if activation is None:
        return "tanh"
    name = activation if isinstance(activation, str) else getattr(activation, "__name__", None)
    if isinstance(activation, str) or name in functions.ACTIVATIONS:
        functions.activation(str(name))
        return str(name)
    raise ArgumentError(
        f"activation: expected a name or a function such as tf.nn.relu, got {activation!r}; "
        f"known are {', '.join(sorted(functions.ACTIVATIONS))}. To use a custom function, write a subclass "
        "of tf.nn.rnn_cell.RNNCell with it in `call`"
    )
