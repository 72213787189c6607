"""The steps of Keras' optimizers: Keras' formulas as torch optimizers.

torch's own optimizers differ in small but significant details: where epsilon is added, how momentum reacts to
changes of the learning rate, how Nesterov momentum is scheduled, how weights decay. States and options have
torch's names wherever their meaning is the same, so a state saved by torch's optimizer can be loaded.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.autograd.graph import increment_version
from torch.nn import Parameter

__all__ = ["SGD", "Adadelta", "Adagrad", "Adam", "Adamax", "KerasSteps", "Nadam", "RMSprop"]

Group = dict[str, Any]
States = list[dict[str, Tensor]]


class KerasSteps(torch.optim.Optimizer):
    """Base class of the optimizers in this file: state, step counters, decoupled weight decay.

    Args:
        params: the weights, or groups of them.
        options: "lr", "weight_decay", and those of the optimizer.
    """

    # The states of a weight that are tensors of its shape, with their initial values.
    begins: ClassVar[dict[str, float]] = {}

    def __init__(self, params: Iterable[Parameter], lr: float, weight_decay: float = 0.0, **options: Any):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, **options})

    def beginning(self, group: Group) -> dict[str, float]:
        """Return the states that a weight of a group needs, with their initial values."""
        return self.begins

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the weights that have a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            # Grouped by number of steps: weights that were frozen for a while have made fewer.
            by_count: dict[int, list[Parameter]] = {}
            for weight in group["params"]:
                if weight.grad is not None:
                    counter = self._state_of(weight, group)["step"].add_(1)
                    by_count.setdefault(int(counter), []).append(weight)
            for count, weights in by_count.items():
                self._update(group, count, weights)
        return loss

    def _state_of(self, weight: Parameter, group: Group) -> dict[str, Tensor]:
        state: dict[str, Tensor] = self.state[weight]
        if "step" not in state:
            state["step"] = torch.zeros((), dtype=torch.float32)
        for name, value in self.beginning(group).items():
            if name not in state:
                state[name] = torch.full_like(weight, value, memory_format=torch.preserve_format)
        return state

    def _update(self, group: Group, count: int, weights: list[Parameter]) -> None:
        gradients, tensors = [weight.grad for weight in weights], list[Tensor](weights)
        if group["weight_decay"]:
            torch._foreach_mul_(tensors, 1.0 - group["lr"] * group["weight_decay"])
        self.update(group, count, tensors, gradients, [self.state[weight] for weight in weights])

    def update(self, group: Group, count: int, weights: Any, gradients: Any, states: States) -> None:
        """Update weights that all are at step number `count`."""
        raise NotImplementedError(f"{type(self).__name__} must define update(...)")

    def load_state_dict(self, state_dict: Any) -> None:
        """Load a saved state, also one of torch's optimizer of the same name."""
        own = [dict(group) for group in self.param_groups]
        super().load_state_dict(state_dict)
        for group, kept in zip(self.param_groups, own, strict=True):
            known = {name: value for name, value in group.items() if name in kept or name == "initial_lr"}
            group.clear()
            group.update(kept | known)
            for weight in group["params"]:
                if weight in self.state:
                    self.convert(self.state[weight], group)

    def convert(self, state: dict[str, Any], group: Group) -> None:
        """Convert the state that torch's optimizer keeps for a weight to this optimizer's state."""


def _all(states: States, name: str) -> list[Tensor]:
    return [state[name] for state in states]


def _move_mean(means: list[Tensor], values: Any, keep: float) -> None:
    torch._foreach_mul_(means, keep)
    torch._foreach_add_(means, values, alpha=1.0 - keep)


def _squares(values: Any) -> Any:
    return torch._foreach_mul(values, values)


class SGD(KerasSteps):
    """`m ← momentum · m - lr · g`, added to the weight; with Nesterov `momentum · m - lr · g`."""

    def beginning(self, group: Group) -> dict[str, float]:
        """Return the momentum, if there is one."""
        return {"momentum": 0.0} if group["momentum"] else {}

    def update(self, group: Group, count: int, weights: Any, gradients: Any, states: States) -> None:
        """Make one step."""
        rate, momentum = group["lr"], group["momentum"]
        if momentum:
            moved = _all(states, "momentum")
            torch._foreach_mul_(moved, momentum)
            torch._foreach_add_(moved, gradients, alpha=-rate)
            if not group["nesterov"]:
                torch._foreach_add_(weights, moved)
                return
            torch._foreach_add_(weights, moved, alpha=momentum)
        torch._foreach_add_(weights, gradients, alpha=-rate)

    def convert(self, state: dict[str, Any], group: Group) -> None:
        """Multiply torch's momentum by the learning rate."""
        buffer = state.pop("momentum_buffer", None)
        if buffer is not None:
            state["momentum"] = buffer * -group["lr"]


