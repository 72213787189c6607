"""Named tuples for the states of a cell, which pickle and go through torch's pytrees."""

from collections import namedtuple
from collections.abc import Sequence
from functools import cache
from typing import Any

from torch import Tensor

__all__ = ["state_type"]

_PREFIX = "State_"
_SEPARATOR = "__"


def state_type(names: Sequence[str]) -> Any:
    """Return the named tuple class whose fields are the names of the states, in order.

    The class is made on first use; its own name says the fields, so that a pickle finds it again in a
    process that has not made it yet (through the `__getattr__` of this module).

    >>> state_type(("h", "c"))(h=1, c=2)
    State_h__c(h=1, c=2)
    """
    return _make(_PREFIX + _SEPARATOR.join(names))


def __getattr__(name: str) -> Any:
    if name.startswith(_PREFIX):
        return _make(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@cache
def _make(name: str) -> type[tuple[Tensor, ...]]:
    fields = name.removeprefix(_PREFIX).split(_SEPARATOR)
    return namedtuple(name, fields, module=__name__)
