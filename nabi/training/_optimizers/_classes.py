"""Optimizers with Keras' names, formulas and defaults, and unmodified ones of `torch.optim`."""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import Parameter

from nabi import _checks
from nabi._public import check_names
from nabi.errors import ArgumentError, NotReadyError
from nabi.kernels import Update
from nabi.training._optimizers._keras_steps import SGD
from nabi.training._optimizers._schedule_classes import LearningRateSchedule, deserialize, rate_at, serialize
from nabi.training._step._fused import FusedStep, PieceSteps

__all__ = ["Optimizer", "TorchOptimizer"]


class Optimizer:
    """A Keras-style optimizer; its torch optimizer is created once the weights exist.

    Args:
        learning_rate: a number or one of `nabi.optimizers.schedules`; `lr` is its old name.
        clipnorm: maximum norm of each weight's gradient.
        clipvalue: maximum absolute value of each gradient element.
        global_clipnorm: maximum norm of all gradients together.
        weight_decay: at each step, weights are first multiplied by `1 - learning_rate · weight_decay`.
        use_ema: whether to keep a moving average of the weights, which replaces them after `fit`.
        ema_momentum: share of the average that is kept at a step.
        ema_overwrite_frequency: number of steps after which the average replaces the weights (default: only
            at
            the end of `fit`).
        decay: the learning rate is divided by `1 + decay · steps`, as in old versions of Keras.
        name: shown in errors.
        options: further options of the optimizer, with Keras' names.

    Raises:
        ArgumentError: for an unknown option or a number out of range.
    """

    # Keras' name of an option -> torch's name and Keras' default.
    options: ClassVar[dict[str, tuple[str, Any]]] = {}
    default_learning_rate: ClassVar[float] = 0.001
    torch_class: ClassVar[type[torch.optim.Optimizer]] = SGD

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule | Mapping[str, Any] | None = None,
        *,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        weight_decay: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        decay: float = 0.0,
        lr: float | None = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        self.name = name or type(self).__name__
        if learning_rate is not None and lr is not None:
            raise ArgumentError("learning_rate: given twice, also by its old name lr")
        given: Any = learning_rate if learning_rate is not None else lr
        # The schedule of the learning rate, if it is not a number.
        self.learning_rate_schedule: LearningRateSchedule | None = None
        if isinstance(given, LearningRateSchedule | Mapping):
            made = deserialize(given) if isinstance(given, Mapping) else given
            self.learning_rate_schedule = made
            given = rate_at(made, 0)
            if decay:
                raise ArgumentError("decay: learning_rate is already a schedule; pass only one of the two")
        self._learning_rate = _checks.real(
            "learning_rate", self.default_learning_rate if given is None else given, least=0
        )
        limits = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        for argument, limit in limits.items():
            if limit is not None:
                limits[argument] = _checks.real(argument, limit, above=0, otherwise=" or None")
        if sum(limit is not None for limit in limits.values()) > 1:
            raise ArgumentError(f"clipnorm: expected only one of {', '.join(limits)}, got {limits}")
        self.clipnorm, self.clipvalue, self.global_clipnorm = limits.values()
        self.decay = _checks.real("decay", decay, least=0)
        if weight_decay is not None:
            weight_decay = _checks.real("weight_decay", weight_decay, least=0, otherwise=" or None")
        self.weight_decay = weight_decay
        self.use_ema = _checks.flag("use_ema", use_ema)
        self.ema_momentum = _checks.rate("ema_momentum", ema_momentum)
        if ema_overwrite_frequency is not None:
            ema_overwrite_frequency = _checks.whole(
                "ema_overwrite_frequency", ema_overwrite_frequency, otherwise=" or None"
            )
        self.ema_overwrite_frequency = ema_overwrite_frequency
        # Keras has these options; their default, None, has no effect.
        for option in ("loss_scale_factor", "gradient_accumulation_steps"):
            if option in options and options.pop(option) is not None:
                raise ArgumentError(f"{option}: expected None; the option is not supported")
        check_names(f"{self.name}(...)", options, [*_COMMON, *self.options])
        self.settings = {
            option: _checked(option, options.get(option, default), default)
            for option, (_, default) in self.options.items()
        }
        self.iterations = 0
        self._torch: torch.optim.Optimizer | None = None
        self._parameters: list[Parameter] = []
        self._fused_step: FusedStep | None = None

    @property
    def torch_optimizer(self) -> torch.optim.Optimizer:
        """The `torch.optim` optimizer; it exists once the model has weights."""
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
                f"learning_rate: {self.name} uses the schedule {self.learning_rate_schedule!r}; create the "
                "optimizer with a number to set it, also from callbacks"
            )
        self._learning_rate = _checks.real("learning_rate", rate, least=0)
        if self._torch is not None:
            for group in self._torch.param_groups:
                group["lr"] = self._learning_rate

    lr = learning_rate

    @property
    def bound(self) -> bool:
        """Whether the optimizer has weights to train."""
        return self._torch is not None

    def bind(self, parameters: Iterable[Parameter]) -> None:
        """Set the weights to train; weights that are already set keep their state.

        Raises:
            ArgumentError: if the optimizer already trains other weights.
        """
        chosen = list(parameters)
        if self._torch is not None:
            known = set(map(id, self._parameters))
            # Weights frozen since then have no gradient, so the optimizer skips them.
            if all(id(new) in known for new in chosen) and (chosen or not self._parameters):
                return
            raise ArgumentError(
                f"optimizer: this {self.name} already trains other weights; create a new one for each model, "
                "and compile again after changing which layers are trainable"
            )
        if not chosen:
            raise ArgumentError("optimizer: the model has no trainable weights")
        self._parameters = chosen
        self._torch = self.make(chosen)

    def make(self, parameters: list[Parameter]) -> torch.optim.Optimizer:
        """Create the `torch.optim` optimizer."""
        options = {self.options[option][0]: value for option, value in self.settings.items()}
        if "beta_1" in self.settings:
            options = {name: value for name, value in options.items() if not name.startswith("beta")}
            options["betas"] = (self.settings["beta_1"], self.settings["beta_2"])
        options["weight_decay"] = self.weight_decay or 0.0
        return self.torch_class(parameters, lr=self._learning_rate, **options)  # type: ignore[call-arg]

    def apply(
        self, grads: Iterable[Tensor | None], trainable_variables: Iterable[Parameter] | None = None
    ) -> None:
        """Update the weights with given gradients, such as those of a model's own `train_step`.

        Args:
            grads: a gradient for each weight, None to leave a weight unchanged.
            trainable_variables: the weights in the same order (default: those of the model).

        Raises:
            ArgumentError: for a weight that the optimizer does not train, or a wrong number of gradients.
        """
        if trainable_variables is not None:
            weights = list(trainable_variables)
            if self._torch is None:
                self.bind(weights)
        else:
            weights = list(self._parameters)
        known, gradients = set(map(id, self._parameters)), list(grads)
        if len(gradients) != len(weights):
            raise ArgumentError(
                f"grads: expected one for each of {len(weights)} weights, got {len(gradients)}"
            )
        if any(id(weight) not in known for weight in weights):
            raise ArgumentError(
                f"trainable_variables: this {self.name} does not train all of them; compile again after "
                "changing which layers are trainable"
            )
        self.clear_gradients()
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        self.step()

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Tensor | None, Parameter]]) -> None:
        """Update the weights with pairs of gradient and weight; see `apply`."""
        pairs = list(grads_and_vars)
        self.apply([gradient for gradient, _ in pairs], [weight for _, weight in pairs])

    def step(self) -> None:
        """Clip the gradients as configured and update the weights."""
        if self.clipnorm is not None:
            for weight in self._parameters:
                if weight.grad is not None:
                    torch.nn.utils.clip_grad_norm_(weight, self.clipnorm)
        elif self.clipvalue is not None:
            torch.nn.utils.clip_grad_value_(self._parameters, self.clipvalue)
        elif self.global_clipnorm is not None:
            torch.nn.utils.clip_grad_norm_(self._parameters, self.global_clipnorm)
        self._set_rate()
        if self._fused_step is None or not self._fused_step.step():
            first = not self.torch_optimizer.state
            self.torch_optimizer.step()
            if first:  # the state now exists
                self.look_again()
        if self.use_ema:
            self._average()
        self.iterations += 1

    def prepare(self) -> Update | None:
        """Prepare the next step as one run of a kernel; None, with nothing done, if `step` must be called.

        Whoever runs it holds weights and gradients meanwhile and calls `has_run` afterwards.
        """
        clips = self.clipnorm or self.clipvalue or self.global_clipnorm
        if self._fused_step is None or clips or self.use_ema or type(self).step is not _STEP:
            return None
        self._set_rate()
        return self._fused_step.prepare()

    def has_run(self, update: Update, steps: int = 1) -> None:
        """Count the step that `prepare` gave, which may have been made several times."""
        assert self._fused_step is not None
        self._fused_step.has_run(update)
        self.iterations += steps

    @property
    def has_steady_rate(self) -> bool:
        """Whether the learning rate is the same at every step, unless somebody sets it."""
        return not self.decay and self.learning_rate_schedule is None

    def can_step_in_pieces(self, weights: Iterable[Tensor]) -> bool:
        """Whether `in_pieces` gives steps, of an optimizer that trains no others than these weights."""
        return (
            self._fused_step is not None
            and not (self.clipnorm or self.clipvalue or self.global_clipnorm or self.use_ema)
            and type(self).step is _STEP
            and set(map(id, self._parameters)) <= set(map(id, weights))
            and self._fused_step.in_pieces({}) is not None
        )

    def in_pieces(self, pieces: Mapping[int, slice]) -> PieceSteps:
        """Return steps that update these pieces of weights, by their ids, and all of other weights."""
        steps = None if self._fused_step is None else self._fused_step.in_pieces(pieces)
        assert steps is not None, "can_step_in_pieces says so"
        return steps

    def step_in_pieces(self, steps: PieceSteps, gradients: Mapping[int, Tensor]) -> None:
        """Update pieces of the weights as `step` would; `gradients` are those of the pieces."""
        self._set_rate()
        steps.step(gradients)
        self.iterations += 1

    def states_like(self, weight: Tensor) -> list[Tensor]:
        """Return what is kept for each element of a weight, in an order that is the same everywhere."""
        state = self.torch_optimizer.state.get(weight, {})
        return [
            state[name]
            for name in sorted(state)
            if isinstance(state[name], Tensor) and state[name].shape == weight.shape
        ]

    def _set_rate(self) -> None:
        """Give the torch optimizer the learning rate of the next step, where it changes from step to step."""
        if self.decay:
            for group in self.torch_optimizer.param_groups:
                group["lr"] = self._learning_rate / (1.0 + self.decay * self.iterations)
        if self.learning_rate_schedule is not None:
            rate = rate_at(self.learning_rate_schedule, self.iterations)
            for group in self.torch_optimizer.param_groups:
                group["lr"] = rate

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averages, initially equal to the weights, towards the weights."""
        every = self.ema_overwrite_frequency
        for weight in self._parameters:
            state = self.torch_optimizer.state[weight]
            if "average" not in state or not self.iterations:
                state["average"] = weight.detach().clone()
            else:
                state["average"].mul_(self.ema_momentum).add_(weight, alpha=1.0 - self.ema_momentum)
            if every and (self.iterations + 1) % every == 0:
                weight.copy_(state["average"])

    def finish(self) -> None:
        """Replace the weights by their moving averages, if there are any; called at the end of `fit`."""
        if not self.use_ema or self._torch is None:
            return
        with torch.no_grad():
            for weight in self._parameters:
                if "average" in self._torch.state[weight]:
                    weight.copy_(self._torch.state[weight]["average"])

    def look_again(self) -> None:
        """Look for a fused step again, after user code may have changed the optimizer."""
        self._fused_step = None if self._torch is None else FusedStep.of(self._torch, self._fused_step)

    def clear_gradients(self) -> None:
        """Clear the gradients of the last step."""
        if self._fused_step is not None:
            self._fused_step.forget_gradients()
        for weight in self._parameters:
            weight.grad = None

    def load_state(self, state: dict[str, Any]) -> None:
        """Load the state from a file."""
        self._fused_step = None
        self.torch_optimizer.load_state_dict(state)
        # A fused step reads a weight and its state in parallel, so both need the same memory layout, which a
        # file does not store.
        for weight, values in self.torch_optimizer.state.items():
            for name, value in values.items():
                if isinstance(value, Tensor) and value.shape == weight.shape:
                    values[name] = torch.empty_like(weight, dtype=value.dtype).copy_(value)

    def move_state(self, device: torch.device) -> None:
        """Move the state to the device of the weights."""
        if self._torch is None:
            return
        self._fused_step = None
        for state in self._torch.state.values():
            for name, value in state.items():
                # Step counters stay where torch expects them: with the weights only in fused kernels.
                if isinstance(value, Tensor) and (value.ndim > 0 or value.device.type != "cpu"):
                    state[name] = value.to(device)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the optimizer."""
        schedule = self.learning_rate_schedule
        return {
            "learning_rate": self._learning_rate if schedule is None else serialize(schedule),
            "clipnorm": self.clipnorm, "clipvalue": self.clipvalue,
            "global_clipnorm": self.global_clipnorm, "weight_decay": self.weight_decay, "decay": self.decay,
            "use_ema": self.use_ema, "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency, "name": self.name, **self.settings,
        }  # fmt: skip

    def __getstate__(self) -> dict[str, Any]:
        # A copy shares no memory with this optimizer, so it needs its own fused step.
        return {**vars(self), "_fused_step": None}

    def __repr__(self) -> str:
        """Show the name and the learning rate."""
        return f"<{self.name}, learning rate {self.learning_rate:g}>"


