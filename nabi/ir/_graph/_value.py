"""Python's operators, and functions of other libraries, on values of a step.

Arithmetic and comparisons create new values. Any other use (as a truth value, number, list, array or tensor)
raises an error with the line of the step and what to write instead.
"""

import math
from typing import Any, NoReturn, Protocol, Self

from nabi.errors import CellError
from nabi.ir._graph._numbers import is_number

__all__ = ["FUNCTION_NAMES", "Value", "ValueAttributeError"]

_LARGEST_POWER = 64

FUNCTION_NAMES: set[str] = set()
"""What `nabi.ir.functions` offers, for messages; it stands above and enters its names here."""


class Tracing(Protocol):
    """What a value needs of the trace that it belongs to."""

    @property
    def is_current(self) -> bool:
        """Whether its step is being traced."""

    def where(self) -> str:
        """Name the cell and quote the line of the step."""

    def apply(self, name: str, *values: Any) -> Any:
        """Apply an operation of the table."""

    def constant(self, value: float) -> Any:
        """Return a constant."""


class ValueAttributeError(CellError, AttributeError):
    """A value of a step does not have an attribute or method of arrays or tensors."""


class Value:
    """The base of `Node`: its operators."""

    trace: Tracing
    operation: str

    # Arithmetic.

    def __add__(self, other: Self | float) -> Self:
        return self._apply("add", self, other)

    def __radd__(self, other: float) -> Self:
        return self._apply("add", other, self)

    def __sub__(self, other: Self | float) -> Self:
        return self._apply("sub", self, other)

    def __rsub__(self, other: float) -> Self:
        return self._apply("sub", other, self)

    def __mul__(self, other: Self | float) -> Self:
        return self._apply("mul", self, other)

    def __rmul__(self, other: float) -> Self:
        return self._apply("mul", other, self)

    def __truediv__(self, other: Self | float) -> Self:
        return self._apply("div", self, other)

    def __rtruediv__(self, other: float) -> Self:
        return self._apply("div", other, self)

    def __neg__(self) -> Self:
        return self._apply("neg", self)

    def __pos__(self) -> Self:
        return self

    def __abs__(self) -> Self:
        return self._apply("abs", self)

    def __pow__(self, exponent: Self | float) -> Self:
        """Return a power: products for a whole exponent up to 64, else `power`, for values from 0 on."""
        number = float(exponent) if is_number(exponent) else math.nan
        if number == 0.5:
            return self._apply("sqrt", self)
        if not number.is_integer() or abs(number) > _LARGEST_POWER:
            return self._apply("power", self, exponent)
        if number < 0:
            return 1.0 / self**-number
        if number < 2:
            if not number:
                one: Self = self.trace.constant(1.0)
                return one
            return self._apply("mul", self, 1.0)
        half = self ** (number // 2)
        return self._apply("mul", half * half, self) if number % 2 else half * half

    # Comparisons: 1 where they hold, else 0.

    def __lt__(self, other: Self | float) -> Self:
        return self._apply("less", self, other)

    def __le__(self, other: Self | float) -> Self:
        return self._apply("less_equal", self, other)

    def __gt__(self, other: Self | float) -> Self:
        return self._apply("greater", self, other)

    def __ge__(self, other: Self | float) -> Self:
        return self._apply("greater_equal", self, other)

    def __eq__(self, other: object) -> Any:
        self._must_be_traced("==")
        return self._apply("equal", self, other)

    def __ne__(self, other: object) -> Any:
        self._must_be_traced("!=")
        return self._apply("not_equal", self, other)

    # Nodes are compared by identity, also in dictionaries.
    __hash__ = object.__hash__

    def __and__(self, other: Self | float) -> Self:
        return self._truth(self) * self._truth(other)

    def __rand__(self, other: float) -> Self:
        return self._truth(other) * self._truth(self)

    def __or__(self, other: Self | float) -> Self:
        return self._apply("maximum", self._truth(self), self._truth(other))

    def __ror__(self, other: float) -> Self:
        return self._apply("maximum", self._truth(other), self._truth(self))

    def __xor__(self, other: Self | float) -> Self:
        return self._apply("not_equal", self._truth(self), self._truth(other))

    def __rxor__(self, other: float) -> Self:
        return self._apply("not_equal", self._truth(other), self._truth(self))

    def __invert__(self) -> Self:
        return self._apply("equal", self, 0.0)

    def _must_be_traced(self, sign: str) -> None:
        """Raise an error for `==` outside a step, where it is a mistake in code that works on graphs."""
        if not self.trace.is_current:
            raise CellError(f"{sign}: nodes are compared by `is`; equations can only be used inside step()")

    def _apply(self, name: str, *values: Any) -> Self:
        result: Self = self.trace.apply(name, *values)
        return result

    def _truth(self, value: Any) -> Self:
        """Return 1 where a value is not zero, else 0; a comparison is that already."""
        if isinstance(value, type(self)) and value.operation in _COMPARISONS:
            return value
        return self._apply("not_equal", value, 0.0)

    # Unsupported uses of a value.

    def _refuse(self, problem: str) -> NoReturn:
        raise CellError(f"{self.trace.where()}: {problem}")

    def __bool__(self) -> bool:
        self._refuse(
            "a step cannot branch on a value, since every row of a batch has its own; use "
            "select(condition, a, b) for if, a & b, a | b and ~a for and, or and not, (0 < a) & (a < 1) for "
            "0 < a < 1, maximum(a, b) and minimum(a, b) for max and min"
        )

    def __float__(self) -> float:
        self._refuse(
            "a value of a step is no number: every row of a batch has its own; for functions of math use "
            "those of nabi.ir.functions"
        )

    __int__ = __complex__ = __index__ = __float__

    def __round__(self, digits: int | None = None) -> Self:
        """Return the nearest whole number; the derivative is zero."""
        if digits is not None:
            self._refuse("a value is rounded to whole numbers; write round(100 * a) / 100 for two digits")
        return self._apply("round", self)

    def __floor__(self) -> Self:
        """Return the largest whole number that is not larger; the derivative is zero."""
        return self._apply("floor", self)

    def __ceil__(self) -> Self:
        return self._apply("neg", self._apply("floor", self._apply("neg", self)))

    def __trunc__(self) -> NoReturn:
        self._refuse("write sign(a) * floor(abs(a)) for a without its fraction")

    def __floordiv__(self, other: object) -> NoReturn:
        self._refuse("//, % and divmod are not in the language; use floor(a / b) and b * frac(a / b)")

    __rfloordiv__ = __mod__ = __rmod__ = __divmod__ = __rdivmod__ = __floordiv__

    def __rpow__(self, base: float) -> Self:
        if not is_number(base) or not base > 0:
            self._refuse(f"the base of a power must be a positive number, not {base!r}")
        return self._apply("exp", self._apply("mul", math.log(base), self))

    def __lshift__(self, other: object) -> NoReturn:
        self._refuse("shifts are not in the language; use *, / and powers")

    __rlshift__ = __rshift__ = __rrshift__ = __lshift__

    def __matmul__(self, other: object) -> NoReturn:
        self._refuse(
            'products with matrices are written self.affine("h", x, h) or self.linear("h", "x", x); the '
            "inner product of two values is total(a * b)"
        )

    __rmatmul__ = __matmul__

    def __iter__(self) -> NoReturn:
        self._refuse(
            "a value of a step has no parts to go through or to count; use total(a) and mean(a) for its sum "
            "and mean, and a.width for its number of units"
        )

    __len__ = __reversed__ = __iter__

    def __contains__(self, item: object) -> NoReturn:
        self._refuse("a value of a step has no parts to look through; use comparisons, such as a == 1")

    def __getitem__(self, key: object) -> NoReturn:
        self._refuse(
            "the units of a value cannot be taken apart by an index; part(a, start, stop) takes some of "
            "them, split(a, heads, keys) divides them into axes"
        )

    def __setitem__(self, key: object, item: object) -> NoReturn:
        self._refuse("the units of a value cannot be set one by one; use select(condition, a, b)")

    __delitem__ = __getitem__

    def __call__(self, *arguments: object, **named: object) -> NoReturn:
        self._refuse("a value of a step is no function")

    def __format__(self, specification: str) -> str:
        return repr(self)

    def __getattr__(self, name: str) -> NoReturn:
        # Python and debuggers probe for such names and handle their absence.
        if name.startswith("_"):
            raise AttributeError(f"a value of a step has no attribute {name!r}", name=name, obj=self)
        raise ValueAttributeError(
            f"{self.trace.where()}: a value of a step has no attribute {name!r}: it is one row of an array, "
            f"without its numbers; {_instead(name)}"
        )

    # Called by other libraries.

    def __array__(self, *arguments: object, **named: object) -> NoReturn:
        self._refuse("a value of a step is no array; use the functions of nabi.ir.functions")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **named: Any) -> Any:
        # Operators of NumPy numbers arrive here: np.float32(2) * a.
        operator = _OF_NUMPY.get(ufunc.__name__)
        if operator is not None and method == "__call__" and not named:
            # A comparison passes its number as an array without dimensions.
            return self._apply(
                operator,
                *[
                    one.item() if not isinstance(one, Value) and getattr(one, "ndim", 1) == 0 else one
                    for one in inputs
                ],
            )
        return self._refuse(f"numpy.{ufunc.__name__} takes arrays; {_instead(ufunc.__name__)}")

    def __array_function__(self, function: Any, types: Any, arguments: Any, named: Any) -> Any:
        return self._refuse(f"numpy.{function.__name__} takes arrays; {_instead(function.__name__)}")

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        value = _first_value((*arguments, *(named or {}).values()))
        name = getattr(function, "__name__", str(function))
        if name.strip("_").removeprefix("r") in ("add", "sub", "mul", "div", "truediv", "pow"):
            return value._refuse(
                "a value of a step and a tensor cannot be combined; use float(t) for one number, and "
                "self.bias or self.gain for a learned vector"
            )
        return value._refuse(f"torch.{name} takes tensors; {_instead(name)}")


