"""Workers for tests: processes of one group, made by forking, so that they cost no imports."""

import multiprocessing
import os
import socket
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


def on_workers(count: int, work: Callable[..., Any], *arguments: Any, meet: bool = True) -> list[Any]:
    """Return what a function returns in each of several workers, or the error that it raises.

    Without `meet` they have not joined a group yet, and have the environment that torchrun gives.
    """
    port = free_port()
    context = multiprocessing.get_context("fork")
    ends, processes = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            mine, its = context.Pipe()
            told = (number, count, Path(folder) / "meeting" if meet else port, its, work, arguments)
            process = context.Process(target=_run, args=told)
            process.start()
            its.close()
            ends.append(mine)
            processes.append(process)
        found = [_received(end) for end in ends]
        for process in processes:
            process.join()
    return found


def _received(end: Any) -> Any:
    try:
        return end.recv()
    except EOFError:
        return None  # it was killed
    finally:
        end.close()


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _run(number: int, count: int, meeting: Path | int, end: Any, work: Any, arguments: Any) -> None:
    try:
        if isinstance(meeting, Path):
            torch.distributed.init_process_group(
                "gloo", init_method=meeting.as_uri(), rank=number, world_size=count
            )
            result = work(*arguments)
            torch.distributed.destroy_process_group()
        else:
            os.environ |= {
                "RANK": str(number),
                "WORLD_SIZE": str(count),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(meeting),
            }
            result = work(*arguments)
    except BaseException as problem:
        traceback.print_exc()
        result = problem
    end.send(result)
    end.close()
    os._exit(0)  # nothing of pytest's is to be run twice
