"""The available optimizers, and their lookup by name, class, object or from a file."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch

from nabi import _checks
from nabi.errors import ArgumentError, unknown_name
from nabi.training._optimizers import _keras_steps as steps
from nabi.training._optimizers._classes import Optimizer, TorchOptimizer
from nabi.training._optimizers._schedule_classes import (
    LearningRateSchedule,
    deserialize as deserialize_schedule,
)

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Nadam",
    "RMSprop",
    "deserialize",
    "get",
    "serialize",
]

_BETAS: dict[str, tuple[str, Any]] = {
    "beta_1": ("beta_1", 0.9),
    "beta_2": ("beta_2", 0.999),
    "epsilon": ("eps", 1e-7),
}


class SGD(Optimizer):
    """Stochastic gradient descent; options `momentum` and `nesterov`. Learning rate 0.01.

    >>> SGD(0.1, momentum=0.9).learning_rate
    0.1
    """

    torch_class = steps.SGD
    default_learning_rate = 0.01
    options: ClassVar = {"momentum": ("momentum", 0.0), "nesterov": ("nesterov", False)}


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015); options `beta_1`, `beta_2`, `epsilon`, `amsgrad`. Learning rate 0.001.

    >>> Adam().learning_rate, Adam(lr=0.01).learning_rate
    (0.001, 0.01)
    """

    torch_class = steps.Adam
    options: ClassVar = _BETAS | {"amsgrad": ("amsgrad", False)}


class AdamW(Optimizer):
    """Adam with a weight decay of 0.004 by default (Loshchilov and Hutter 2019)."""

    torch_class = steps.Adam
    options: ClassVar = _BETAS | {"amsgrad": ("amsgrad", False)}

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule | Mapping[str, Any] | None = None,
        weight_decay: float | None = 0.004,
        **options: Any,
    ) -> None:
        if weight_decay is None:
            raise ArgumentError("weight_decay: expected a number, got None; without it, use Adam")
        super().__init__(learning_rate, weight_decay=weight_decay, **options)


class Adamax(Optimizer):
    """Adam with the infinity norm (Kingma and Ba 2015, section 7)."""

    torch_class = steps.Adamax
    options: ClassVar = _BETAS


class Nadam(Optimizer):
    """Adam with Nesterov momentum (Dozat 2016)."""

    torch_class = steps.Nadam
    options: ClassVar = _BETAS


class RMSprop(Optimizer):
    """Root mean square propagation (Tieleman and Hinton 2012).

    Options `rho`, `momentum`, `epsilon`, `centered`.
    """

    torch_class = steps.RMSprop
    options: ClassVar = {
        "rho": ("alpha", 0.9),
        "momentum": ("momentum", 0.0),
        "epsilon": ("eps", 1e-7),
        "centered": ("centered", False),
    }


class Adagrad(Optimizer):
    """Adagrad (Duchi et al. 2011); options `initial_accumulator_value` and `epsilon`."""

    torch_class = steps.Adagrad
    options: ClassVar = {
        "initial_accumulator_value": ("initial_accumulator_value", 0.1),
        "epsilon": ("eps", 1e-7),
    }


class Adadelta(Optimizer):
    """Adadelta (Zeiler 2012); options `rho` and `epsilon`."""

    torch_class = steps.Adadelta
    options: ClassVar = {"rho": ("rho", 0.95), "epsilon": ("eps", 1e-7)}


_CLASSES: dict[str, type[Optimizer]] = {
    made.__name__: made for made in (SGD, Adadelta, Adagrad, Adam, AdamW, Adamax, Nadam, RMSprop)
}
_BY_NAME = {name.lower(): made for name, made in _CLASSES.items()}


def get(
    identifier: object,
    *,
    clipnorm: float | None = None,
    clipvalue: float | None = None,
    custom_objects: Mapping[str, Any] | None = None,
) -> Optimizer:
    """Return the optimizer for a name, an `Optimizer`, anything of `torch.optim`, or a serialized optimizer.

    Args:
        identifier: "adam"; `Adam(0.01)`; `torch.optim.Adam`; a function of the parameters that creates a
            `torch.optim` optimizer; or such an optimizer.
        clipnorm: overrides the optimizer's own.
        clipvalue: overrides the optimizer's own.
        custom_objects: the user's objects by the names in a file.

    Raises:
        UnknownNameError: for an unknown name; the message suggests the nearest known one.
        ArgumentError: for anything else.

    >>> get("adam")
    <Adam, learning rate 0.001>
    """
    found = _find(identifier, custom_objects or {})
    if clipnorm is not None and clipvalue is not None:
        raise ArgumentError("clipnorm: expected only one of clipnorm and clipvalue, got both")
    for argument, limit in (("clipnorm", clipnorm), ("clipvalue", clipvalue)):
        if limit is not None:
            limit = _checks.real(argument, limit, above=0, otherwise=" or None")
            found.clipnorm = found.clipvalue = found.global_clipnorm = None
            setattr(found, argument, limit)
    return found


