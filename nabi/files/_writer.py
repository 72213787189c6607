"""The name of the program that writes a file, which stands as a mark in pictures, figures and music."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["writer", "writing_as"]

_writer = ContextVar("writer", default="nabi")


def writer() -> str:
    """Return who writes: "nabi", or a command such as "nabi train"."""
    return _writer.get()


@contextmanager
def writing_as(name: str) -> Iterator[None]:
    """Mark the files written in the body with this name.

    >>> with writing_as("nabi train"):
    ...     writer()
    'nabi train'
    >>> writer()
    'nabi'
    """
    before = _writer.set(name)
    try:
        yield
    finally:
        _writer.reset(before)
