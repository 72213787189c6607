"""Workers of a process group, forked."""

import multiprocessing
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

__all__ = ["on_workers"]


def on_workers(count: int, work: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Return what a function returns in each worker; a single one is in no group."""
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        ends, processes = [], []
        for number in range(count):
            mine, its = context.Pipe()
            told = (number, count, Path(folder) / "meeting", its, work, arguments)
            processes.append(context.Process(target=_run, args=told))
            processes[-1].start()
            its.close()
            ends.append(mine)
        found = [end.recv() for end in ends]
        for process in processes:
            process.join()
    return found


def _run(number: int, count: int, meeting: Path, end: Any, work: Any, arguments: Any) -> None:
    torch.set_num_threads(1)
    if count > 1:
        torch.distributed.init_process_group(
            "gloo", init_method=meeting.as_uri(), rank=number, world_size=count
        )
    end.send(work(*arguments))
    if count > 1:
        torch.distributed.destroy_process_group()
    os._exit(0)
