"""Where training stands, as JSON and tensors for a file, and back."""

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import Parameter

from nabi.errors import ArgumentError, FileFormatError
from nabi.interchange import check_counter, part
from nabi.training._compiled import Compiled
from nabi.training._data._seeds import current_random_state
from nabi.training._loop._checkpoint_checks import check_optimizer_state, check_schedule_state
from nabi.training._loop._random_checks import check_random_state
from nabi.training._losses import _classes as _losses
from nabi.training._losses._classes import Loss
from nabi.training._metrics import _classes as _metric_classes, _names as _metrics
from nabi.training._metrics._classes import CLASSES
from nabi.training._multi_output import Losses
from nabi.training._optimizers import _names as _optimizer_names, _torch_schedules as _schedules

__all__ = ["training_from_file", "training_to_file"]


def training_to_file(compiled: Compiled, device: torch.device) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Everything that training depends on besides the model: a JSON-able description, and tensors by name."""
    tensors: dict[str, Tensor] = {}
    optimizer = compiled.optimizer
    state = optimizer.torch_optimizer.state_dict() if optimizer.bound else compiled.saved_optimizer
    schedule = compiled.scheduler.state_dict() if compiled.scheduler is not None else compiled.saved_schedule
    description: dict[str, Any] = {
        "optimizer": _optimizer_names.serialize(optimizer),
        "iterations": optimizer.iterations,
        "optimizer_state": None if state is None else _optimizer_to_file(state, tensors),
        **_aims_to_file(compiled),
        "schedule": _schedules.serialize(compiled.schedule),
        "schedule_every": compiled.schedule_every,
        "schedule_state": None if schedule is None else _encode(_plain_only(schedule)),
    }
    random = compiled.saved_random or current_random_state(device)
    tensors |= {f"random/{name}": value for name, value in random.items()}
    if compiled.generator is not None:
        tensors["random/shuffle"] = compiled.generator.get_state()
    return description, tensors


def training_from_file(
    description: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    custom_objects: Mapping[str, Any] | None = None,
    into: Compiled | None = None,
    *,
    weights: Sequence[Parameter],
) -> Compiled:
    """What `training_to_file` described, as a new `Compiled` or with the state put `into` one that exists.

    All of it is checked before anything is put there.

    Args:
        description: of the header.
        tensors: of the file.
        custom_objects: classes and functions of the user's own by name.
        into: what takes the state, None for a new one.
        weights: what is trained, in order.

    Raises:
        ArgumentError: if the model was compiled with something that `custom_objects` does not name.
        FileFormatError: if the state is not one of this optimizer, these weights and this schedule.
    """
    compiled = into
    if compiled is None:
        compiled = Compiled(
            description["optimizer"],
            description["loss"],
            _metrics_from_file(description["metrics"], custom_objects or {}),
            weighted_metrics=_metrics_from_file(
                description.get("weighted_metrics") or [], custom_objects or {}
            ),
            loss_weights=description.get("loss_weights"),
            outputs=description.get("outputs", ()),
            schedule=description["schedule"],
            schedule_every=description["schedule_every"],
            custom_objects=custom_objects,
        )
    iterations = check_counter("training.iterations", description["iterations"])
    state = None
    if description["optimizer_state"] is not None:
        state = _optimizer_from_file(description["optimizer_state"], tensors)
    schedule = None
    if description["schedule_state"] is not None:
        schedule = dict(_decode(description["schedule_state"]))
    random = part(tensors, "random/")
    for name, value in random.items():
        if name != "cuda":
            check_random_state(f"random/{name}", value)
    _check_state(compiled, state, schedule, weights)

    compiled.optimizer.iterations = iterations
    compiled.saved_optimizer = state or compiled.saved_optimizer
    compiled.saved_schedule = schedule or compiled.saved_schedule
    shuffle = random.pop("shuffle", None)
    if shuffle is not None:
        # A fit that is under way holds this very generator.
        compiled.generator = compiled.generator or torch.Generator()
        compiled.generator.set_state(shuffle)
    if "cpu" in random:
        compiled.keep_random_state(random)
    return compiled


def _check_state(
    compiled: Compiled,
    state: Mapping[str, Any] | None,
    schedule: Mapping[str, Any] | None,
    weights: Sequence[Parameter],
) -> None:
    if state is None and schedule is None:
        return
    if not weights:
        raise FileFormatError("optimizer: expected no state without weights, got one")
    scheduler = compiled.scheduler
    if compiled.optimizer.bound:
        made = compiled.optimizer.torch_optimizer
    else:
        # One like it, which is dropped again; where the user gave an optimizer that is there, a copy of it.
        made = compiled.optimizer.make(list(weights))
        if made is getattr(compiled.optimizer, "source", None):
            made = copy.deepcopy(made)
    if state is not None:
        check_optimizer_state(state, made, averages=compiled.optimizer.use_ema)
    if schedule is not None:
        if compiled.schedule is None:
            raise FileFormatError("schedule: expected no state, got one")
        scheduler = scheduler or _schedules.make(compiled.schedule, made)
        check_schedule_state(schedule, scheduler)


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
    for name, tensor in tensors.items():
        if name.startswith("optimizer/"):
            _, weight, key = name.split("/", 2)
            state.setdefault(int(weight), {})[key] = tensor
    return {"state": state, "param_groups": [_decode(group) for group in saved["groups"]]}


def _aims_to_file(compiled: Compiled) -> dict[str, Any]:
    """Loss and metrics, by the names of the outputs where there are several losses to weigh."""
    loss = compiled.loss
    plain, weighted = compiled.split_metrics([_metric_to_file(metric) for metric in compiled.metrics_asked])
    if not isinstance(loss, Losses) or not compiled.outputs:
        described: dict[str, Any] = {
            "metrics": [metric for _, metric in plain],
            "weighted_metrics": [metric for _, metric in weighted],
        }
        if isinstance(loss, Losses):
            return {
                "loss": _losses.serialize(cast(Loss, loss.losses[0])),
                "loss_weights": loss.weights[0],
                **described,
            }
        return {"loss": _losses.serialize(loss), **described}
    single = {
        name: None if one is None else _losses.serialize(one)
        for name, one in zip(loss.names, loss.losses, strict=True)
    }
    return {
        "outputs": list(loss.names),
        "loss": single,
        "loss_weights": dict(zip(loss.names, loss.weights, strict=True)),
        "metrics": compiled.by_output(plain),
        "weighted_metrics": compiled.by_output(weighted),
    }


def _metrics_from_file(saved: Any, custom: Mapping[str, Any]) -> Any:
    if isinstance(saved, Mapping) and "class_name" not in saved:
        return {name: _metrics_from_file(own, custom) for name, own in saved.items()}
    return [_metric_from_file(metric, custom) for metric in saved]


def _metric_to_file(metric: Any) -> str | dict[str, Any]:
    known = _metrics.FUNCTIONS.get(_metrics.name_of(metric))
    if isinstance(metric, str) or metric is known:
        return _metrics.name_of(metric)
    kind: Any = type(metric)
    if CLASSES.get(kind.__name__) is kind:
        return _metric_classes.serialize(metric)
    return f"custom:{_metrics.name_of(metric)}"


def _metric_from_file(name: Any, custom: Mapping[str, Any]) -> Any:
    if isinstance(name, Mapping):
        return _metric_classes.deserialize(name)
    if not str(name).startswith("custom:"):
        return name
    wanted = str(name).removeprefix("custom:")
    if wanted not in custom:
        raise ArgumentError(
            f"custom_objects: the model was compiled with the metric {wanted!r}, which a file cannot hold: "
            f"pass custom_objects={{{wanted!r}: ...}}, or compile=False"
        )
    return custom[wanted]


def _plain_only(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what JSON cannot hold: functions, and objects that the schedule or optimizer makes anew."""
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
    """JSON that keeps tuples, counters and keys that are numbers."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_encode(part) for part in value]
    if isinstance(value, tuple):
        return {"tuple": [_encode(part) for part in value]}
    if isinstance(value, dict):
        kind = "counter" if isinstance(value, Counter) else "dict"
        return {kind: [[_encode(key), _encode(part)] for key, part in value.items()]}
    raise ArgumentError(f"state: {type(value).__name__} cannot be written")


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(part) for part in value]
    if isinstance(value, dict):
        ((kind, parts),) = value.items()
        if kind == "tuple":
            return tuple(_decode(part) for part in parts)
        pairs = {_decode(key): _decode(part) for key, part in parts}
        return Counter(pairs) if kind == "counter" else pairs
    return value
