"""Penalties on weights that are added to the loss."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from nabi import _checks
from nabi._configured import Configured
from nabi._named import find, to_config
from nabi._public import public
from nabi.errors import ArgumentError

__all__ = ["L1", "L1L2", "L2", "Regularizer", "deserialize", "get", "serialize"]


class Regularizer(Configured):
    """Base class: a callable `(weight) -> scalar Tensor` with a `get_config()`."""

    def __call__(self, weight: Tensor) -> Tensor:
        """Return the penalty for a weight."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(weight)")


def _factor(argument: str, value: float) -> float:
    return _checks.real(argument, value, least=0)


class L1(Regularizer):
    """`l1 · Σ|w|`, default factor 0.01."""

    @public
    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = _factor("l1", l1)

    def __call__(self, weight: Tensor) -> Tensor:
        """Return the penalty for a weight."""
        return self.l1 * weight.abs().sum()

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the regularizer."""
        return {"l1": self.l1}


class L2(Regularizer):
    """`l2 · Σw²`, default factor 0.01."""

    @public
    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = _factor("l2", l2)

    def __call__(self, weight: Tensor) -> Tensor:
        """Return the penalty for a weight."""
        return self.l2 * weight.square().sum()

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the regularizer."""
        return {"l2": self.l2}


class L1L2(Regularizer):
    """`l1 · Σ|w| + l2 · Σw²`; both factors default to 0, or to 0.01 by name (`"l1_l2"`)."""

    @public
    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = _factor("l1", l1)
        self.l2 = _factor("l2", l2)

    def __call__(self, weight: Tensor) -> Tensor:
        """Return the penalty for a weight."""
        return self.l1 * weight.abs().sum() + self.l2 * weight.square().sum()

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the regularizer."""
        return {"l1": self.l1, "l2": self.l2}


_KNOWN: dict[str, type[Regularizer]] = {"L1": L1, "L2": L2, "L1L2": L1L2}


def get(identifier: object, argument: str = "regularizer") -> Callable[..., Any] | None:
    """Return the regularizer for a name, class, callable or config dictionary; `None` stays `None`.

    Raises `UnknownNameError` (with the nearest known name) or `ArgumentError`, both naming `argument`.

    >>> get("l2")
    L2(l2=0.01)
    >>> get(None) is None
    True
    """
    if isinstance(identifier, str) and identifier in ("l1_l2", "l1l2"):
        return L1L2(0.01, 0.01)
    found = find(argument, identifier, _KNOWN, {"l1_l2": "L1L2"})
    if found is not None and not callable(found):  # a user's class without __call__
        raise ArgumentError(f"{argument}: {found!r} cannot be called with a weight")
    return found


def serialize(regularizer: object) -> dict[str, Any] | None:
    """Describe a regularizer as `{"class_name", "config"}`; `ArgumentError` if it has no config."""
    return to_config("regularizer", regularizer)


def deserialize(config: dict[str, Any]) -> Callable[..., Any] | None:
    """Make the regularizer that `serialize` described."""
    return get(config)
