"""`nabi predict` on many files."""

import os
import sys
from collections.abc import Callable

from nabi.cli._many_files._plan import Engine, Plan
from nabi.cli._predictors._predictor import Said

__all__ = ["predict_files"]


def predict_files(said: Said, work: Callable[[Said], None]) -> None:
    """Write a result for each file; `work` writes that of one, in another process.

    Args:
        said: the command line.
        work: a function of a module, which takes the command line of one file.
    """
    from nabi.cli._many_files._processes import on_processes
    from nabi.cli._many_files._ray import check_ray, on_ray

    engine = said["engine"] or Engine.PROCESSES
    if engine == Engine.RAY:
        check_ray()
    plan = Plan.of(said)
    workers = min(said["workers"] or _processors(), max(1, len(plan.tasks)))
    plan.begin()
    run = on_ray if engine == Engine.RAY else on_processes
    tasks = [{**task, "threads": task["threads"] or 1} for task in plan.tasks]
    total = len(tasks) + plan.kept
    if plan.kept:
        print(f"{plan.kept} of {total} files have a result already", file=sys.stderr)
    for done, task in enumerate(run(work, tasks, workers) if tasks else (), 1 + plan.kept):
        print(f"{done}/{total} {task['out']}", file=sys.stderr)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
