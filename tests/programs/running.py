"""One drawn program after the other: compared, and made smaller when it fails."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import pytest

from nabi.targets.llvm._binder import _bound

from .comparing import Outcome, compare
from .drawing import Drawn
from .shrinking import shrink

__all__ = ["check", "check_apart", "chunks_of", "failure_of"]


def check(drawn: Drawn) -> Outcome:
    """Compare a program; an exception is a problem too."""
    try:
        with chunks_of(4 if drawn.seed % 3 == 2 else None):
            # Compiling takes most of the time, and each of the first two is a kernel more.
            return compare(
                drawn, inference=drawn.seed % 8 == 1, single=drawn.seed % 8 == 4, numeric=drawn.seed % 5 == 0
            )
    except Exception as problem:
        return Outcome(f"{type(problem).__name__}: {problem}")


@contextmanager
def chunks_of(rows: int | None) -> Iterator[None]:
    """Let kernels work on so many rows at a time: the few steps of a test are then several chunks."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CHUNK_ROWS", "EARLY_ROWS", "_PANEL_ROWS") if rows else ():
            patch.setattr(_bound, name, rows)
        yield


def check_apart(drawn: Drawn) -> Outcome:
    """Compare a program in a process of its own: one that crashes is a failure like others."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(there, drawn))
    process.start()
    there.close()
    try:
        return here.recv()  # type: ignore[no-any-return]
    except EOFError:
        process.join()
        return Outcome(f"the process ended with {process.exitcode}")
    finally:
        process.join()


def _send(there: Connection, drawn: Drawn) -> None:
    there.send(check(drawn))


def failure_of(drawn: Drawn) -> str:
    """Return the smallest program found that fails as this one does, and how."""
    kind = _kind(check_apart(drawn))
    small = shrink(drawn, lambda smaller: _kind(check_apart(smaller)) == kind)
    return f"{small}\n{check_apart(small).problem}"


def _kind(outcome: Outcome) -> str:
    """Return which run failed and what was wrong with it, without numbers."""
    return ":".join(outcome.problem.split(":")[:2]).partition("%")[0]
