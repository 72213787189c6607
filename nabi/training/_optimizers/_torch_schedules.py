"""Learning rate schedules of `torch.optim.lr_scheduler`."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.optim import lr_scheduler

from nabi.errors import ArgumentError, unknown_name

__all__ = ["Schedule", "get", "make", "serialize"]

Schedule = Callable[[torch.optim.Optimizer], Any]
_BASES = (lr_scheduler.LRScheduler, lr_scheduler.ReduceLROnPlateau)


def get(schedule: object, custom_objects: Mapping[str, Any] | None = None) -> Schedule | None:
    """Return a function that makes the schedule for a torch optimizer, given by a user or a file.

    Raises:
        ArgumentError: for a schedule object, or for anything that can't be called.
    """
    if schedule is None:
        return None
    if isinstance(schedule, Mapping):
        return _from_config(schedule, custom_objects or {})
    if isinstance(schedule, _BASES) or not callable(schedule):
        raise ArgumentError(
            "schedule: expected a function of the torch optimizer, such as "
            f"functools.partial(torch.optim.lr_scheduler.StepLR, step_size=10), got {schedule!r}"
        )
    return schedule


def make(schedule: Schedule, optimizer: torch.optim.Optimizer) -> Any:
    """Return the schedule of an optimizer.

    Raises:
        ArgumentError: if the function returns anything else.
    """
    made = schedule(optimizer)
    if not isinstance(made, _BASES):
        raise ArgumentError(f"schedule: expected a schedule of torch.optim.lr_scheduler, got {made!r}")
    return made


def serialize(schedule: Schedule | None) -> dict[str, Any] | None:
    """Describe a schedule for a file; a user's function is stored only by name."""
    if schedule is None:
        return None
    function, options = schedule, {}
    if isinstance(schedule, functools.partial) and not schedule.args:
        function, options = schedule.func, schedule.keywords
    name = getattr(function, "__name__", type(function).__name__)
    plain = all(
        isinstance(value, bool | int | float | str | list | tuple | None) for value in options.values()
    )
    if getattr(lr_scheduler, name, None) is function and plain:
        return {"class_name": name, "config": dict(options)}
    return {"class_name": f"custom:{name}", "config": {}}


def _from_config(saved: Mapping[str, Any], custom: Mapping[str, Any]) -> Schedule:
    name, config = str(saved.get("class_name")), dict(saved.get("config") or {})
    if name.startswith("custom:"):
        wanted = name.removeprefix("custom:")
        if wanted not in custom:
            raise ArgumentError(
                f"custom_objects: the model was compiled with the schedule {wanted!r}, which is not torch's; "
                f"pass custom_objects={{{wanted!r}: ...}} or compile=False"
            )
        found: Schedule = custom[wanted]
        return found
    kind = getattr(lr_scheduler, name, None)
    # Only schedules: a file must not be able to refer to any other part of torch.
    if not (isinstance(kind, type) and issubclass(kind, _BASES)):
        raise unknown_name("schedule", name, [])
    return functools.partial(kind, **config)
