"""What a file says of an optimizer and its schedule is compared with what they themselves would keep.

Native steps are given the addresses of these tensors, so nothing of another shape may get there. What belongs
into the state is asked of the optimizer: it makes a step on weights of the same shapes that have no memory.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from nabi.errors import FileFormatError
from nabi.files import check_counter, check_tensors

__all__ = ["check_optimizer_state", "check_schedule_state"]

# How it computes, not what it keeps; some of it cannot be had without memory.
_WAYS = ("fused", "foreach", "capturable", "differentiable")
# Options that are shares of what was there before.
_SHARES = ("betas", "alpha", "rho", "momentum")
# What schedules keep in a group beside the optimizer's own numbers.
_OF_SCHEDULES = {"initial_lr", "max_lr", "min_lr", "base_momentum", "max_momentum", "swa_lr"}


def check_optimizer_state(
    state: Mapping[str, Any], optimizer: torch.optim.Optimizer, *, averages: bool = False
) -> None:
    """Refuse a state that the optimizer cannot go on from.

    Args:
        state: as `state_dict` of the optimizer would give it.
        optimizer: with its weights.
        averages: whether a moving average of each weight is kept beside what the optimizer keeps.

    Raises:
        FileFormatError: for groups, numbers or tensors that are not those of this optimizer and its weights.
    """
    own, groups = optimizer.state_dict()["param_groups"], state["param_groups"]
    if len(groups) != len(own):
        raise _unexpected("optimizer", f"{len(own)} groups of weights", f"{len(groups)}")
    known = {number for group in own for number in group["params"]}
    foreign = sorted(state["state"].keys() - known)
    if foreign:
        raise _unexpected(f"optimizer/{foreign[0]}", "no state of a weight of this number", "one")
    # An optimizer that reads the states of torch's too leaves alone what it does not know of a group.
    converts = hasattr(optimizer, "convert")
    for group, there, live in zip(own, groups, optimizer.param_groups, strict=True):
        there = _check_group(there, group, converts)
        describe = _describer(optimizer, there, averages)
        for number, weight in zip(group["params"], live["params"], strict=True):
            values = state["state"].get(number)
            if values and converts:
                values = _converted(optimizer, values, there)
            if values:
                _check_values(f"optimizer/{number}/", values, weight, describe)
            elif state["state"]:
                state["state"][number] = _untrained(weight, describe(weight))


def _check_group(there: Any, own: Mapping[str, Any], converts: bool) -> dict[str, Any]:
    """Return a group of a file, as the optimizer will have it."""
    if isinstance(there, dict) and converts:
        there = {**own, "params": None, **{name: one for name, one in there.items() if name in own}}
    if not isinstance(there, dict) or own.keys() - there.keys():
        raise _unexpected("optimizer", f"a group with {', '.join(own)}", repr(there))
    for name, value in there.items():
        if name == "params":
            if value != own["params"] or any(isinstance(one, bool) for one in value):
                raise _unexpected("optimizer.params", repr(own["params"]), repr(value))
            continue
        if name not in own and name not in _OF_SCHEDULES:
            raise _unexpected(f"optimizer.{name}", "no such number", repr(value))
        _check_alike(f"optimizer.{name}", value, own.get(name, 0.0))
        least = 0.0 if name in _SHARES or name in ("lr", "eps", "weight_decay") else -math.inf
        most = 1.0 if name in _SHARES else math.inf
        for one in value if isinstance(value, list | tuple) else [value]:
            if isinstance(one, int | float) and not (least <= one <= most and math.isfinite(one)):
                limit = "a number from 0 to 1" if most == 1 else "a finite number, not below 0"
                raise _unexpected(f"optimizer.{name}", limit, repr(value))
    return dict(there)


def _converted(optimizer: Any, values: Mapping[str, Any], group: dict[str, Any]) -> dict[str, Any]:
    """What becomes of the state of torch's optimizer of the same name."""
    kept = dict(values)
    optimizer.convert(kept, group)
    if "momentum_buffer" in values and "step" not in kept:
        kept["step"] = torch.zeros(())  # torch's SGD counts no steps
    return kept


def _describer(
    optimizer: torch.optim.Optimizer, group: Mapping[str, Any], averages: bool
) -> Callable[[Tensor], dict[str, Any] | None]:
    """A function that says what the optimizer keeps of a weight, None where it cannot be asked."""
    known: dict[tuple[torch.Size, torch.dtype], dict[str, Any] | None] = {}

    def describe(weight: Tensor) -> dict[str, Any] | None:
        key = weight.shape, weight.dtype
        if key not in known:
            found = _kept(optimizer, group, weight)
            known[key] = {**found, "average": weight} if found is not None and averages else found
        return known[key]

    return describe


