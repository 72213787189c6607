"""How a model was compiled and where its training stands, as JSON and tensors for a file, and back."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import Parameter

from nabi.errors import ArgumentError, FileFormatError
from nabi.training._compiled import Compiled
from nabi.training._data._seeds import current_random_state
from nabi.training._loop._checkpoint import Position, TrainingState, state_from_file, state_to_file
from nabi.training._loop._checkpoint_checks import check_optimizer_state, check_schedule_state
from nabi.training._losses import _classes as _losses
from nabi.training._losses._classes import Loss
from nabi.training._metrics import _names as _metrics
from nabi.training._multi_output import Losses
from nabi.training._optimizers import _names as _optimizer_names, _torch_schedules as _schedules

__all__ = ["training_from_file", "training_to_file"]


def training_to_file(
    compiled: Compiled, device: torch.device, completed_epoch: int
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Everything that training depends on besides the model: a JSON-able description, and tensors by name."""
    optimizer = compiled.optimizer
    state = TrainingState(
        Position(completed_epoch, step=optimizer.iterations),
        optimizer.torch_optimizer.state_dict() if optimizer.bound else compiled.saved_optimizer,
        compiled.scheduler.state_dict() if compiled.scheduler is not None else compiled.saved_schedule,
        dict(compiled.saved_random or current_random_state(device)),
        extra={
            f"{owner}/{name}": value
            for owner, one in compiled.kept_beside.items()
            for name, value in one.get_extra().items()
        },
    )
    if compiled.generator is not None:
        state.random["shuffle"] = compiled.generator.get_state()
    described, tensors = state_to_file(state)
    return {
        "optimizer": _optimizer_names.serialize(optimizer),
        **_aims_to_file(compiled),
        "schedule": _schedules.serialize(compiled.schedule),
        "schedule_every": compiled.schedule_every,
        **described,
    }, tensors


def training_from_file(
    description: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    custom_objects: Mapping[str, Any] | None = None,
    into: Compiled | None = None,
    *,
    weights: Sequence[Parameter],
) -> tuple[Compiled, TrainingState]:
    """What `training_to_file` described, as a new `Compiled` or with the state put `into` one that exists.

    All of it is checked before anything is put there. The position and what callbacks and data have kept are
    for the caller to take.

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
    state = state_from_file(description, tensors)
    _check(state, compiled, weights)

    compiled.optimizer.iterations = state.position.step
    compiled.saved_optimizer = state.optimizer or compiled.saved_optimizer
    compiled.saved_schedule = state.schedule or compiled.saved_schedule
    random = dict(state.random)
    shuffle = random.pop("shuffle", None)
    if shuffle is not None:
        # A fit that is under way holds this very generator.
        compiled.generator = compiled.generator or torch.Generator()
        compiled.generator.set_state(shuffle)
    if "cpu" in random:
        compiled.keep_random_state(random)
    return compiled, state


def _check(state: TrainingState, compiled: Compiled, weights: Sequence[Parameter]) -> None:
    if state.optimizer is None and state.schedule is None:
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
    if state.optimizer is not None:
        check_optimizer_state(state.optimizer, made, averages=compiled.optimizer.use_ema)
    if state.schedule is not None:
        if compiled.schedule is None:
            raise FileFormatError("schedule: expected no state, got one")
        check_schedule_state(state.schedule, scheduler or _schedules.make(compiled.schedule, made))


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
    from nabi.training._metrics import _classes  # metrics that are given by their names need none of it

    kind: Any = type(metric)
    if _classes.CLASSES.get(kind.__name__) is kind:
        return _classes.serialize(metric)
    return f"custom:{_metrics.name_of(metric)}"


def _metric_from_file(name: Any, custom: Mapping[str, Any]) -> Any:
    if isinstance(name, Mapping):
        from nabi.training._metrics import _classes

        return _classes.deserialize(name)
    if not str(name).startswith("custom:"):
        return name
    wanted = str(name).removeprefix("custom:")
    if wanted not in custom:
        raise ArgumentError(
            f"custom_objects: the model was compiled with the metric {wanted!r}, which a file cannot hold: "
            f"pass custom_objects={{{wanted!r}: ...}}, or compile=False"
        )
    return custom[wanted]
