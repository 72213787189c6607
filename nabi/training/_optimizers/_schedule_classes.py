"""Learning rates that depend on the number of training steps, with Keras' names and formulas."""

import bisect
import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

from nabi import _checks
from nabi.errors import ArgumentError, unknown_name

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "rate_at",
    "serialize",
]


class LearningRateSchedule:
    """Base class: `schedule(step)` is the learning rate of a step, counted from 0.

    An optimizer takes one instead of a number. Your own schedule overrides `__call__` and, if models are
    saved, `get_config`; `load_model` then needs its class in `custom_objects`.

    >>> from nabi import optimizers
    >>> class Halves(optimizers.schedules.LearningRateSchedule):
    ...     def __call__(self, step):
    ...         return 0.1 * 0.5 ** step
    >>> optimizers.SGD(Halves()).learning_rate
    0.1
    """

    def __call__(self, step: int) -> Any:
        """Return the learning rate of a step."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(step)")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the schedule."""
        raise ArgumentError(
            f"learning_rate: {type(self).__name__} has no get_config(), so a file can't hold it; "
            "define one that returns the arguments of its __init__"
        )

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make a schedule from what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        return type(self).__name__


class _Decay(LearningRateSchedule):
    """Base class of the schedules in this file, whose arguments are their configuration."""

    def __init__(self, **arguments: Any) -> None:
        for name, value in arguments.items():
            if name in ("staircase", "cycle"):
                arguments[name] = _checks.flag(name, value)
                continue
            if name == "name" or (name == "warmup_target" and value is None):
                continue
            least = 1 if name == "t_mul" else None
            above = 0 if name in ("decay_steps", "first_decay_steps") else None
            number = _checks.real(name, value, least=least, above=above)
            whole = _checks.as_whole(value, floats=False)
            arguments[name] = number if whole is None else whole
        self._arguments = arguments
        vars(self).update(arguments)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the schedule."""
        return dict(self._arguments)

    def __repr__(self) -> str:
        given = (f"{name}={value!r}" for name, value in self._arguments.items() if name != "name")
        return f"{type(self).__name__}({', '.join(given)})"


class ExponentialDecay(_Decay):
    """`initial_learning_rate · decay_rate ^ (step / decay_steps)`; stepwise with `staircase=True`.

    >>> schedule = ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5)
    >>> schedule(0), schedule(20)
    (0.1, 0.025)
    """

    initial_learning_rate: float
    decay_steps: float
    decay_rate: float
    staircase: bool

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        super().__init__(
            initial_learning_rate=initial_learning_rate, decay_steps=decay_steps, decay_rate=decay_rate,
            staircase=staircase, name=name,
        )  # fmt: skip

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step."""
        power = step / self.decay_steps
        return float(
            self.initial_learning_rate * self.decay_rate ** (math.floor(power) if self.staircase else power)
        )


class InverseTimeDecay(_Decay):
    """`initial_learning_rate / (1 + decay_rate · step / decay_steps)`; stepwise with `staircase=True`.

    >>> InverseTimeDecay(0.1, decay_steps=10, decay_rate=1.0)(10)
    0.05
    """

    initial_learning_rate: float
    decay_steps: float
    decay_rate: float
    staircase: bool

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        super().__init__(
            initial_learning_rate=initial_learning_rate, decay_steps=decay_steps, decay_rate=decay_rate,
            staircase=staircase, name=name,
        )  # fmt: skip

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step."""
        passed = step / self.decay_steps
        passed = math.floor(passed) if self.staircase else passed
        return float(self.initial_learning_rate / (1.0 + self.decay_rate * passed))


class PolynomialDecay(_Decay):
    """From `initial_learning_rate` to `end_learning_rate` over `decay_steps`.

    The remaining share of the difference is `(1 - step / decay_steps) ^ power`.
    Defaults: `end_learning_rate=0.0001`, `power=1`. `cycle=True` extends `decay_steps` to the next multiple
    not yet passed, so the rate rises again.

    >>> PolynomialDecay(0.1, decay_steps=10, end_learning_rate=0.0)(5)
    0.05
    """

    initial_learning_rate: float
    decay_steps: float
    end_learning_rate: float
    power: float
    cycle: bool

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        super().__init__(
            initial_learning_rate=initial_learning_rate, decay_steps=decay_steps,
            end_learning_rate=end_learning_rate, power=power, cycle=cycle, name=name,
        )  # fmt: skip

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step."""
        steps = self.decay_steps
        if self.cycle:
            steps = steps * max(1, math.ceil(step / steps))
        left = 1.0 - min(step, steps) / steps
        span = self.initial_learning_rate - self.end_learning_rate
        return float(span * left**self.power + self.end_learning_rate)


