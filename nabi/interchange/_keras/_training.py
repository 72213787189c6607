"""How a model was compiled in Keras, and the state of its optimizer, so that training goes on; and back."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import Parameter

from nabi import losses, metrics, optimizers, training
from nabi._shown import short
from nabi.interchange._hdf5 import Group
from nabi.interchange._keras._origin import Origin

__all__ = ["Array", "as_tensor", "described_training", "optimizer_state", "read_training"]

Array = np.ndarray[Any, Any]

# The first Keras whose optimizers keep their variables as those of Keras 3 do.
_SAME_STATE_SINCE = (2, 11)
# What Keras' optimizers have and nabi's do not, and what nothing follows from.
_UNUSED_OPTIONS = ("jit_compile", "is_legacy_optimizer", "loss_scale_factor", "gradient_accumulation_steps")
_RENAMED_OPTIONS = {"lr": "learning_rate"}


# Reading --------------------------------------------------------------------------------------------------


def read_training(
    model: Any, compiled: Any, state: Group | None, order: Sequence[Parameter], origin: Origin
) -> None:
    """Compile a model as it was in Keras, with the state of its optimizer where that is kept.

    Args:
        model: with its weights.
        compiled: `compile_config` of Keras 3, `training_config` before.
        state: the group of the optimizer's variables.
        order: the trained weights in Keras' order.
        origin: of the file.

    Raises:
        FileFormatError: for a loss, metric or optimizer that is neither nabi's nor among `custom_objects`, or
            for a state that is not of these weights.
    """
    if not isinstance(compiled, Mapping):
        raise origin.refusal(f"compile_config: expected an object, got {short(compiled)}")
    said = compiled.get("optimizer", compiled.get("optimizer_config", "rmsprop"))
    if said is None or compiled.get("loss") is None:
        return  # a model with a training step of its own
    try:
        model.compile(
            optimizer=_optimizer(said, origin),
            loss=_each(compiled["loss"], _loss, origin),
            metrics=_metrics(compiled.get("metrics"), origin),
            weighted_metrics=_metrics(compiled.get("weighted_metrics"), origin),
            loss_weights=compiled.get("loss_weights") or None,
        )
    except ValueError as problem:
        raise origin.refusal(
            f"it was compiled with what nabi lacks: {problem}; pass what is your own in custom_objects, or "
            "compile=False"
        ) from problem
    # Keras 1 kept a state for the matrix of each gate.
    if state is not None and order and origin.major > 1:
        with origin.naming("optimizer"):
            _read_state(model.optimizer, state, order, model.trainable_weights, origin)


def _optimizer(said: Any, origin: Origin) -> Any:
    if isinstance(said, str):
        return origin.custom_objects.get(said, said)
    name, config = _named(said)
    if name not in origin.custom_objects:
        name = name.removeprefix("Custom>")  # the Keras 2 of tf_keras writes its own like a user's
    kept = {_RENAMED_OPTIONS.get(key, key): one for key, one in config.items() if key not in _UNUSED_OPTIONS}
    if isinstance(kept.get("learning_rate"), Mapping):
        schedule, arguments = _named(kept["learning_rate"])
        kept["learning_rate"] = {"class_name": schedule, "config": arguments}
    if kept.get("decay") == 0.0:
        del kept["decay"]
    if kept.get("epsilon", 0) is None:  # Keras 2: that of the backend
        kept["epsilon"] = 1e-7
    if origin.major == 1 and name in ("Adam", "Nadam", "Adamax", "RMSprop"):
        kept.pop("name", None)
    if not kept.get("use_ema", True):
        for key in ("ema_momentum", "ema_overwrite_frequency"):
            kept.pop(key, None)
    return optimizers.deserialize({"class_name": name, "config": kept}, dict(origin.custom_objects))


def _named(value: Any) -> tuple[str, dict[str, Any]]:
    if not isinstance(value, Mapping) or not isinstance(value.get("class_name"), str):
        raise ValueError(f"expected a name, or class_name and config, got {short(value)}")
    config = value.get("config")
    return value["class_name"], dict(config) if isinstance(config, Mapping) else {}


def _each(value: Any, make: Any, origin: Origin) -> Any:
    """Make the losses of several outputs, as a list or by name, or that of one."""
    if isinstance(value, list):
        return [_each(one, make, origin) for one in value]
    if isinstance(value, Mapping) and "class_name" not in value:
        return {name: _each(one, make, origin) for name, one in value.items()}
    return make(value, origin)


def _function(value: Any) -> Any:
    """Return the name of a function that Keras described."""
    if isinstance(value, Mapping) and value.get("class_name") == "function":
        return value.get("config")
    return value


def _loss(value: Any, origin: Origin) -> Any:
    value = _function(value)
    if value is None or isinstance(value, str):
        return None if value is None else origin.custom_objects.get(value, value)
    name, config = _named(value)
    if name in origin.custom_objects:
        return losses.get(name, origin.custom_objects)
    kept = {key: one for key, one in config.items() if key not in ("dtype", "fn") and one != "auto"}
    if kept.get("reduction") == "sum_over_batch_size":
        del kept["reduction"]
    return losses.deserialize({"class_name": name, "config": kept})


def _metrics(value: Any, origin: Origin) -> Any:
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        return _metrics(value[0], origin)  # Keras 2 wrote a list for the only output
    if isinstance(value, list):
        return [_metrics(one, origin) for one in value]
    if isinstance(value, Mapping) and "class_name" not in value:
        return {name: _metrics(one, origin) for name, one in value.items()}
    value = _function(value)
    if value is None or isinstance(value, str):
        return None if value is None else origin.custom_objects.get(value, value)
    name, config = _named(value)
    if name == "MeanMetricWrapper" and isinstance(_function(config.get("fn")), str):
        return _metrics(_function(config["fn"]), origin)
    if name in origin.custom_objects:
        return origin.custom_objects[name]
    kept = {key: one for key, one in config.items() if key not in ("dtype", "fn")}
    return metrics.deserialize({"class_name": name, "config": kept})


# State ----------------------------------------------------------------------------------------------------


def _slots(optimizer: Any) -> list[tuple[str, ...]] | None:
    """Return nabi's names of the variables of each weight, in the blocks in which Keras keeps them.

    A block goes through all weights; two names in one block alternate. None for optimizers whose state is not
    read or written.
    """
    settings = optimizer.settings
    if optimizer.use_ema:
        return None
    if isinstance(optimizer, optimizers.Adam | optimizers.AdamW):
        return [("exp_avg", "exp_avg_sq"), *([("max_exp_avg_sq",)] if settings["amsgrad"] else [])]
    if isinstance(optimizer, optimizers.RMSprop):
        more = (("momentum", settings["momentum"]), ("grad_avg", settings["centered"]))
        return [("square_avg",), *((name,) for name, kept in more if kept)]
    if isinstance(optimizer, optimizers.SGD):
        return [("momentum",)] if settings["momentum"] else []
    return None


def _arrays(group: Group) -> list[Array]:
    """Return the variables of an optimizer in order."""
    names = group.texts("weight_names")
    if names is None:
        held = group.group("vars") or group
        numbers = sorted(int(name) for name in held.names() if name.isdigit() and len(name) < 8)
        return [held.array(str(number)) for number in numbers]
    return [group.array(name) for name in names]


def _read_state(
    optimizer: Any, held: Group, order: Sequence[Parameter], trained: Sequence[Parameter], origin: Origin
) -> None:
    slots = _slots(optimizer)
    if slots is None:
        return
    arrays = _arrays(held)
    first = next((place for place, one in enumerate(arrays) if one.shape), len(arrays))
    counters, kept = arrays[:first], list(arrays[first:])
    if not kept and slots:
        return  # not yet trained
    if origin.version < _SAME_STATE_SINCE:
        # Blocks through all weights, in Adam as well.
        slots = [(name,) for block in slots for name in block]
    width = sum(map(len, slots))
    if origin.major < 3 and len(kept) == (width + 1) * len(order):
        # SGD keeps a momentum in any case, and Adam what it would need for AMSGrad.
        kept = kept[: width * len(order)]
    if len(counters) > 2 or len(kept) != width * len(order):
        raise ValueError(f"expected {width} variables for each of {len(order)} weights, got {len(kept)}")
    iterations = _counter(counters[0]) if counters else 0
    state: dict[int, dict[str, Any]] = {}
    place = 0
    for block in slots:
        for weight in order:
            own = state.setdefault(id(weight), {"step": torch.tensor(float(iterations))})
            for name in block:
                own[name] = _values(kept[place], weight)
                place += 1
    optimizer.bind(list(trained))
    if len(counters) == 2 and optimizer.learning_rate_schedule is None:
        _set_rate(optimizer, float(counters[1]))
    optimizer.iterations = iterations
    if state:
        described = optimizer.torch_optimizer.state_dict()
        described["state"] = {number: state[id(weight)] for number, weight in enumerate(trained)}
        optimizer.load_state(described)


def _set_rate(optimizer: Any, rate: float) -> None:
    """Set the learning rate if it was changed after the model was compiled."""
    if not 0.0 <= rate < float("inf"):
        raise ValueError(f"learning_rate: expected a number of 0 or more, got {rate}")
    if np.float32(optimizer.learning_rate) != np.float32(rate):
        optimizer.learning_rate = rate


def _counter(array: Array) -> int:
    value = float(array)
    if array.shape or not 0 <= value <= 2**53 or value != int(value):
        raise ValueError(f"expected the number of steps, got {short(array.tolist())}")
    return int(value)


def _values(array: Array, weight: Parameter) -> torch.Tensor:
    if tuple(array.shape) != tuple(weight.shape) or array.dtype.kind != "f":
        raise ValueError(f"expected numbers of shape {tuple(weight.shape)}, got {array.shape}")
    return as_tensor(array).to(weight.dtype)


def as_tensor(array: Array) -> torch.Tensor:
    """Return a copy of an array in the byte order of this machine."""
    return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))


# Writing --------------------------------------------------------------------------------------------------


def described_training(model: Any) -> dict[str, Any] | None:
    """Return `compile_config` for Keras 3; None without one, or with what Keras lacks."""
    if model.optimizer is None:
        return None
    said, _ = training.training_to_file(model.compiled, model.device, model.completed_epoch)
    if said["schedule"] is not None:
        return None
    try:
        return {
            "optimizer": _to_optimizer(said["optimizer"]),
            "loss": _to_losses(said["loss"]),
            "loss_weights": said.get("loss_weights"),
            "metrics": _to_metrics(said["metrics"]) or None,
            "weighted_metrics": _to_metrics(said["weighted_metrics"]) or None,
            "run_eagerly": False,
            "steps_per_execution": 1,
            "jit_compile": False,
        }
    except _NotInKerasError:
        return None


class _NotInKerasError(Exception):
    """Something that only nabi or the user has."""


def _entry(module: str, name: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    return {"module": module, "class_name": name, "config": dict(config), "registered_name": None}


def _to_optimizer(said: Mapping[str, Any]) -> dict[str, Any]:
    name, config = said["class_name"], dict(said["config"])
    if name not in optimizers.__all__ or config.pop("decay", 0.0):
        raise _NotInKerasError
    schedule = config.get("learning_rate")
    if isinstance(schedule, Mapping):
        config["learning_rate"] = _entry(
            "keras.optimizers.schedules", schedule["class_name"], schedule["config"]
        )
    return _entry("keras.optimizers", name, config)


def _to_losses(said: Any) -> Any:
    """Return a loss, or those of several outputs by name."""
    if said is None:
        return None
    if "class_name" not in said:
        return {name: _to_losses(one) for name, one in said.items()}
    name, config = said["class_name"], said["config"]
    if name == "function" and config.get("name") in losses.__all__:
        return config["name"]
    if name in losses.__all__:
        return _entry("keras.losses", name, config)
    raise _NotInKerasError


def _to_metrics(said: Any) -> Any:
    if isinstance(said, list):
        return [_to_metrics(one) for one in said]
    if isinstance(said, str):
        if said.startswith("custom:"):
            raise _NotInKerasError
        return said
    if "class_name" not in said:
        return {name: _to_metrics(one) for name, one in said.items()}
    return _entry("keras.metrics", said["class_name"], said["config"])


def optimizer_state(model: Any, order: Sequence[Parameter]) -> list[Array]:
    """Return the optimizer's variables in the order of Keras 3; none of a kind that is not written."""
    optimizer = model.optimizer
    slots = _slots(optimizer)
    if slots is None:
        return []
    found = [np.array(optimizer.iterations, np.int64)]
    if optimizer.learning_rate_schedule is None:
        found.append(np.array(optimizer.learning_rate, np.float32))
    model.compiled.bind(model.trainable_weights)  # also to a state that was read from a file
    state = optimizer.torch_optimizer.state
    for block in slots:
        for weight in order:
            for name in block:
                own = state.get(weight, {}).get(name)
                found.append((torch.zeros_like(weight) if own is None else own).detach().cpu().numpy())
    return found
