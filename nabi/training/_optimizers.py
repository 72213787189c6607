"""Optimizers by Keras' names and defaults, each over one of `torch.optim`."""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import Parameter

from nabi.errors import ArgumentError, NotReadyError
from nabi.training._fused_adam import FusedAdam
from nabi.training._learning_rates import LearningRateSchedule, deserialize, rate_at, serialize

__all__ = ["Optimizer", "TorchOptimizer"]


class Optimizer:
    """What trains the weights: a `torch.optim` optimizer, made when the weights exist.

    Args:
        learning_rate: a number, or one of `nabi.optimizers.schedules`; also as `lr`, its old name.
        clipnorm: the gradient of each weight is scaled down to this norm.
        clipvalue: each number of the gradients is cut to ± this.
        global_clipnorm: all gradients together are scaled down to this norm.
        weight_decay: decoupled for AdamW, added to the gradient otherwise, as torch defines it.
        decay: the learning rate is divided by `1 + decay · steps`, as Keras once had it.
        name: shown in errors.
        options: of the optimizer, by Keras' names.

    Raises:
        ArgumentError: for an option that the optimizer does not know, or a number out of range.
    """

    # Keras' name of an option -> torch's name and Keras' default.
    options: ClassVar[dict[str, tuple[str, Any]]] = {}
    default_learning_rate: ClassVar[float] = 0.001
    torch_class: ClassVar[type[torch.optim.Optimizer]] = torch.optim.SGD

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule | Mapping[str, Any] | None = None,
        *,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        weight_decay: float | None = None,
        decay: float = 0.0,
        lr: float | None = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        self.name = name or type(self).__name__
        if learning_rate is not None and lr is not None:
            raise ArgumentError("learning_rate: given twice, also by its old name lr")
        given: Any = learning_rate if learning_rate is not None else lr
        # What the learning rate of each step comes from, where it is no number.
        self.learning_rate_schedule: LearningRateSchedule | None = None
        if isinstance(given, LearningRateSchedule | Mapping):
            made = deserialize(given) if isinstance(given, Mapping) else given
            self.learning_rate_schedule = made
            # A schedule may begin at 0, which torch's optimizers take.
            given = rate_at(made, 0) or None
            if decay:
                raise ArgumentError("decay: the learning_rate is a schedule already; give one of the two")
        self._learning_rate = _positive(
            "learning_rate", self.default_learning_rate if given is None else given
        )
        limits = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        for argument, limit in limits.items():
            if limit is not None:
                _positive(argument, limit)
        if sum(limit is not None for limit in limits.values()) > 1:
            raise ArgumentError(f"clipnorm: only one of {', '.join(limits)} may be given, got {limits}")
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        if decay < 0:
            raise ArgumentError(f"decay: got {decay!r}, expected 0 or a positive number")
        self.decay = decay
        self.weight_decay = weight_decay
        unknown = sorted(set(options) - set(self.options))
        if unknown:
            raise ArgumentError(
                f"{unknown[0]}: {self.name} has no such argument; it has learning_rate, clipnorm, clipvalue, "
                f"global_clipnorm, weight_decay, decay{''.join(', ' + option for option in self.options)}"
            )
        self.settings = {option: default for option, (_, default) in self.options.items()} | options
        self.iterations = 0
        self._torch: torch.optim.Optimizer | None = None
        self._parameters: list[Parameter] = []
        self._fused_step: FusedAdam | None = None

    @property
    def torch_optimizer(self) -> torch.optim.Optimizer:
        """The `torch.optim` optimizer; it exists once the model has its weights."""
        if self._torch is None:
            raise NotReadyError(f"optimizer: {self.name} has no weights yet; build or fit the model first")
        return self._torch

    @property
    def learning_rate(self) -> float:
        """The learning rate; setting it takes effect at the next step."""
        if self.learning_rate_schedule is not None:
            return rate_at(self.learning_rate_schedule, self.iterations)
        return self._learning_rate if self._torch is None else float(self._torch.param_groups[0]["lr"])

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        if self.learning_rate_schedule is not None:
            raise ArgumentError(
                f"learning_rate: {self.name} has the schedule {self.learning_rate_schedule!r}, "
                "which says it; "
                "give the optimizer a number to set it, also from callbacks"
            )
        self._learning_rate = _positive("learning_rate", rate)
        if self._torch is not None:
            for group in self._torch.param_groups:
                group["lr"] = self._learning_rate

    lr = learning_rate

    @property
    def bound(self) -> bool:
        """Whether it has weights to train."""
        return self._torch is not None

    def bind(self, parameters: Iterable[Parameter]) -> None:
        """Take the weights to train; the same ones again keep their state.

        Raises:
            ArgumentError: if it already trains other weights.
        """
        chosen = list(parameters)
        if self._torch is not None:
            if len(chosen) == len(self._parameters) and all(
                new is old for new, old in zip(chosen, self._parameters, strict=True)
            ):
                return
            raise ArgumentError(
                f"optimizer: this {self.name} already trains other weights; make a new one for each model, "
                "and compile again after changing which layers are trainable"
            )
        if not chosen:
            raise ArgumentError("optimizer: the model has no trainable weights")
        self._parameters = chosen
        self._torch = self.make(chosen)

    def make(self, parameters: list[Parameter]) -> torch.optim.Optimizer:
        """Make the `torch.optim` optimizer."""
        options = {self.options[option][0]: value for option, value in self.settings.items()}
        if "beta_1" in self.settings:
            options = {name: value for name, value in options.items() if not name.startswith("beta")}
            options["betas"] = (self.settings["beta_1"], self.settings["beta_2"])
        if self.weight_decay is not None:
            options["weight_decay"] = self.weight_decay
        if self._fused(parameters):
            options["fused"] = True
        return self.torch_class(parameters, lr=self._learning_rate, **options)  # type: ignore[call-arg]

    def _fused(self, parameters: list[Parameter]) -> bool:
        """One kernel for all weights is three times faster, where torch has it."""
        able = issubclass(self.torch_class, torch.optim.Adam | torch.optim.AdamW | torch.optim.SGD)
        return able and all(
            weight.device.type in ("cpu", "cuda") and weight.is_floating_point() for weight in parameters
        )

    def step(self) -> None:
        """Clip the gradients as asked for, and update the weights."""
        if self.clipnorm is not None:
            for weight in self._parameters:
                if weight.grad is not None:
                    torch.nn.utils.clip_grad_norm_(weight, self.clipnorm)
        elif self.clipvalue is not None:
            torch.nn.utils.clip_grad_value_(self._parameters, self.clipvalue)
        elif self.global_clipnorm is not None:
            torch.nn.utils.clip_grad_norm_(self._parameters, self.global_clipnorm)
        if self.decay:
            for group in self.torch_optimizer.param_groups:
                group["lr"] = self._learning_rate / (1.0 + self.decay * self.iterations)
        if self.learning_rate_schedule is not None:
            rate = rate_at(self.learning_rate_schedule, self.iterations)
            for group in self.torch_optimizer.param_groups:
                group["lr"] = rate
        if self._fused_step is None or not self._fused_step.step():
            first = not self.torch_optimizer.state
            self.torch_optimizer.step()
            if first:  # now there is a state
                self.look_again()
        self.iterations += 1

    def look_again(self) -> None:
        """Find the shortest way to a step anew, after code of the user's may have changed the optimizer."""
        self._fused_step = None if self._torch is None else FusedAdam.of(self._torch, self._fused_step)

    def clear_gradients(self) -> None:
        """Forget the gradients of the last step."""
        if self._fused_step is not None:
            self._fused_step.forget_gradients()
        for weight in self._parameters:
            weight.grad = None

    def load_state(self, state: dict[str, Any]) -> None:
        """Take the state of a file."""
        self._fused_step = None
        self.torch_optimizer.load_state_dict(state)
        # A fused step walks through a weight and its state side by side, so both need one layout in memory;
        # a file has no layout.
        for weight, values in self.torch_optimizer.state.items():
            for name, value in values.items():
                if isinstance(value, Tensor) and value.shape == weight.shape:
                    values[name] = torch.empty_like(weight, dtype=value.dtype).copy_(value)

    def move_state(self, device: torch.device) -> None:
        """Follow the weights to another device."""
        if self._torch is None:
            return
        self._fused_step = None
        for state in self._torch.state.values():
            for name, value in state.items():
                # Step counters stay where torch wants them: beside the weights only in fused kernels.
                if isinstance(value, Tensor) and (value.ndim > 0 or value.device.type != "cpu"):
                    state[name] = value.to(device)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make this optimizer again."""
        schedule = self.learning_rate_schedule
        return {
            "learning_rate": self._learning_rate if schedule is None else serialize(schedule),
            "clipnorm": self.clipnorm, "clipvalue": self.clipvalue,
            "global_clipnorm": self.global_clipnorm, "weight_decay": self.weight_decay, "decay": self.decay,
            "name": self.name, **self.settings,
        }  # fmt: skip

    def __getstate__(self) -> dict[str, Any]:
        # A copy shares no memory with this optimizer, so it finds its own shortest way.
        return {**vars(self), "_fused_step": None}

    def __repr__(self) -> str:
        """Name and learning rate."""
        return f"<{self.name}, learning rate {self.learning_rate:g}>"


class TorchOptimizer(Optimizer):
    """An optimizer that the user gave: a class of `torch.optim`, a function of the weights, or an object."""

    def __init__(
        self,
        source: torch.optim.Optimizer | Callable[[list[Parameter]], torch.optim.Optimizer],
        **clipping: float | None,
    ) -> None:
        named = source.func if isinstance(source, functools.partial) else source
        super().__init__(name=getattr(named, "__name__", type(named).__name__), **clipping)  # type: ignore[arg-type]
        self.source = source
        if isinstance(source, torch.optim.Optimizer):
            self._learning_rate = float(source.param_groups[0]["lr"])

    def make(self, parameters: list[Parameter]) -> torch.optim.Optimizer:
        """Make the `torch.optim` optimizer, or take the one given."""
        made = self.source if isinstance(self.source, torch.optim.Optimizer) else self.source(parameters)
        if not isinstance(made, torch.optim.Optimizer):
            raise ArgumentError(f"optimizer: {self.name} gave {made!r}, a torch.optim optimizer was expected")
        if isinstance(made, torch.optim.LBFGS):
            raise ArgumentError(
                "optimizer: LBFGS evaluates the loss several times a step, which fit cannot do"
            )
        known = {id(weight) for group in made.param_groups for weight in group["params"]}
        if not known & {id(weight) for weight in parameters}:
            raise ArgumentError(
                f"optimizer: this {self.name} was made for weights that are not the model's; "
                "give the class, or a function of the parameters"
            )
        self._learning_rate = float(made.param_groups[0]["lr"])
        return made

    def get_config(self) -> dict[str, Any]:
        """What a file keeps; the numbers of a torch optimizer are in its state."""
        return {
            "clipnorm": self.clipnorm,
            "clipvalue": self.clipvalue,
            "global_clipnorm": self.global_clipnorm,
        }


def _positive(argument: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ArgumentError(f"{argument}: got {value!r}, expected a positive number") from None
    if not 0 < number < float("inf"):
        raise ArgumentError(f"{argument}: got {value!r}, expected a positive number")
    return number