def _kept(
    optimizer: torch.optim.Optimizer, group: Mapping[str, Any], weight: Tensor
) -> dict[str, Any] | None:
    made: Any = type(optimizer)
    arguments = inspect.signature(made).parameters
    takes_all = any(one.kind is one.VAR_KEYWORD for one in arguments.values())
    options = {
        name: group[name]
        for name in optimizer.defaults
        if name in group and (takes_all or name in arguments) and name not in _WAYS
    }
    # Without memory; some need numbers.
    for device in ("meta", "cpu"):
        try:
            probe = torch.nn.Parameter(torch.zeros_like(weight, device=device))
            asked: torch.optim.Optimizer = made([probe], **options)
            probe.grad = torch.zeros_like(probe)
            asked.step()
        except (AttributeError, NotImplementedError, RuntimeError, TypeError):
            continue
        return dict(asked.state[probe])
    return None  # of the user's own, made in another way


def _untrained(weight: Tensor, kept: Mapping[str, Any] | None) -> dict[str, Any]:
    """What stands for no state beside weights that have one: a momentum of zero.

    torch's SGD fails if only some of its weights have a momentum. Optimizers that count steps begin by
    themselves.
    """
    if not kept or "step" in kept or any(one is None or one.shape != weight.shape for one in kept.values()):
        return {}
    return {name: torch.zeros_like(weight) for name in kept}


def _check_values(
    prefix: str,
    values: Mapping[str, Any],
    weight: Tensor,
    describe: Callable[[Tensor], dict[str, Any] | None],
) -> None:
    expected = describe(weight)
    tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
    if expected is None:
        # All that can be known is that steps work number by number.
        own = {
            name: torch.empty(() if value.dim() == 0 else weight.shape, dtype=value.dtype, device="meta")
            for name, value in tensors.items()
        }
        check_tensors(tensors, own, prefix)
    else:
        # What an optimizer may keep, such as a momentum, is None until it does.
        asked = {name: value for name, value in expected.items() if isinstance(value, Tensor)}
        check_tensors(tensors, asked, prefix)
        for name, value in values.items():
            if name not in asked:
                _check_alike(prefix + name, value, expected.get(name))
    if "step" in values:
        check_counter(f"{prefix}step", values["step"])


def check_schedule_state(state: Mapping[str, Any], schedule: Any) -> None:
    """Refuse a state that a schedule cannot go on from: its `load_state_dict` takes any attributes.

    Args:
        state: what the file has.
        schedule: of `torch.optim.lr_scheduler`, as it begins.

    Raises:
        FileFormatError: for names that the schedule does not have, and values of another type.
    """
    own = schedule.state_dict()
    for name, value in state.items():
        if name not in own:
            raise _unexpected(f"schedule.{name}", "no such value", repr(value))
        _check_alike(f"schedule.{name}", value, own[name])
    for name in ("last_epoch", "_step_count"):
        if name in state:
            check_counter(f"schedule.{name}", state[name])


def _check_alike(name: str, value: Any, own: Any) -> None:
    """Refuse a value that is of another type, or of another length, than the one that is there."""
    if own is None or value is None:
        fits = (own is None and isinstance(value, str | bool | None)) or _is_number(value)
    elif isinstance(own, bool | str):
        fits = type(value) is type(own)
    elif isinstance(own, int | float):
        fits = _is_number(value)
    elif isinstance(own, Tensor):
        fits = _is_number(value)  # a learning rate in a tensor; files keep the number
    elif isinstance(own, list | tuple):
        fits = isinstance(value, list | tuple) and len(value) == len(own)
        for number in range(len(own) if fits else 0):
            _check_alike(f"{name}[{number}]", value[number], own[number])
    elif isinstance(own, Mapping):
        fits = isinstance(value, Mapping) and value.keys() == own.keys()
        for key in own if fits else ():
            _check_alike(f"{name}[{key!r}]", value[key], own[key])
    else:
        fits = type(value) is type(own)
    if not fits:
        raise _unexpected(name, f"a value like {own!r}", repr(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def _unexpected(name: str, expected: str, got: str) -> FileFormatError:
    return FileFormatError(f"{name}: expected {expected}, got {got[:80]}")
