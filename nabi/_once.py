"""Values that are made once and then shared by all threads, under one lock.

A thread that asks for a value while another one makes it waits and gets the same object. That matters where
an object's identity or its memory counts: native code is given the addresses of index tensors, and if two
threads each made such a tensor, the second would replace the first while a kernel still reads it.

There is one lock for everything that is made once, so two of them can never be taken in different orders. It
may be taken again by the thread that holds it. Nothing waits for another thread while it holds the lock.
"""

import os
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

__all__ = ["LOCK", "cached_property"]

_Value = TypeVar("_Value")

# Held over a fork, so that the child finds everything that it protects complete, and not locked by a thread
# that does not exist there.
LOCK = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=LOCK.release)

_MISSING = object()


class cached_property(Generic[_Value]):  # noqa: N801
    """As `functools.cached_property`, but made once however many threads ask.

    From Python 3.12 on the standard one has no lock, and two threads may get two objects. Before, it has a
    lock for each class attribute, which is held while the value is made.

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
        # Only reached until the value is there: an instance's own attributes come before this one.
        known = vars(instance)
        with LOCK:
            found = known.get(self._name, _MISSING)
            if found is _MISSING:
                found = known[self._name] = self._make(instance)
        value: _Value = found
        return value