def _find(identifier: object, custom: Mapping[str, Any]) -> Optimizer:
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, str):
        if identifier in custom:
            return _find(custom[identifier], {})
        if identifier.lower() not in _BY_NAME:
            raise unknown_name("optimizer", identifier, [*_BY_NAME, *custom])
        return _BY_NAME[identifier.lower()]()
    if isinstance(identifier, Mapping):
        return _from_config(identifier, custom)
    if isinstance(identifier, type) and issubclass(identifier, Optimizer):
        return identifier()
    if isinstance(identifier, torch.optim.Optimizer) or callable(identifier):
        return TorchOptimizer(identifier)
    raise ArgumentError(
        "optimizer: expected a name such as 'adam', an optimizer of nabi.optimizers or torch.optim, or a "
        f"function of the parameters that creates one, got {identifier!r}"
    )


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """Describe an optimizer for a file."""
    if isinstance(optimizer, TorchOptimizer):
        kind = _torch_class(optimizer)
        own = getattr(torch.optim, kind.__name__, None) is kind if kind else False
        name = f"torch.optim.{kind.__name__}" if kind and own else f"custom:{optimizer.name}"
        return {"class_name": name, "config": optimizer.get_config()}
    kind_name = type(optimizer).__name__
    known = _CLASSES.get(kind_name) is type(optimizer)
    return {
        "class_name": kind_name if known else f"custom:{kind_name}",
        "config": optimizer.get_config(),
    }


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Optimizer:
    """Make the optimizer that `serialize` described; your own optimizers come from `custom_objects`.

    Raises:
        ArgumentError: for an invalid description or a missing optimizer.

    >>> deserialize(serialize(SGD(0.1)))
    <SGD, learning rate 0.1>
    """
    if not isinstance(config, Mapping) or "class_name" not in config:
        raise ArgumentError(f"config: expected a dictionary with 'class_name' and 'config', got {config!r}")
    return get(config, custom_objects=custom_objects)


def _torch_class(optimizer: TorchOptimizer) -> type | None:
    """Return the class of torch.optim of a user's optimizer, or None if it is unknown."""
    if optimizer.bound:
        return type(optimizer.torch_optimizer)
    source: Callable[..., Any] | Any = optimizer.source
    if isinstance(source, functools.partial):
        source = source.func
    return source if isinstance(source, type) else None


def _from_config(saved: Mapping[str, Any], custom: Mapping[str, Any]) -> Optimizer:
    kind, config = str(saved.get("class_name")), dict(saved.get("config") or {})
    if isinstance(config.get("learning_rate"), Mapping):
        config["learning_rate"] = deserialize_schedule(config["learning_rate"], custom)
    if kind in _CLASSES:
        return _CLASSES[kind](**config)
    if kind.startswith("torch.optim."):
        name = kind.removeprefix("torch.optim.")
        found = getattr(torch.optim, name, None)
        # Only optimizers: a file must not be able to refer to any other part of torch.
        if isinstance(found, type) and issubclass(found, torch.optim.Optimizer):
            # SGD and others need a rate at creation; the actual one comes with the state.
            maker: Callable[..., torch.optim.Optimizer] = found
            return TorchOptimizer(functools.partial(maker, lr=0.001), **config)
        raise unknown_name("optimizer", kind, [])
    wanted = kind.removeprefix("custom:")
    if wanted not in custom:
        raise ArgumentError(
            f"custom_objects: the model was compiled with the optimizer {wanted!r}, "
            f"which is neither nabi's nor torch's; pass custom_objects={{{wanted!r}: ...}} or compile=False"
        )
    made = custom[wanted]
    own = isinstance(made, type) and issubclass(made, Optimizer)
    return made(**config) if own else _find(made, {})
