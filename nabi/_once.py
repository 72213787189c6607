"""Values that are computed once and then shared by all threads, under one lock.

A thread that requests a value while another thread computes it waits and gets the same object. This matters
if an object's identity or memory counts: native code receives the addresses of index tensors, and if two
threads each made such a tensor, the second would replace the first while a kernel still reads it.

A single lock protects all these values, so locks can't be taken in different orders. It is reentrant. Nothing
waits for another thread while holding it.
"""

import os
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

__all__ = ["LOCK", "cached_property"]

_Value = TypeVar("_Value")

# Held over a fork, so that in the child all protected values are complete and the lock is not held by a
# thread that does not exist there.
LOCK = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=LOCK.release)

_MISSING = object()


class cached_property(Generic[_Value]):  # noqa: N801
    """Like `functools.cached_property`, but computed only once with any number of threads.

    From Python 3.12 on, the standard one has no lock, and two threads may get two objects. Before, it has a
    lock per class attribute, held while the value is computed.

    >>> class Text:
    ...     @cached_property
    ...     def words(self):
    ...         return ["one", "two"]
    >>> text = Text()
    >>> text.words is text.words
    True
    """

    def __init__(self, make: Callable[[Any], _Value]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> "cached_property[_Value]": ...
    @overload
    def __get__(self, instance: object, owner: type) -> _Value: ...
    def __get__(self, instance: object | None, owner: type) -> "_Value | cached_property[_Value]":
        if instance is None:
            return self
        # Only reached until the value exists: an instance's own attributes take precedence.
        known = vars(instance)
        with LOCK:
            found = known.get(self._name, _MISSING)
            if found is _MISSING:
                found = known[self._name] = self._make(instance)
        value: _Value = found
        return value
