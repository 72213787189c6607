"""A step of an optimizer, Keras' or torch's, without what surrounds it.

`torch.optim.Adam.step` spends more time on profiling, hooks and collecting its lists than its kernel needs
for a small model. Here a kernel is called with lists that are collected once: a native one, or for Adam
torch's where that does not run. The torch optimizer stays what holds the state: the tensors are its own, and
what a user may do to it between two looks is seen.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from operator import attrgetter, is_
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor
from torch.autograd.graph import increment_version
from torch.optim import optimizer as torch_optimizers

from nabi.kernels import (
    AdamOptions,
    Options,
    RMSpropOptions,
    SGDOptions,
    Update,
    UpdateSteps,
    adam_steps,
    rmsprop_steps,
    sgd_steps,
)
from nabi.training._optimizers import _keras_steps

__all__ = ["FusedStep", "PieceSteps"]

_ATTRIBUTES = ("step", "grad_scale", "found_inf")  # a schedule counts steps; a scaler scales gradients
_FLAGS = ("amsgrad", "capturable", "differentiable")
_grad = attrgetter("grad")

Group = dict[str, Any]
States = dict[str, list[Tensor]]


# The optimizers -------------------------------------------------------------------------------------------


class _Kind(NamedTuple):
    """An optimizer that native code knows.

    Attributes:
        states: names of the states like the weight that the options of a group ask for.
        counts: whether each weight has a number of steps.
        options: the options of a group.
        make: the native steps over weights with states and numbers of steps.
    """

    states: Callable[[Group], tuple[str, ...]]
    counts: bool
    options: Callable[[Group], Options]
    make: Callable[[list[Tensor], States, list[Tensor]], UpdateSteps | None]


def _make_adam(weights: list[Tensor], states: States, counters: list[Tensor]) -> UpdateSteps | None:
    return adam_steps(weights, states["exp_avg"], states["exp_avg_sq"], counters)


def _adam(keras: bool, decoupled: bool) -> _Kind:
    def options(group: Group) -> Options:
        return AdamOptions(
            group["lr"], group["betas"], group["eps"], group["weight_decay"],
            decoupled or group.get("decoupled_weight_decay", False),
            not keras and group["maximize"], keras,
        )  # fmt: skip

    return _Kind(lambda group: ("exp_avg", "exp_avg_sq"), True, options, _make_adam)


def _sgd(keras: bool) -> _Kind:
    momentum = "momentum" if keras else "momentum_buffer"

    def options(group: Group) -> Options:
        return SGDOptions(
            group["lr"], group["momentum"], 0.0 if keras else group["dampening"], group["nesterov"],
            group["weight_decay"], keras, not keras and group["maximize"], keras,
        )  # fmt: skip

    return _Kind(
        lambda group: (momentum,) if group["momentum"] else (),
        keras,
        options,
        lambda weights, states, counters: sgd_steps(weights, states.get(momentum), counters or None),
    )


def _rmsprop(keras: bool) -> _Kind:
    momentum = "momentum" if keras else "momentum_buffer"

    def states(group: Group) -> tuple[str, ...]:
        asked = {"grad_avg": group["centered"], momentum: group["momentum"]}
        return ("square_avg", *(name for name, wanted in asked.items() if wanted))

    def options(group: Group) -> Options:
        return RMSpropOptions(
            group["lr"], group["alpha"], group["eps"], group["momentum"], group["centered"],
            group["weight_decay"], keras, not keras and group["maximize"], keras,
        )  # fmt: skip

    def make(weights: list[Tensor], states: States, counters: list[Tensor]) -> UpdateSteps | None:
        return rmsprop_steps(
            weights, states["square_avg"], states.get("grad_avg"), states.get(momentum), counters
        )

    return _Kind(states, True, options, make)


_ADAMS = (_keras_steps.Adam, torch.optim.Adam, torch.optim.AdamW)
_KINDS: dict[type[torch.optim.Optimizer], _Kind] = {
    # Keras' way: weights decay by themselves, and epsilon is added before the root is corrected.
    _keras_steps.Adam: _adam(keras=True, decoupled=True),
    torch.optim.Adam: _adam(keras=False, decoupled=False),
    torch.optim.AdamW: _adam(keras=False, decoupled=True),
    _keras_steps.SGD: _sgd(keras=True),
    torch.optim.SGD: _sgd(keras=False),
    _keras_steps.RMSprop: _rmsprop(keras=True),
    torch.optim.RMSprop: _rmsprop(keras=False),
}


# The step -------------------------------------------------------------------------------------------------


class FusedStep:
    """The lists of one torch optimizer that has its state; `of` makes it where that is possible."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer
        self._kind = kind = _KINDS[type(optimizer)]
        self._state, self._groups = optimizer.state, optimizer.param_groups
        self._group: Group = optimizer.param_groups[0]
        self._weights: list[Tensor] = list(self._group["params"])
        states: list[dict[str, Any]] = [optimizer.state.get(weight) or {} for weight in self._weights]
        self._names = kind.states(self._group)
        self._states: States = {name: [state[name] for state in states] for name in self._names}
        self._steps: list[Tensor] = []
        if kind.counts:
            # Counters side by side in one tensor are raised by one addition; each is still the optimizer's.
            self._counters = torch.stack([state["step"] for state in states])
            self._steps = list(self._counters.unbind())
            for state, step in zip(states, self._steps, strict=True):
                state["step"] = step
        self._native = kind.make(self._weights, self._states, self._steps)
        # For torch's kernel, which is Adam's only.
        self._keras = type(optimizer) is _keras_steps.Adam
        # Gradients that were found fit for the kernel: layers that know their derivative give the same again.
        self._gradients: list[Tensor] = []
        # Steps that were prepared and have run, with the gradients and the options for which they were.
        self._ready: list[tuple[Update, list[Tensor], Options]] = []
        self._last: tuple[list[Tensor], Options] | None = None

    def forget_gradients(self) -> None:
        """Hold no gradient any longer."""
        self._gradients = []

    @classmethod
    def of(cls, optimizer: torch.optim.Optimizer, previous: Self | None = None) -> Self | None:
        """The lists of an optimizer, `previous` if they hold; None if its own step must be called."""
        if not _is_plain(optimizer):
            return None
        if previous is not None and previous._holds(optimizer):
            return previous
        group, kind = optimizer.param_groups[0], _KINDS[type(optimizer)]
        names = kind.states(group)
        for weight in group["params"]:
            state = optimizer.state.get(weight) or {}
            if weight.device.type != "cpu" or any(state.get(name) is None for name in names):
                return None
            if kind.counts and ("step" not in state or state["step"].dtype is not torch.float32):
                return None
            for tensor in (weight, *(state[name] for name in names)):
                # The kernel walks through a weight, its gradient and its state side by side.
                if not tensor.is_contiguous() or tensor.dtype is not weight.dtype:
                    return None
        made = cls(optimizer)
        return made if made._native is not None or type(optimizer) in _ADAMS else None

    def _holds(self, optimizer: torch.optim.Optimizer) -> bool:
        if optimizer.state is not self._state or optimizer.param_groups is not self._groups:
            return False
        weights = self._groups[0]["params"]
        if self._groups[0] is not self._group or len(weights) != len(self._weights):
            return False
        if self._kind.states(self._group) != self._names:
            return False
        for number, (weight, own) in enumerate(zip(weights, self._weights, strict=True)):
            if weight is not own or not own.is_contiguous() or own.device.type != "cpu":
                return False
            if not (self._names or self._steps):
                continue
            state = self._state[own]
            if any(state[name] is not tensors[number] for name, tensors in self._states.items()):
                return False
            if self._steps and state["step"] is not self._steps[number]:
                return False
        return True

    def _found_gradients(self) -> list[Tensor] | None:
        """Return the gradients of all weights; None if the optimizer has to look at them itself."""
        optimizer = self._optimizer
        if optimizer.state is not self._state or optimizer.param_groups is not self._groups:
            return None  # another state has been loaded
        found, gradients = list(map(_grad, self._weights)), self._gradients
        if len(gradients) != len(found) or not all(map(is_, found, gradients)):
            gradients = [one for one in found if one is not None and one.is_contiguous()]
            if len(gradients) != len(found):
                return None
            self._gradients = gradients
            if self._native is not None:
                self._native.forget_gradients()
        return gradients

    def prepare(self) -> Update | None:
        """Prepare a step as a run of a kernel; None if `step` must be called. `has_run` follows the run."""
        gradients, group = self._found_gradients(), self._group
        if gradients is None or self._native is None or type(group["lr"]) is not float:
            return None
        options = self._kind.options(group)
        update: Update | None = None
        # Taken out: another thread must not run with the same arguments.
        with suppress(IndexError):
            ready, known, like = self._ready.pop()
            if known is gradients and like == options and self._native.are_in_place(self._weights):
                update = ready
            else:
                self._native.has_run(ready)
        if update is None:
            update = self._native.prepare(self._weights, gradients, options)
        self._last = gradients, options
        return update

    def has_run(self, update: Update) -> None:
        """Note that a step has been made."""
        assert self._last is not None
        self._ready.append((update, *self._last))
        increment_version(self._weights)

    def step(self) -> bool:
        """Update the weights; False, with nothing done, if the optimizer has to do it."""
        update = self.prepare()
        if update is not None:
            assert self._native is not None
            self._native.run(update)
            self.has_run(update)
            return True
        group, gradients = self._group, self._found_gradients()
        if gradients is None:
            return False
        if self._native is not None and type(group["lr"]) is float:
            if not self._native.step(self._weights, gradients, self._kind.options(group)):
                return False
        elif type(self._optimizer) not in _ADAMS or (self._keras and not self._are_together()):
            return False  # each needs an epsilon of its own
        elif torch.is_grad_enabled():
            with torch.no_grad():
                self._update(group, gradients)
        else:
            self._update(group, gradients)
        # Neither kernel does: autograd then refuses a graph that still needs the weights as they were.
        increment_version(self._weights)
        return True

    def in_pieces(self, pieces: Mapping[int, slice]) -> "PieceSteps | None":
        """Return steps that update pieces of some weights; None where native code does not run.

        Args:
            pieces: which elements, by a weight's id; of other weights all are updated.
        """
        if self._native is None or type(self._group["lr"]) is not float:
            return None

        def own(tensors: list[Tensor]) -> list[Tensor]:
            found = []
            for weight, tensor in zip(self._weights, tensors, strict=True):
                flat = tensor.detach()
                found.append(flat.view(-1)[pieces[id(weight)]] if id(weight) in pieces else flat)
            return found

        states = {name: own(tensors) for name, tensors in self._states.items()}
        weights = own(self._weights)
        native = self._kind.make(weights, states, self._steps)
        return None if native is None else PieceSteps(self, weights, native)

    def _are_together(self) -> bool:
        return bool((self._counters == self._counters[0]).all())

    def _update(self, group: dict[str, Any], gradients: list[Tensor]) -> None:
        self._counters.add_(1.0)
        beta1, beta2 = group["betas"]
        epsilon, maximize = group["eps"], group.get("maximize", False)
        if self._keras:
            epsilon = _keras_steps.scaled_epsilon(group, int(self._counters[0]))
        kernel: Any = torch._fused_adamw_ if self._kind.options(group).decoupled else torch._fused_adam_
        kernel(
            self._weights, gradients, self._states["exp_avg"], self._states["exp_avg_sq"], [], self._steps,
            lr=group["lr"], beta1=beta1, beta2=beta2, weight_decay=group["weight_decay"],
            eps=epsilon, amsgrad=False, maximize=maximize,
        )  # fmt: skip


