"""Stochastic gradient descent and RMSprop (Tieleman and Hinton 2012), as torch and Keras have them.

torch multiplies by the learning rate at the end, Keras before the momentum. Both are here one formula, with
numbers that are 1 or 0 in one of them.
"""

from typing import Any

from nabi.kernels._code._updates import Element, Given, Rule
from nabi.native.vectors import Vectors

__all__ = ["RMSPROP", "SGD"]


def _decay(options: Any) -> tuple[float, float]:
    """Return what is added of the weight to its gradient, and what is kept of the weight."""
    decay = options.decay
    return (0.0, 1.0 - options.rate * decay) if options.decoupled else (decay, 1.0)


def _nothing(given: Given, steps: Any) -> dict[str, Any]:
    return {}


def _sgd_settings(options: Any) -> tuple[list[float], str]:
    added, keep = _decay(options)
    sign = -1.0 if options.maximize else 1.0
    scale, size = (-options.rate * sign, 1.0) if options.rate_first else (sign, -options.rate)
    numbers = [scale, added, keep, size, options.momentum, 1.0 - options.dampening]
    if not options.momentum:
        return numbers, "plain"
    return numbers, "nesterov" if options.nesterov else "momentum"


def _sgd(given: Given, v: Vectors, kind: str, line: Any) -> Element:
    scale, added, keep, size, momentum, share = (
        given.everywhere(v, number) for number in given.numbers.values()
    )

    def element(of: dict[str, Any]) -> dict[str, Any]:
        weight = of["weight"]
        move = gradient = v.fma(weight, added, v.mul(of["gradient"], scale))
        found = {}
        if kind != "plain":
            found["momentum"] = move = v.fma(of["momentum"], momentum, v.mul(gradient, share))
        if kind == "nesterov":
            move = v.fma(move, momentum, gradient)
        return found | {"weight": v.fma(move, size, v.mul(weight, keep))}

    return element


SGD = Rule(
    name="SGD",
    states=("momentum",),
    derived=(),
    numbers=("scale", "added", "keep", "size", "momentum", "share"),
    kinds={"plain": (), "momentum": ("momentum",), "nesterov": ("momentum",)},
    settings=_sgd_settings,
    count=_nothing,
    element=_sgd,
)
"""The rule."""


def _rmsprop_settings(options: Any) -> tuple[list[float], str]:
    added, keep = _decay(options)
    scale, size = (options.rate, -1.0) if options.rate_first else (1.0, -options.rate)
    below, beside = (options.epsilon, 0.0) if options.rate_first else (0.0, options.epsilon)
    numbers = [
        -1.0 if options.maximize else 1.0, added, keep, scale, size, options.momentum,
        options.keep, 1.0 - options.keep, below, beside,
    ]  # fmt: skip
    return numbers, ("centered" if options.centered else "plain") + ("_momentum" if options.momentum else "")


def _rmsprop(given: Given, v: Vectors, kind: str, line: Any) -> Element:
    sign, added, keep, scale, size, momentum, old, new, below, beside = (
        given.everywhere(v, number) for number in given.numbers.values()
    )

    def element(of: dict[str, Any]) -> dict[str, Any]:
        weight = of["weight"]
        gradient = v.fma(weight, added, v.mul(of["gradient"], sign))
        square = v.fma(of["square_avg"], old, v.mul(v.mul(gradient, gradient), new))
        found = {"square_avg": square}
        root = v.add(square, below)
        if "grad_avg" in of:
            found["grad_avg"] = mean = v.fma(v.sub(gradient, of["grad_avg"]), new, of["grad_avg"])
            root = v.sub(root, v.mul(mean, mean))
        root = v.add(v.call("llvm.sqrt", root), beside)
        move = v.div(v.mul(gradient, scale), root)
        if "momentum" in of:
            found["momentum"] = move = v.fma(of["momentum"], momentum, move)
        return found | {"weight": v.fma(move, size, v.mul(weight, keep))}

    return element


RMSPROP = Rule(
    name="RMSprop",
    states=("square_avg", "grad_avg", "momentum"),
    derived=(),
    numbers=(
        "sign", "added", "keep", "scale", "size", "momentum", "old", "new", "below", "beside"
    ),
    kinds={
        "plain": ("square_avg",),
        "plain_momentum": ("square_avg", "momentum"),
        "centered": ("square_avg", "grad_avg"),
        "centered_momentum": ("square_avg", "grad_avg", "momentum"),
    },
    settings=_rmsprop_settings,
    count=_nothing,
    element=_rmsprop,
)  # fmt: skip
"""The rule."""
