"""Adam (Kingma and Ba 2015), as torch and Keras have it.

The running means are corrected by numbers that follow from the number of steps, in double precision.
"""

from typing import Any

from llvmlite import ir

from nabi.kernels._code._updates import DOUBLE, Element, Given, Rule
from nabi.native.vectors import INDEX, Loop, Vectors, index

__all__ = ["ADAM"]

_BITS = 25
"""Bits of a counter: float32 counts only up to 2^24."""


def _settings(options: Any) -> tuple[list[float], str]:
    rate, (beta1, beta2), epsilon, decay, decoupled, maximize, epsilon_first = options
    keep, added = (1.0 - rate * decay, 0.0) if decoupled else (1.0, decay)
    sign, first = -1.0 if maximize else 1.0, 1.0 if epsilon_first else 0.0
    numbers = [rate, beta1, beta2, epsilon, added, keep, sign, first]
    return numbers, "decayed" if decay != 0 else "update"


def _count(given: Given, steps: Any) -> dict[str, Any]:
    """Write the step size and the factor of the root."""
    b, numbers, one = given.b, given.numbers, ir.Constant(DOUBLE, 1.0)
    root = b.module.globals.get("llvm.sqrt.f64")
    if root is None:
        root = ir.Function(b.module, ir.FunctionType(DOUBLE, [DOUBLE]), "llvm.sqrt.f64")
    # The powers of both rates by squaring, with a factor for each set bit.
    left = b.fptosi(steps, INDEX)
    loop = Loop(b, 0, _BITS, carried=[left, numbers["beta1"], numbers["beta2"], one, one])
    left, *rest = loop.carried
    odd = b.trunc(left, ir.IntType(1))
    squares = [b.fmul(factor, factor) for factor in rest[:2]]
    powers = [
        b.select(odd, b.fmul(power, factor), power) for power, factor in zip(rest[2:], rest[:2], strict=True)
    ]
    *_, first, second = loop.close([b.lshr(left, index(1)), *squares, *powers])
    size = b.fdiv(numbers["rate"], b.fsub(one, first))
    return {"size": size, "scale": b.fdiv(one, b.call(root, [b.fsub(one, second)]))}


def _element(given: Given, v: Vectors, kind: str, line: Any) -> Element:
    b, numbers = given.b, given.numbers
    one = ir.Constant(DOUBLE, 1.0)
    new_mean, new_square = (given.everywhere(v, b.fsub(one, numbers[beta])) for beta in ("beta1", "beta2"))
    old_square, decay, keep, sign = (
        given.everywhere(v, numbers[each]) for each in ("beta2", "decay", "keep", "sign")
    )
    # Epsilon is added once, after the root is multiplied; an earlier epsilon is multiplied too.
    late = b.fsub(one, numbers["first"])
    corrected = given.derived(line, "scale")
    factor = b.fadd(b.fmul(numbers["first"], corrected), late)
    epsilon = given.everywhere(v, b.fmul(numbers["epsilon"], factor))
    size, scale = given.everywhere(v, given.derived(line, "size")), given.everywhere(v, corrected)

    def element(of: dict[str, Any]) -> dict[str, Any]:
        weight, gradient = of["weight"], v.mul(of["gradient"], sign)
        if kind == "decayed":
            gradient = v.fma(weight, decay, gradient)
            weight = v.mul(weight, keep)
        mean = v.fma(v.sub(gradient, of["exp_avg"]), new_mean, of["exp_avg"])
        square = v.fma(of["exp_avg_sq"], old_square, v.mul(v.mul(gradient, gradient), new_square))
        below = v.fma(v.call("llvm.sqrt", square), scale, epsilon)
        weight = v.sub(weight, v.div(v.mul(mean, size), below))
        return {"weight": weight, "exp_avg": mean, "exp_avg_sq": square}

    return element


_STATES = ("exp_avg", "exp_avg_sq")
ADAM = Rule(
    name="Adam",
    states=_STATES,
    derived=("size", "scale"),
    numbers=("rate", "beta1", "beta2", "epsilon", "decay", "keep", "sign", "first"),
    kinds={"update": _STATES, "decayed": _STATES},
    settings=_settings,
    count=_count,
    element=_element,
)
"""The rule; a step without weight decay is of another kind."""