class CosineDecay(_Decay):
    """Half a cosine wave from `initial_learning_rate` down to `alpha` times it, over `decay_steps`.

    With a `warmup_target`, the rate first rises to it linearly over `warmup_steps`, then falls.
    Source: Loshchilov and Hutter 2017.

    >>> schedule = CosineDecay(0.1, decay_steps=10)
    >>> schedule(0), round(schedule(5), 4), schedule(10)
    (0.1, 0.05, 0.0)
    """

    initial_learning_rate: float
    decay_steps: float
    alpha: float
    warmup_target: float | None
    warmup_steps: float

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        super().__init__(
            initial_learning_rate=initial_learning_rate, decay_steps=decay_steps, alpha=alpha, name=name,
            warmup_target=warmup_target, warmup_steps=warmup_steps,
        )  # fmt: skip

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step."""
        top: float = self.initial_learning_rate
        passed: float = step
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return float(top + (self.warmup_target - top) * step / self.warmup_steps)
            top, passed = self.warmup_target, step - self.warmup_steps
        return float(top * _wave(min(passed, self.decay_steps) / self.decay_steps, 1.0, self.alpha))


def _wave(share: float, height: float, alpha: float) -> float:
    """Return a value from `height` at a share of 0 to `alpha` at a share of 1."""
    return (1.0 - alpha) * 0.5 * height * (1.0 + math.cos(math.pi * share)) + alpha


class CosineDecayRestarts(_Decay):
    """Repeated `CosineDecay`: each wave is `t_mul` times as long and `m_mul` times as high as the last.

    Defaults: `t_mul=2`, `m_mul=1`, `alpha=0`. Source: Loshchilov and Hutter 2017.

    >>> schedule = CosineDecayRestarts(0.1, first_decay_steps=10)
    >>> schedule(0), schedule(10), round(schedule(20), 4)
    (0.1, 0.1, 0.05)
    """

    initial_learning_rate: float
    first_decay_steps: float
    t_mul: float
    m_mul: float
    alpha: float

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        super().__init__(
            initial_learning_rate=initial_learning_rate, first_decay_steps=first_decay_steps, t_mul=t_mul,
            m_mul=m_mul, alpha=alpha, name=name,
        )  # fmt: skip

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step."""
        length: float = self.first_decay_steps
        passed: float = step
        restarts = 0
        if self.t_mul == 1:
            restarts, passed = int(step // length), step % length
        else:
            while passed >= length:
                passed, length, restarts = passed - length, length * self.t_mul, restarts + 1
        return float(self.initial_learning_rate * _wave(passed / length, self.m_mul**restarts, self.alpha))


class PiecewiseConstantDecay(LearningRateSchedule):
    """`values[0]` up to the step `boundaries[0]`, then `values[1]` up to `boundaries[1]`, and so on.

    Raises `ArgumentError` unless the boundaries increase and there is one more value than boundaries.

    >>> schedule = PiecewiseConstantDecay([100, 200], [1.0, 0.5, 0.1])
    >>> schedule(100), schedule(101), schedule(1000)
    (1.0, 0.5, 0.1)
    """

    def __init__(
        self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant"
    ) -> None:
        for argument, given in (("boundaries", boundaries), ("values", values)):
            if not isinstance(given, list | tuple):
                raise ArgumentError(f"{argument}: expected a list of numbers, got {_checks.short(given)}")
        self.boundaries = [_checks.real("boundaries", one) for one in boundaries]
        self.values = [_checks.real("values", one) for one in values]
        if len(values) != len(boundaries) + 1 or self.boundaries != sorted(self.boundaries):
            raise ArgumentError(
                f"boundaries: expected {len(values) - 1} increasing numbers for {len(values)} values, "
                f"got {list(boundaries)}"
            )
        self.name = name

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step."""
        return self.values[bisect.bisect_left(self.boundaries, step)]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the schedule."""
        return {"boundaries": self.boundaries, "values": self.values, "name": self.name}


_CLASSES: dict[str, type[LearningRateSchedule]] = {
    made.__name__: made
    for made in (
        CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay, PiecewiseConstantDecay,
        PolynomialDecay,
    )
}  # fmt: skip


def rate_at(schedule: LearningRateSchedule, step: int) -> float:
    """Return the learning rate of a step; `ArgumentError` unless it is a finite number of 0 or more."""
    try:
        rate = float(schedule(step))
    except (TypeError, ValueError) as problem:
        raise ArgumentError(
            f"learning_rate: expected a number from {schedule!r} for step {step} ({problem})"
        ) from problem
    if not 0 <= rate < math.inf:
        raise ArgumentError(
            f"learning_rate: expected a number of 0 or more from {schedule!r}, got {rate} for step {step}"
        )
    return rate


def serialize(learning_rate_schedule: LearningRateSchedule) -> dict[str, Any]:
    """Describe a schedule as a JSON-able dictionary `{"class_name", "config"}`.

    >>> serialize(ExponentialDecay(0.1, 10, 0.5))["class_name"]
    'ExponentialDecay'
    """
    if not isinstance(learning_rate_schedule, LearningRateSchedule):
        raise ArgumentError(f"learning_rate_schedule: expected a schedule, got {learning_rate_schedule!r}")
    return {
        "class_name": type(learning_rate_schedule).__name__,
        "config": learning_rate_schedule.get_config(),
    }


def deserialize(
    config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> LearningRateSchedule:
    """Make the schedule that `serialize` described; your own classes come from `custom_objects`.

    Raises:
        UnknownNameError: for an unknown class.
        ArgumentError: for an invalid description.
    """
    if not isinstance(config, Mapping) or not {"class_name", "config"} <= set(config):
        raise ArgumentError(f"config: expected a dictionary with 'class_name' and 'config', got {config!r}")
    name = config["class_name"]
    made = (custom_objects or {}).get(name) or _CLASSES.get(name)
    if made is None:
        raise unknown_name("class_name", name, [*_CLASSES, *(custom_objects or {})])
    if not (isinstance(made, type) and issubclass(made, LearningRateSchedule)):
        raise ArgumentError(f"custom_objects: expected a subclass of LearningRateSchedule, got {made!r}")
    return made.from_config(dict(config["config"]))
