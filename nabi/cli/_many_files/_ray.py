"""The engine `ray`: actors of a Ray cluster, each with the model, that take file after file."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from nabi.cli._many_files._processes import TRIES
from nabi.cli._predictors._predictor import Said
from nabi.errors import ArgumentError, NabiError, WorkerError

__all__ = ["check_ray", "on_ray"]


def check_ray() -> None:
    """Raise `ArgumentError` if Ray is not installed."""
    if find_spec("ray") is None:
        raise ArgumentError("--engine: expected ray to be there; install it with: pip install 'nabi[ray]'")


def on_ray(work: Callable[[Said], None], tasks: Sequence[Said], workers: int) -> Iterator[Said]:
    """Do all tasks in so many actors; yield each when it is done.

    It joins the cluster that `RAY_ADDRESS` names; without it, Ray starts one on this machine. All machines
    must see the files, under the same paths. Ray starts an actor that ends again, and its file too.

    Raises:
        NabiError: what a task has raised.
        WorkerError: if actors have ended over one file several times.
    """
    ray: Any = import_module("ray")
    joined = not ray.is_initialized()
    if joined:
        ray.init(include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    actor = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=TRIES - 1)(_Actor)
    actors = [actor.remote(work) for _ in range(workers)]
    waiting = deque(tasks)
    busy: dict[Any, tuple[Any, Said]] = {}
    try:
        idle = list(actors)
        while waiting or busy:
            while waiting and idle:
                one, task = idle.pop(), waiting.popleft()
                busy[one.predict.remote(task)] = one, task
            (done, *_), _ = ray.wait(list(busy))
            one, task = busy.pop(done)
            try:
                problem = ray.get(done)
            except ray.exceptions.RayError as ended:
                raise WorkerError(
                    f"workers: {TRIES} actors have ended over {task['file']}: {ended}"
                ) from None
            if problem is not None:
                raise problem
            idle.append(one)
            yield task
    finally:
        for one in actors:
            ray.kill(one)
        if joined:
            ray.shutdown()


class _Actor:
    def __init__(self, work: Callable[[Said], None]) -> None:
        self._work = work

    def predict(self, task: Said) -> NabiError | None:
        try:
            self._work(task)
        except NabiError as problem:
            return type(problem)(f"{task['file']}: {problem}")
        return None