class RMSprop(KerasSteps):
    """`lr · g / sqrt(v + epsilon)`, where v is the mean of `g²`, or the variance of `g` if centered."""

    def beginning(self, group: Group) -> dict[str, float]:
        """Return the mean of the squares and, if used, the mean of the gradients and the momentum."""
        asked = {"momentum": group["momentum"], "grad_avg": group["centered"]}
        return {"square_avg": 0.0} | {name: 0.0 for name, wanted in asked.items() if wanted}

    def update(self, group: Group, count: int, weights: Any, gradients: Any, states: States) -> None:
        """Make one step."""
        squares, keep = _all(states, "square_avg"), group["alpha"]
        _move_mean(squares, _squares(gradients), keep)
        below = torch._foreach_add(squares, group["eps"])
        if group["centered"]:
            means = _all(states, "grad_avg")
            _move_mean(means, gradients, keep)
            torch._foreach_sub_(below, _squares(means))
        torch._foreach_sqrt_(below)
        moves: Any = torch._foreach_mul(gradients, group["lr"])
        torch._foreach_div_(moves, below)
        if group["momentum"]:
            moved = _all(states, "momentum")
            torch._foreach_mul_(moved, group["momentum"])
            torch._foreach_add_(moved, moves)
            moves = moved
        torch._foreach_sub_(weights, moves)

    def convert(self, state: dict[str, Any], group: Group) -> None:
        """Multiply torch's momentum by the learning rate."""
        buffer = state.pop("momentum_buffer", None)
        if buffer is not None and group["momentum"]:
            state["momentum"] = buffer * group["lr"]


class Adam(KerasSteps):
    """`lr · sqrt(1 - beta_2^t) / (1 - beta_1^t) · m / (sqrt(v) + epsilon)`.

    This is torch's step with an epsilon divided by `sqrt(1 - beta_2^t)`, so torch's kernels compute it.
    """

    def beginning(self, group: Group) -> dict[str, float]:
        """Return both means and, for AMSGrad, the maximum of the squares."""
        names = ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if group["amsgrad"] else ()))
        return dict.fromkeys(names, 0.0)

    def _update(self, group: Group, count: int, weights: list[Parameter]) -> None:
        states = [self.state[weight] for weight in weights]
        gradients: Any = [weight.grad for weight in weights]
        maxima = _all(states, "max_exp_avg_sq") if group["amsgrad"] else []
        lists = [weights, gradients, _all(states, "exp_avg"), _all(states, "exp_avg_sq"), maxima]
        if not _for_one_kernel([tensor for one in lists for tensor in one]):
            super()._update(group, count, weights)
            return
        beta1, beta2 = group["betas"]
        torch._fused_adamw_(
            *lists, _all(states, "step"), lr=group["lr"], beta1=beta1, beta2=beta2,
            weight_decay=group["weight_decay"], eps=scaled_epsilon(group, count), amsgrad=group["amsgrad"],
            maximize=False,
        )  # type: ignore[call-overload]  # fmt: skip
        increment_version(weights)  # the kernel does not do it, and autograd must notice

    def update(self, group: Group, count: int, weights: Any, gradients: Any, states: States) -> None:
        """Make one step."""
        beta1, beta2 = group["betas"]
        means, squares = _all(states, "exp_avg"), _all(states, "exp_avg_sq")
        _move_mean(means, gradients, beta1)
        _move_mean(squares, _squares(gradients), beta2)
        if group["amsgrad"]:
            largest = _all(states, "max_exp_avg_sq")
            torch._foreach_maximum_(largest, squares)
            squares = largest
        below = torch._foreach_sqrt(squares)
        torch._foreach_add_(below, group["eps"])
        size = group["lr"] * math.sqrt(1.0 - beta2**count) / (1.0 - beta1**count)
        torch._foreach_addcdiv_(weights, means, below, value=-size)


def scaled_epsilon(group: Group, count: int) -> float:
    """Return the epsilon that makes torch's Adam step number `count` equal to Keras'."""
    epsilon: float = group["eps"] / math.sqrt(1.0 - group["betas"][1] ** count)
    return epsilon


