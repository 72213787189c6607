"""Standard output and standard error of the command: a terminal, a pipe, or nothing.

A terminal has a width, and tables fit into it; in a pipe or a file nothing is wrapped. What cannot be
written to standard output (a full disk, a reader that has ended) becomes one error; what cannot be written to
standard error is lost.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from nabi.errors import OutputError

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["LostOutputError", "guarded_streams", "make_console"]

_NO_LIMIT = 1_000_000  # columns; no text that is shown has a line as long as this


class LostOutputError(OutputError):
    """Standard output cannot be written."""


def make_console(*, stderr: bool = False) -> "Console":
    """Return rich's console for standard output or standard error; without a width if it is no terminal."""
    from rich.console import Console

    found = Console(stderr=stderr)
    return found if found.is_terminal else Console(stderr=stderr, width=_NO_LIMIT)


@contextmanager
def guarded_streams() -> Iterator[None]:
    """Replace `sys.stdout` and `sys.stderr` meanwhile, so that what cannot be written is one error at most.

    Raises:
        LostOutputError: where something is written to standard output that does not arrive. A closed one is
            an error too: results that nobody gets are not a success.
    """
    before = sys.stdout, sys.stderr
    for stream in before:
        # Print a question mark for characters that the terminal cannot show, instead of a traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    out, err = _Output(sys.stdout), _Messages(sys.stderr)
    sys.stdout, sys.stderr = out, err
    try:
        yield
        out.flush()
    except BaseException:
        with suppress(LostOutputError):
            out.flush()
        raise
    finally:
        err.flush()
        sys.stdout, sys.stderr = before


class _Stream:
    """A text stream, which says itself what becomes of errors; all else is the stream's."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(_NONE if self._stream is None else self._stream, name)

    def failed(self, problem: Exception) -> None:
        """Do what is to be done about an error."""
        raise NotImplementedError

    def write(self, text: str) -> int:
        """Write a text; return its length."""
        if text == "":
            return 0  # Typer tries a stream out with it, and takes no error seriously
        try:
            if self._stream is None:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            self._stream.write(text)
        except (OSError, ValueError) as problem:  # a ValueError: the stream was closed by the program
            self.failed(problem)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Send on what was written."""
        try:
            if self._stream is not None:
                self._stream.flush()
        except (OSError, ValueError) as problem:
            self.failed(problem)

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        try:
            return self._stream is not None and bool(self._stream.isatty())
        except ValueError:
            return False


class _Output(_Stream):
    """Standard output: what does not arrive is an error, said once."""

    def failed(self, problem: Exception) -> None:
        """Say that it cannot be written."""
        if self._stream is not None:
            _forget(self._stream)
        why = getattr(problem, "strerror", None) or problem
        raise LostOutputError(f"standard output: it cannot be written: {why}") from problem


class _Messages(_Stream):
    """Standard error: what does not arrive is lost, since there is nowhere else to say so."""

    def failed(self, problem: Exception) -> None:
        """Go on."""
        if self._stream is not None:
            _forget(self._stream)


def _forget(stream: Any) -> None:
    """Let what is still in the buffer go nowhere: Python would write it at the end, and fail again."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)


class _None:
    """What a closed stream says of itself."""

    encoding, errors, newlines, closed = "utf-8", "replace", None, False

    def fileno(self) -> int:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


_NONE = _None()