class PieceSteps:
    """Steps over pieces of weights, which count as steps of the whole; `FusedStep.in_pieces` makes them."""

    def __init__(self, whole: FusedStep, pieces: list[Tensor], native: UpdateSteps) -> None:
        self._whole, self._pieces, self._native = whole, pieces, native

    def step(self, gradients: Mapping[int, Tensor]) -> None:
        """Update the pieces.

        Args:
            gradients: those of the pieces of weights, by the weight's id; others have their own.
        """
        whole = self._whole
        found = [gradients.get(id(weight), weight.grad) for weight in whole._weights]
        options = whole._kind.options(whole._group)
        # Gradients at the same address may be others.
        self._native.forget_gradients()
        done = self._native.step(self._pieces, found, options)  # type: ignore[arg-type]
        assert done, "nothing moves while weights are in pieces"
        increment_version(whole._weights)


def _is_plain(optimizer: torch.optim.Optimizer) -> bool:
    """Whether the step of an optimizer is nothing but its formula."""
    kind, group, attributes = type(optimizer), optimizer.param_groups[0], vars(optimizer)
    if kind not in _KINDS:
        return False
    if len(optimizer.param_groups) != 1 or any(group.get(name) for name in _FLAGS):
        return False
    if kind in (torch.optim.Adam, torch.optim.AdamW) and not group["fused"]:
        return False
    if any(name in attributes for name in _ATTRIBUTES):
        return False
    own: Any = optimizer
    every: Any = torch_optimizers
    return not (
        own._optimizer_step_pre_hooks
        or own._optimizer_step_post_hooks
        or every._global_optimizer_pre_hooks
        or every._global_optimizer_post_hooks
    )
