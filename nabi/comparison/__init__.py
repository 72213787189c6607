"""Several cells, trained alike on a task: how good, how large and how fast each is.

>>> sorted(TASKS)
['adding', 'characters', 'copy', 'parity', 'pixels', 'recall']
"""

from typing import TYPE_CHECKING

from nabi._lazy import loaded_when_asked

# `name as name`: for the command line. Users have what `__all__` lists.
if TYPE_CHECKING:
    from nabi.comparison._comparison import compare
    from nabi.comparison._contender import as_contenders as as_contenders
    from nabi.comparison._results import FILES as FILES, Comparison
    from nabi.comparison._runs import Row, Run
    from nabi.comparison._task import Measure, Task
    from nabi.comparison._tasks import TASKS, find_task, is_file as is_file
    from nabi.comparison._training import Look
else:
    # The names of the tasks need no torch.
    __getattr__, __dir__ = loaded_when_asked(
        __name__,
        {
            "nabi.comparison._comparison": ["compare"],
            "nabi.comparison._contender": ["as_contenders"],
            "nabi.comparison._results": ["FILES", "Comparison"],
            "nabi.comparison._runs": ["Row", "Run"],
            "nabi.comparison._task": ["Measure", "Task"],
            "nabi.comparison._tasks": ["TASKS", "find_task", "is_file"],
            "nabi.comparison._training": ["Look"],
        },
    )

__all__ = ["TASKS", "Comparison", "Look", "Measure", "Row", "Run", "Task", "compare", "find_task"]
