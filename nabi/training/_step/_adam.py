"""A step of Adam, Keras' or torch's, without what surrounds it.

`torch.optim.Adam.step` spends more time on profiling, hooks and collecting its lists than its kernel needs
for a small model. Here a kernel is called with lists that are collected once: a native one, or torch's where
that does not run. The torch optimizer stays what holds the state: the tensors are its own, and what a user
may do to it between two looks is seen.
"""

from contextlib import suppress
from operator import attrgetter, is_
from typing import Any, Self

import torch
from torch import Tensor
from torch.autograd.graph import increment_version
from torch.optim import optimizer as torch_optimizers

from nabi.kernels import AdamUpdate, adam_steps
from nabi.training._optimizers import _keras_steps

__all__ = ["FusedAdam"]

_ATTRIBUTES = ("step", "grad_scale", "found_inf")  # a schedule counts steps; a scaler scales gradients
_FLAGS = ("amsgrad", "capturable", "differentiable")
_grad = attrgetter("grad")


class FusedAdam:
    """The lists of one torch optimizer that has made its first step; `of` makes it where that is possible."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer
        self._state, self._groups = optimizer.state, optimizer.param_groups
        self._group: dict[str, Any] = optimizer.param_groups[0]
        self._weights: list[Tensor] = list(self._group["params"])
        states = [optimizer.state[weight] for weight in self._weights]
        self._means: list[Tensor] = [state["exp_avg"] for state in states]
        self._squares: list[Tensor] = [state["exp_avg_sq"] for state in states]
        # Counters side by side in one tensor are raised by one addition; each is still the optimizer's own.
        self._counters = torch.stack([state["step"] for state in states])
        self._one = torch.ones_like(self._counters[0])
        self._together = bool((self._counters == self._counters[0]).all())
        self._steps = list(self._counters.unbind())
        for state, step in zip(states, self._steps, strict=True):
            state["step"] = step
        # Keras' way: weights decay by themselves, and epsilon is added before the root is corrected.
        self._keras = type(optimizer) is _keras_steps.Adam
        self._decoupled: bool = self._keras or self._group.get("decoupled_weight_decay", False)
        self._kernel: Any = torch._fused_adamw_ if self._decoupled else torch._fused_adam_
        self._native = adam_steps(self._weights, self._means, self._squares, self._steps)
        # Gradients that were found fit for the kernel: layers that know their derivative give the same again.
        self._gradients: list[Tensor] = []
        # Steps that were prepared and have run, with the gradients and the options for which they were.
        self._ready: list[tuple[AdamUpdate, list[Tensor], tuple[Any, ...]]] = []
        self._last: tuple[list[Tensor], tuple[Any, ...]] = [], ()

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
        for weight in optimizer.param_groups[0]["params"]:
            state = optimizer.state.get(weight)
            if not state or weight.device.type != "cpu" or state["step"].dtype is not torch.float32:
                return None
            for tensor in (weight, state["exp_avg"], state["exp_avg_sq"]):
                # The kernel walks through a weight, its gradient and its state side by side.
                if not tensor.is_contiguous() or tensor.dtype is not weight.dtype:
                    return None
        return cls(optimizer)

    def _holds(self, optimizer: torch.optim.Optimizer) -> bool:
        if optimizer.state is not self._state or optimizer.param_groups is not self._groups:
            return False
        weights = self._groups[0]["params"]
        if self._groups[0] is not self._group or len(weights) != len(self._weights):
            return False
        known = zip(self._weights, self._means, self._squares, self._steps, strict=True)
        for weight, (own, mean, square, step) in zip(weights, known, strict=True):
            state = self._state[own]
            if weight is not own or state["exp_avg"] is not mean or state["exp_avg_sq"] is not square:
                return False
            if state["step"] is not step or not own.is_contiguous() or own.device.type != "cpu":
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

    def _options(self) -> dict[str, Any]:
        """Return what a user may change between two steps."""
        group = self._group
        return {
            "rate": group["lr"], "betas": group["betas"], "epsilon": group["eps"],
            "decay": group["weight_decay"], "decoupled": self._decoupled,
            "maximize": not self._keras and group["maximize"], "epsilon_first": self._keras,
        }  # fmt: skip

    def prepare(self) -> AdamUpdate | None:
        """Prepare a step as a run of a kernel; None if `step` must be called. `has_run` follows the run."""
        gradients, group = self._found_gradients(), self._group
        if gradients is None or self._native is None or type(group["lr"]) is not float:
            return None
        options = group["lr"], group["betas"], group["eps"], group["weight_decay"], group.get("maximize")
        update: AdamUpdate | None = None
        # Taken out: another thread must not run with the same arguments.
        with suppress(IndexError):
            ready, known, like = self._ready.pop()
            if known is gradients and like == options and self._native.are_in_place(self._weights):
                update = ready
            else:
                self._native.has_run(ready)
        if update is None:
            update = self._native.prepare(self._weights, gradients, **self._options())
        self._last = gradients, options
        return update

    def has_run(self, update: AdamUpdate) -> None:
        """Note that a step has been made."""
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
            if not self._native.step(self._weights, gradients, **self._options()):
                return False
        elif self._keras and not self._together:
            return False  # each needs an epsilon of its own
        elif torch.is_grad_enabled():
            with torch.no_grad():
                self._update(group, gradients)
        else:
            self._update(group, gradients)
        # Neither kernel does: autograd then refuses a graph that still needs the weights as they were.
        increment_version(self._weights)
        return True

    def _update(self, group: dict[str, Any], gradients: list[Tensor]) -> None:
        self._counters.add_(self._one)
        beta1, beta2 = group["betas"]
        epsilon, maximize = group["eps"], group.get("maximize", False)
        if self._keras:
            epsilon = _keras_steps.scaled_epsilon(group, int(self._counters[0]))
        self._kernel(
            self._weights, gradients, self._means, self._squares, [], self._steps,
            lr=group["lr"], beta1=beta1, beta2=beta2, weight_decay=group["weight_decay"],
            eps=epsilon, amsgrad=False, maximize=maximize,
        )  # fmt: skip


def _is_plain(optimizer: torch.optim.Optimizer) -> bool:
    """Whether the step of an optimizer is nothing but a call of the fused kernel."""
    kind, group, attributes = type(optimizer), optimizer.param_groups[0], vars(optimizer)
    if kind not in (_keras_steps.Adam, torch.optim.Adam, torch.optim.AdamW):
        return False
    if len(optimizer.param_groups) != 1 or any(group.get(name) for name in _FLAGS):
        return False
    if kind is not _keras_steps.Adam and not group["fused"]:
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
