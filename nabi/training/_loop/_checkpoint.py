"""Where a training stands, as JSON and tensors of a file, and back: the one format of all checkpoints."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor

from nabi._checks import as_real, short
from nabi.errors import ArgumentError, FileFormatError
from nabi.files import check_counter, check_figures, part
from nabi.training._data._random_checks import check_random_state

__all__ = ["Position", "TrainingState", "state_from_file", "state_to_file"]

# Their names in a file are older than the other numbers of a position.
_COUNTERS = {"epoch": "completed_epoch", "step": "iterations"}


@dataclass
class Position:
    """Where training stands: after so many epochs, and batches of the next one."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    """Of all batches, over all epochs."""
    total: float = 0.0
    """Of the losses of this epoch, each times what it is the mean of."""
    count: int = 0
    """Of what the losses of this epoch are means of."""
    best: float = math.inf
    """The lowest validation loss."""
    best_epoch: int = 0
    """After how many epochs it was the lowest; 0 before the first validation."""
    seconds: float = 0.0
    history: dict[str, list[float]] = field(default_factory=dict)


@dataclass
class TrainingState:
    """Everything that the next batch depends on, besides the model and the settings of the training."""

    position: Position = field(default_factory=Position)
    optimizer: dict[str, Any] | None = None
    """As its `state_dict` gives it; None for one that has no weights yet."""
    schedule: dict[str, Any] | None = None
    """As its `state_dict` gives it."""
    random: dict[str, Tensor] = field(default_factory=dict)
    """States of generators of random numbers."""
    best: dict[str, Tensor] = field(default_factory=dict)
    """The weights of the lowest validation loss."""
    averages: dict[str, Tensor] = field(default_factory=dict)
    """Moving averages of the weights, by number."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Tensors and JSON values that a training, its callbacks or its data keep beside these."""


def state_to_file(state: TrainingState) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return a JSON-able description, and tensors by name, for `state_from_file`."""
    tensors: dict[str, Tensor] = {}
    for prefix, held in (
        ("random", state.random), ("best", state.best), ("averages", state.averages), ("extra", state.extra)
    ):  # fmt: skip
        tensors |= {f"{prefix}/{name}": value for name, value in held.items() if isinstance(value, Tensor)}
    position = asdict(state.position)
    position["best"] = None if math.isinf(position["best"]) else position["best"]  # JSON knows no infinity
    described = {
        **{name: position.pop(own) for own, name in _COUNTERS.items()},
        "optimizer_state": None if state.optimizer is None else _optimizer_to_file(state.optimizer, tensors),
        "schedule_state": None if state.schedule is None else _encode(_plain_only(state.schedule)),
        "position": position,
        "extra": {name: value for name, value in state.extra.items() if not isinstance(value, Tensor)},
    }
    return described, tensors


def state_from_file(described: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> TrainingState:
    """Return what `state_to_file` described; whether it belongs to a certain training is left to the caller.

    Raises:
        FileFormatError, KeyError, TypeError, ValueError: for what no training has.
    """
    saved, schedule = described["optimizer_state"], described["schedule_state"]
    random = part(tensors, "random/")
    for name, value in random.items():
        if name != "cuda":
            check_random_state(f"random/{name}", value)
    return TrainingState(
        _position(described),
        None if saved is None else _optimizer_from_file(saved, tensors),
        None if schedule is None else dict(_decode(schedule)),
        random,
        part(tensors, "best/"),
        part(tensors, "averages/"),
        {**described.get("extra", {}), **part(tensors, "extra/")},
    )


def _position(described: Mapping[str, Any]) -> Position:
    found = {**described.get("position", {}), **{own: described[name] for own, name in _COUNTERS.items()}}
    position = Position()
    # Model files of nabi 0.1 have the counters alone.
    for name in asdict(position) if "position" in described else _COUNTERS:
        value = found[name]
        if name == "history":
            value = check_figures("training.position.history", value)
        elif name in ("total", "best", "seconds"):
            number = math.inf if name == "best" and value is None else as_real(value)
            if number is None or math.isnan(number):
                raise FileFormatError(f"training.position.{name}: expected a number, got {short(value)}")
            value = number
        else:
            value = check_counter(f"training.{_COUNTERS.get(name, f'position.{name}')}", value, 2**53)
        setattr(position, name, value)
    if position.batch > position.step or position.count < position.batch:
        raise FileFormatError(f"training.position: expected one within an epoch, got {short(found)}")
    return position


def _optimizer_to_file(state: Mapping[str, Any], tensors: dict[str, Tensor]) -> dict[str, Any]:
    numbers: dict[str, dict[str, Any]] = {}
    for weight, values in state["state"].items():
        numbers[str(weight)] = {}
        for name, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer/{weight}/{name}"] = value
            else:
                numbers[str(weight)][name] = _encode(value)
    return {"numbers": numbers, "groups": [_encode(_plain_only(group)) for group in state["param_groups"]]}


def _optimizer_from_file(saved: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    state: dict[int, dict[str, Any]] = {
        int(weight): {name: _decode(value) for name, value in values.items()}
        for weight, values in saved["numbers"].items()
    }
    for name, tensor in part(tensors, "optimizer/").items():
        weight, key = name.split("/", 1)
        state.setdefault(int(weight), {})[key] = tensor
    return {"state": state, "param_groups": [_decode(group) for group in saved["groups"]]}


def _plain_only(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values without what JSON cannot hold: functions, and objects that are made anew."""
    kept = {}
    for name, value in values.items():
        if isinstance(value, Tensor) and value.ndim == 0:
            value = value.item()
        try:
            _encode(value)
        except ArgumentError:
            continue
        kept[name] = value
    return kept


def _encode(value: Any) -> Any:
    """Return a value as JSON that keeps tuples, counters and keys that are numbers."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_encode(part) for part in value]
    if isinstance(value, tuple):
        return {"tuple": [_encode(part) for part in value]}
    if isinstance(value, dict):
        kind = "counter" if isinstance(value, Counter) else "dict"
        return {kind: [[_encode(key), _encode(part)] for key, part in value.items()]}
    raise ArgumentError(f"state: expected what a file can hold, got {type(value).__name__}")


def _decode(value: Any) -> Any:
    """Return what `_encode` was given."""
    if isinstance(value, list):
        return [_decode(part) for part in value]
    if isinstance(value, dict):
        ((kind, parts),) = value.items()
        if kind == "tuple":
            return tuple(_decode(part) for part in parts)
        pairs = {_decode(key): _decode(part) for key, part in parts}
        return Counter(pairs) if kind == "counter" else pairs
    return value
