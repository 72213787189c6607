"""What a row of the table of operations holds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Derivative", "Operation"]

# Takes the cotangent of the result, the result and the arguments, and returns the cotangent of each argument
# (None where the derivative is zero everywhere). They are values of the kind that it is given.
Derivative = Callable[..., tuple[Any, ...]]


@dataclass(frozen=True)
class Operation:
    """One row of the table.

    Attributes:
        name: the name in the language.
        arity: number of arguments.
        torch: Python source for torch tensors, with `{0}`, `{1}`, ... for the arguments, `{like}` for one of
            them that is a tensor, `{width}` for the width of the result; for operations on axes see
            `nabi.ir._graph._axis_operations`.
        out: the same with an `out=` argument named `{out}`, or None if torch has none.
        text: plain-text rendering; `latex`: LaTeX rendering.
        onnx: the ONNX operator, or None if only the decomposition can be exported.
        derivative: the rule, or None to differentiate `decomposition`.
        decomposition: the equivalent in simpler operations, or None for a primitive one.
        reduction: whether it reduces over the units (its result is one number per row).
        cheap: whether recomputing it costs less than saving its result.
        across: for an operation whose units read other units of a row, its width from the width of its first
            argument and the number that is its second; raises ValueError with the reason if there is none.
        definition: of an operation that a user has added, what it computes; part of the keys of programs.
    """

    name: str
    arity: int
    torch: str
    text: str
    latex: str
    onnx: str | None
    out: str | None = None
    derivative: Derivative | None = None
    decomposition: Callable[..., Any] | None = None
    reduction: bool = False
    cheap: bool = False
    across: Callable[[int, float], int] | None = None
    definition: str = ""