def _for_one_kernel(tensors: list[Tensor]) -> bool:
    first = tensors[0]
    if first.dtype not in (torch.float32, torch.float64):
        return False
    return all(one.is_cpu and one.dtype is first.dtype and one.is_contiguous() for one in tensors)


class Nadam(KerasSteps):
    """Adam with Nesterov momentum on Dozat's schedule: `beta_1 · (1 - 0.96^t / 2)` at step t."""

    begins: ClassVar = {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # beta_1, a number of steps, and the product of their momenta.
        self._product = (0.0, 0, 1.0)

    def _product_of_momenta(self, beta1: float, count: int) -> float:
        known, done, product = self._product
        if known != beta1 or done > count:
            done, product = 0, 1.0
        for step in range(done + 1, count + 1):
            product *= _momentum(beta1, step)
            if not product:
                break
        self._product = (beta1, count, product)
        return product

    def update(self, group: Group, count: int, weights: Any, gradients: Any, states: States) -> None:
        """Make one step."""
        beta1, beta2 = group["betas"]
        now, following = _momentum(beta1, count), _momentum(beta1, count + 1)
        product = self._product_of_momenta(beta1, count)
        means, squares = _all(states, "exp_avg"), _all(states, "exp_avg_sq")
        _move_mean(means, gradients, beta1)
        _move_mean(squares, _squares(gradients), beta2)
        ahead = torch._foreach_mul(means, following / (1.0 - product * following))
        torch._foreach_add_(ahead, gradients, alpha=(1.0 - now) / (1.0 - product))
        below = torch._foreach_div(squares, 1.0 - beta2**count)
        torch._foreach_sqrt_(below)
        torch._foreach_add_(below, group["eps"])
        torch._foreach_addcdiv_(weights, ahead, below, value=-group["lr"])

    def convert(self, state: dict[str, Any], group: Group) -> None:
        """Drop torch's product of momenta; here it follows from the number of steps, on another schedule."""
        state.pop("mu_product", None)


def _momentum(beta1: float, count: int) -> float:
    return beta1 * (1.0 - 0.5 * 0.96**count)


class Adamax(KerasSteps):
    """`lr / (1 - beta_1^t) · m / (u + epsilon)`, where u is a decaying maximum of the gradients."""

    begins: ClassVar = {"exp_avg": 0.0, "exp_inf": 0.0}

    def update(self, group: Group, count: int, weights: Any, gradients: Any, states: States) -> None:
        """Make one step."""
        beta1, beta2 = group["betas"]
        means, largest = _all(states, "exp_avg"), _all(states, "exp_inf")
        _move_mean(means, gradients, beta1)
        torch._foreach_mul_(largest, beta2)
        torch._foreach_maximum_(largest, torch._foreach_abs(gradients))
        below = torch._foreach_add(largest, group["eps"])
        torch._foreach_addcdiv_(weights, means, below, value=-group["lr"] / (1.0 - beta1**count))


class Adagrad(KerasSteps):
    """`lr · g / sqrt(sum + epsilon)`, where the sum of squares starts at `initial_accumulator_value`."""

    def beginning(self, group: Group) -> dict[str, float]:
        """Return the sum of squares."""
        return {"sum": group["initial_accumulator_value"]}

    def update(self, group: Group, count: int, weights: Any, gradients: Any, states: States) -> None:
        """Make one step."""
        sums = _all(states, "sum")
        torch._foreach_add_(sums, _squares(gradients))
        below = torch._foreach_add(sums, group["eps"])
        torch._foreach_sqrt_(below)
        torch._foreach_addcdiv_(weights, gradients, below, value=-group["lr"])


class Adadelta(KerasSteps):
    """`lr · sqrt(d + epsilon) / sqrt(v + epsilon) · g`, where d is the mean of the squared past updates."""

    begins: ClassVar = {"square_avg": 0.0, "acc_delta": 0.0}

    def update(self, group: Group, count: int, weights: Any, gradients: Any, states: States) -> None:
        """Make one step."""
        squares, moved, keep = _all(states, "square_avg"), _all(states, "acc_delta"), group["rho"]
        _move_mean(squares, _squares(gradients), keep)
        moves, below = torch._foreach_add(moved, group["eps"]), torch._foreach_add(squares, group["eps"])
        torch._foreach_sqrt_(moves)
        torch._foreach_sqrt_(below)
        torch._foreach_mul_(moves, gradients)
        torch._foreach_div_(moves, below)
        _move_mean(moved, _squares(moves), keep)
        torch._foreach_add_(weights, moves, alpha=-group["lr"])