def _first_value(arguments: Any) -> Value:
    """Return the value of a step among the arguments of a call, also within lists."""
    waiting = list(arguments)
    for argument in waiting:
        if isinstance(argument, Value):
            return argument
        if isinstance(argument, (list, tuple)):
            waiting.extend(argument)
    raise CellError("equations can only be used inside step()")


_COMPARISONS = frozenset({"greater", "greater_equal", "less", "less_equal", "equal", "not_equal"})

_OF_NUMPY = {
    "add": "add",
    "subtract": "sub",
    "multiply": "mul",
    "divide": "div",
    "true_divide": "div",
    "greater": "greater",
    "greater_equal": "greater_equal",
    "less": "less",
    "less_equal": "less_equal",
    "equal": "equal",
    "not_equal": "not_equal",
}

_INSTEAD = {
    "T": "a matrix is applied by self.linear",
    "cat": "what reads two values is the sum of two products: self.affine('h', x, h)",
    "clamp": "use minimum(maximum(a, low), high)",
    "concatenate": "what reads two values is the sum of two products: self.affine('h', x, h)",
    "clip": "use minimum(maximum(a, low), high)",
    "cumsum": "use cumulative_sum of nabi.ir.functions",
    "detach": "use stop_gradient of nabi.ir.functions",
    "device": "a step is traced once, for all devices",
    "dot": "use total(a * b)",
    "dropout": "cells have the arguments dropout and recurrent_dropout",
    "dtype": "a step is traced once, for all data types",
    "layer_norm": "use self.gain('h', 'x') * norm(a)",
    "linear": "use self.affine or self.linear",
    "matmul": "use self.affine or self.linear",
    "ndim": "it is one row: write the step as if for one sequence and one time step",
    "ones_like": "numbers broadcast: write 1",
    "pow": "use a ** b",
    "power": "use a ** b",
    "permute": "outer and read of nabi.ir.functions take the axes that they mean",
    "reshape": "use split(a, heads, keys) and flat(a)",
    "shape": "its number of units is a.width; the batch and time are no part of a step",
    "size": "its number of units is a.width; the batch and time are no part of a step",
    "square": "use a ** 2",
    "stack": "what reads two values is the sum of two products: self.affine('h', x, h)",
    "where": "use select(condition, a, b)",
    "zeros_like": "numbers broadcast: write 0",
}
_RENAMED = {
    "abs": "absolute",
    "amax": "maximum",
    "hardsigmoid": "hard_sigmoid",
    "hardtanh": "hard_tanh",
    "max": "maximum",
    "min": "minimum",
    "sum": "total",
    "swish": "silu",
}


def _instead(name: str) -> str:
    """Return what to write instead of a function or attribute of arrays or tensors."""
    name = name.strip("_") or name
    if name in _INSTEAD:
        return _INSTEAD[name]
    own = _RENAMED.get(name, name)
    if own in FUNCTION_NAMES:
        return f"use {own} of nabi.ir.functions"
    return "use the functions of nabi.ir.functions; a step of torch tensors can be run as a torch module"
