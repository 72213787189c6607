"""Commands that `torchrun` starts in several processes, which train one model together."""

import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec

from nabi.errors import NabiError

__all__ = ["on_workers"]

_Arguments = ParamSpec("_Arguments")


def on_workers(command: Callable[_Arguments, None]) -> Callable[_Arguments, None]:
    """Let a command be one of several workers, where `torchrun` started it as one.

    The first worker shows progress; the others write nothing to standard output. A worker that cannot begin
    tells the others why, so that all of them end with a message.
    """

    @functools.wraps(command)
    def run(*arguments: _Arguments.args, **said: _Arguments.kwargs) -> None:
        if os.environ.get("WORLD_SIZE", "1") == "1" or "RANK" not in os.environ:
            command(*arguments, **said)
            return
        with _in_group():
            command(*arguments, **said)

    return run


@contextmanager
def _in_group() -> Iterator[None]:
    import torch

    from nabi.training import find_workers, have_compared, join_workers, report_failure

    join_workers()
    workers = find_workers()
    assert workers is not None
    try:
        if workers.is_first:
            yield
        else:
            with open(os.devnull, "w") as nothing:
                shown, sys.stdout = sys.stdout, nothing
                try:
                    yield
                finally:
                    sys.stdout = shown
    except NabiError as problem:
        if not have_compared():
            report_failure(workers, problem)
        # The same kind of error, so that whoever catches it still does.
        problem.args = (f"worker {workers.number} of {workers.count}: {problem}", *problem.args[1:])
        raise
    finally:
        torch.distributed.destroy_process_group()