# A subclass with a step of its own is asked for it.
_STEP = Optimizer.step


class TorchOptimizer(Optimizer):
    """A user's torch optimizer: a class of `torch.optim`, a function of the weights, or an object."""

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
        """Create the `torch.optim` optimizer, or use the given one."""
        made = self.source if isinstance(self.source, torch.optim.Optimizer) else self.source(parameters)
        if not isinstance(made, torch.optim.Optimizer):
            raise ArgumentError(f"optimizer: expected a torch.optim optimizer from {self.name}, got {made!r}")
        if isinstance(made, torch.optim.LBFGS):
            raise ArgumentError(
                "optimizer: LBFGS evaluates the loss several times per step, which fit does not support"
            )
        known = {id(weight) for group in made.param_groups for weight in group["params"]}
        if not known & {id(weight) for weight in parameters}:
            raise ArgumentError(
                f"optimizer: this {self.name} was created for weights that are not the model's; "
                "pass the class, or a function of the parameters"
            )
        self._learning_rate = float(made.param_groups[0]["lr"])
        return made

    def get_config(self) -> dict[str, Any]:
        """Return the config for a file; the options of a torch optimizer are in its state."""
        return {
            "clipnorm": self.clipnorm,
            "clipvalue": self.clipvalue,
            "global_clipnorm": self.global_clipnorm,
        }


_COMMON = (
    "learning_rate", "clipnorm", "clipvalue", "global_clipnorm", "weight_decay", "use_ema", "ema_momentum",
    "ema_overwrite_frequency", "decay", "name",
)  # fmt: skip


def _checked(option: str, value: Any, default: Any) -> Any:
    if isinstance(default, bool):
        return _checks.flag(option, value)
    if value is None and default is None:
        return None
    if option.startswith(("beta", "rho")):
        return _checks.rate(option, value)
    if option == "momentum":
        return _checks.rate(option, value, up_to_one=True)
    return _checks.real(option, value, least=0)
