"""The engine `processes`: processes of this machine, each with the model, that take file after file."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from nabi.cli._predictors._predictor import Said
from nabi.errors import NabiError, WorkerError

__all__ = ["TRIES", "on_processes"]

TRIES = 3
"""How often a file is begun before it is given up, as its process ends each time."""


def on_processes(work: Callable[[Said], None], tasks: Sequence[Said], workers: int) -> Iterator[Said]:
    """Do all tasks in so many processes; yield each when it is done.

    A process that ends, by a signal or for want of memory, is replaced, and its file begun again.

    Raises:
        NabiError: what a task has raised; the other processes are ended.
        WorkerError: if processes have ended over one file several times.
    """
    context = multiprocessing.get_context("spawn")
    waiting = deque((task, 1) for task in tasks)
    busy: dict[Connection, tuple[Any, Said, int]] = {}
    idle: list[tuple[Connection, Any]] = []
    try:
        while waiting or busy:
            while waiting and len(busy) < workers:
                end, process = idle.pop() if idle else _started(context, work)
                task, tries = waiting.popleft()
                busy[end] = process, task, tries
                with suppress(OSError):  # it has ended, as is found out below
                    end.send(task)
            for one in wait(list(busy)):
                assert isinstance(one, Connection)
                process, task, tries = busy.pop(one)
                try:
                    problem = one.recv()
                except (EOFError, OSError):
                    process.join()
                    one.close()
                    if tries == TRIES:
                        raise WorkerError(
                            f"workers: {TRIES} processes have ended over {task['file']}, the last with "
                            f"status {process.exitcode}; with too little memory, pass fewer --workers"
                        ) from None
                    waiting.append((task, tries + 1))
                    continue
                if problem is not None:
                    raise problem
                idle.append((one, process))
                yield task
    finally:
        for end, process in [*idle, *((end, process) for end, (process, *_) in busy.items())]:
            end.close()
            process.terminate()
            process.join()


def _started(context: Any, work: Callable[[Said], None]) -> tuple[Connection, Any]:
    mine, its = context.Pipe()
    # A daemon is ended with this process.
    process = context.Process(target=_serve, args=(its, work), daemon=True)
    process.start()
    its.close()
    return mine, process


def _serve(end: Connection, work: Callable[[Said], None]) -> None:
    while True:
        try:
            task = end.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            work(task)
            problem: Exception | None = None
        except NabiError as found:
            problem = type(found)(f"{task['file']}: {found}")
        except KeyboardInterrupt:
            return
        end.send(problem)
