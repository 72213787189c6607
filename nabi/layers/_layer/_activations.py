"""Activation functions by name, with Keras' names and defaults, based on torch's functions."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from nabi._named import name_of_function
from nabi.errors import ArgumentError, unknown_name
from nabi.ir.functions import ACTIVATIONS
from nabi.targets.eager import added_operation

__all__ = [
    "Activation",
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

Activation = Callable[[Tensor], Tensor]


def linear(x: Tensor) -> Tensor:
    """Return `x` itself."""
    return x


def relu(x: Tensor) -> Tensor:
    """Return `max(x, 0)`."""
    return torch.relu(x)


def relu6(x: Tensor) -> Tensor:
    """Return `min(max(x, 0), 6)`."""
    return functional.relu6(x)


def leaky_relu(x: Tensor, negative_slope: float = 0.2) -> Tensor:
    """Return `x` where positive, `negative_slope · x` elsewhere (Keras' slope: 0.2)."""
    return functional.leaky_relu(x, negative_slope)


def sigmoid(x: Tensor) -> Tensor:
    """Return `1 / (1 + exp(-x))`."""
    return torch.sigmoid(x)


def hard_sigmoid(x: Tensor) -> Tensor:
    """Return `min(max(x / 6 + 1/2, 0), 1)`, as in Keras 3; see `hard_sigmoid_keras2`."""
    return functional.hardsigmoid(x)


def hard_sigmoid_keras2(x: Tensor) -> Tensor:
    """Return `min(max(x / 5 + 1/2, 0), 1)`, which Keras 1 and 2 call `hard_sigmoid`."""
    return functional.hardsigmoid(1.2 * x)


def tanh(x: Tensor) -> Tensor:
    """Return the hyperbolic tangent."""
    return torch.tanh(x)


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """Return `exp(x) / Σ exp(x)` along `axis`."""
    return torch.softmax(x, axis)


def log_softmax(x: Tensor, axis: int = -1) -> Tensor:
    """Return the logarithm of `softmax(x)`."""
    return torch.log_softmax(x, axis)


def softplus(x: Tensor) -> Tensor:
    """Return `log(1 + exp(x))`."""
    return functional.softplus(x)


def softsign(x: Tensor) -> Tensor:
    """Return `x / (1 + |x|)`."""
    return functional.softsign(x)


def elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """Return `x` where positive, `alpha · (exp(x) - 1)` elsewhere."""
    return functional.elu(x, alpha)


def selu(x: Tensor) -> Tensor:
    """Return the scaled exponential linear unit (Klambauer et al. 2017)."""
    return torch.selu(x)


def gelu(x: Tensor, approximate: bool = False) -> Tensor:
    """Return `x · Φ(x)`, `Φ` the normal distribution function, or its tanh approximation."""
    return functional.gelu(x, approximate="tanh" if approximate else "none")


def silu(x: Tensor) -> Tensor:
    """Return `x · sigmoid(x)`, also called swish."""
    return functional.silu(x)


def exponential(x: Tensor) -> Tensor:
    """Return `exp(x)`."""
    return torch.exp(x)


swish = silu

_KNOWN: dict[str, Activation] = {
    "elu": elu,
    "exponential": exponential,
    "gelu": gelu,
    "hard_sigmoid": hard_sigmoid,
    "hard_sigmoid_keras2": hard_sigmoid_keras2,
    "leaky_relu": leaky_relu,
    "linear": linear,
    "log_softmax": log_softmax,
    "relu": relu,
    "relu6": relu6,
    "selu": selu,
    "sigmoid": sigmoid,
    "silu": silu,
    "softmax": softmax,
    "softplus": softplus,
    "softsign": softsign,
    "swish": silu,
    "tanh": tanh,
}
# torch's own functions are equivalent, so a config can name them too.
_SAME = {
    torch.tanh: "tanh", torch.sigmoid: "sigmoid", torch.relu: "relu", torch.selu: "selu",
    torch.exp: "exponential",
    functional.tanh: "tanh", functional.sigmoid: "sigmoid", functional.relu: "relu", functional.silu: "silu",
    functional.softplus: "softplus", functional.softsign: "softsign", functional.hardsigmoid: "hard_sigmoid",
    functional.elu: "elu", functional.selu: "selu", functional.gelu: "gelu", functional.relu6: "relu6",
}  # fmt: skip
_NAME_OF: dict[Any, str] = {function: name for name, function in _KNOWN.items() if name != "swish"} | cast(
    dict[Any, str], _SAME
)


def get(identifier: object, argument: str = "activation") -> Activation:
    """Return the activation function for a name, function or `None` (linear).

    A name may be that of an operation that the user has added with `nabi.ir.elementwise`.

    Raises `UnknownNameError` (with the nearest known name) or `ArgumentError`, both naming `argument`.

    >>> get("tanh") is tanh, get(None) is linear, get("swish") is silu
    (True, True, True)
    """
    if identifier is None:
        return linear
    if isinstance(identifier, str):
        if identifier not in _KNOWN:
            added = added_operation(identifier) if identifier in ACTIVATIONS else None
            if added is None:
                raise unknown_name(argument, identifier, _KNOWN)
            _NAME_OF[added] = identifier
            return added
        return _KNOWN[identifier]
    if callable(identifier):
        name = _named(identifier)
        return _KNOWN.get(name, cast(Activation, identifier)) if name else cast(Activation, identifier)
    raise ArgumentError(f"{argument}: expected a name or a function, got {identifier!r}")


def _named(function: object) -> str | None:
    try:
        return _NAME_OF.get(function)
    except TypeError:  # an unhashable callable is not one of these
        return None


def serialize(function: Activation, argument: str = "activation") -> str:
    """Return the name of an activation function; `ArgumentError` for a function without one."""
    name = _named(function) or name_of_function(function)
    if name is None:
        raise ArgumentError(
            f"{argument}: {function!r} has no name to store in a config; use a function defined with def, "
            f"or one of nabi.activations: {', '.join(sorted(_KNOWN))}"
        )
    return name
