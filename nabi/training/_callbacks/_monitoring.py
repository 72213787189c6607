"""Callbacks that monitor a metric: early stopping and learning rate changes."""

import math
from collections.abc import Callable
from typing import Any

import torch

from nabi import _checks
from nabi._public import public
from nabi.errors import ArgumentError
from nabi.files import check_counter, check_tensors, part
from nabi.training._callbacks._base import Callback

__all__ = ["EarlyStopping", "LearningRateScheduler", "Monitor", "ReduceLROnPlateau"]

_HIGHER_IS_BETTER = ("auc", "precision", "recall", "f1_score")


class Monitor(Callback):
    """Base class of callbacks that compare a metric with its best value so far.

    Args:
        monitor: its name in the logs.
        mode: "min", "max", or "auto" to infer it from the name.
        min_delta: the smallest change that counts as an improvement.

    Raises:
        ArgumentError: for any other mode; at the end of an epoch, for a name that is not in the logs.
    """

    @public
    def __init__(self, monitor: str = "val_loss", mode: str = "auto", min_delta: float = 0.0) -> None:
        _checks.choice("mode", mode, ("auto", "min", "max"))
        if not isinstance(monitor, str) or not monitor:
            raise ArgumentError(f"monitor: expected the name of a value in the logs, got {monitor!r}")
        self.monitor = monitor
        named_rising = (
            monitor.endswith(("acc", "accuracy")) or monitor.removeprefix("val_") in _HIGHER_IS_BETTER
        )
        rising = mode == "max" or (mode == "auto" and named_rising)
        self._sign = 1.0 if rising else -1.0
        self.min_delta = abs(_checks.real("min_delta", min_delta))
        self.best = -self._sign * math.inf

    def forget(self) -> None:
        """Reset the comparison."""
        self.best = -self._sign * math.inf

    def monitored(self, logs: Any) -> float:
        """Return the figure in the logs."""
        if self.monitor not in (logs or {}):
            hint = (
                "; pass validation_data or validation_split to fit" if self.monitor.startswith("val_") else ""
            )
            raise ArgumentError(
                f"monitor: {type(self).__name__} expected {self.monitor!r} in the logs, got "
                f"{', '.join(logs or {}) or 'nothing'}{hint}"
            )
        return float(logs[self.monitor])

    def get_extra(self) -> dict[str, Any]:
        """Return the best figure so far."""
        return {"best": self.best if math.isfinite(self.best) else None}

    def set_extra(self, extra: dict[str, Any]) -> None:
        """Go on comparing with the best figure so far."""
        if extra["best"] is not None:
            self.best = _checks.real("best", extra["best"])

    def improves(self, value: float, over: float | None = None) -> bool:
        """Tell whether a value is better than `over`, by default the best so far."""
        reference = self.best if over is None else over
        return (
            self._sign * (value - reference) > self.min_delta
            if math.isfinite(reference)
            else (self._sign * value > self._sign * reference)
        )


class EarlyStopping(Monitor):
    """Stop when a metric has not improved for some epochs.

    Args:
        monitor: name of the metric, "val_loss" by default.
        min_delta: the smallest change that counts as an improvement.
        patience: epochs without improvement before stopping.
        verbose: 1 to print a message when it stops.
        mode: "min", "max" or "auto".
        baseline: the value that must first be improved.
        restore_best_weights: whether to restore the weights of the best epoch, however training ends.
        start_from_epoch: earlier epochs are ignored.
    """

    @public
    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = _checks.whole("patience", patience, 0)
        self.verbose = verbose
        if baseline is not None:
            baseline = _checks.real("baseline", baseline, otherwise=" or None")
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = _checks.whole("start_from_epoch", start_from_epoch, 0)
        self.wait = 0
        self.stopped_epoch = 0
        self.best_epoch = 0
        self.best_weights: list[torch.Tensor] | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Reset the counters."""
        self.forget()
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best_weights = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Compare, and stop if patience runs out."""
        value = self.monitored(logs)
        if epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self.improves(value):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = [weight.detach().clone() for weight in self.model.weights]
            if self.baseline is None or self.improves(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= max(self.patience, 1) and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def get_extra(self) -> dict[str, Any]:
        """Return what has been counted, and the best weights."""
        weights = {f"weights/{number}": one for number, one in enumerate(self.best_weights or ())}
        return {**super().get_extra(), "wait": self.wait, "best_epoch": self.best_epoch, **weights}

    def set_extra(self, extra: dict[str, Any]) -> None:
        """Go on counting."""
        weights, own = part(extra, "weights/"), dict(enumerate(self.model.weights))
        if weights:
            check_tensors(weights, {str(number): one for number, one in own.items()}, "best weights/")
            self.best_weights = [weights[str(number)].to(one.device) for number, one in own.items()]
        self.wait = check_counter("wait", extra["wait"])
        self.best_epoch = check_counter("best_epoch", extra["best_epoch"])
        super().set_extra(extra)
        if self.wait >= max(self.patience, 1) and self.model.completed_epoch > 1:
            # It was kept after its last epoch, and ended before all was done.
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        """Restore the best weights."""
        if self.stopped_epoch and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: stopped early, best was epoch {self.best_epoch + 1}")
        if self.best_weights is not None:
            with torch.no_grad():
                for weight, best in zip(self.model.weights, self.best_weights, strict=True):
                    weight.copy_(best)


class ReduceLROnPlateau(Monitor):
    """Lower the learning rate when a metric has not improved for some epochs.

    Args:
        monitor: name of the metric, "val_loss" by default.
        factor: factor of the learning rate, between 0 and 1.
        patience: epochs without improvement before lowering it.
        verbose: 1 to print a message when it is lowered.
        mode: "min", "max" or "auto".
        min_delta: the smallest change that counts as an improvement.
        cooldown: epochs to wait after lowering.
        min_lr: lower bound of the learning rate.
    """

    @public
    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.factor = _checks.real("factor", factor, above=0, below=1)
        self.patience, self.verbose = _checks.whole("patience", patience, 0), verbose
        self.cooldown = _checks.whole("cooldown", cooldown, 0)
        self.min_lr = _checks.real("min_lr", min_lr, least=0)
        self.wait = self._cooling = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Reset the counters."""
        self.forget()
        self.wait = self._cooling = 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Compare, and lower the rate if patience runs out."""
        value = self.monitored(logs)
        logs["learning_rate"] = self.model.optimizer.learning_rate
        if self._cooling:
            self._cooling -= 1
            self.wait = 0
        if self.improves(value):
            self.best, self.wait = value, 0
            return
        if self._cooling:
            return
        self.wait += 1
        rate = self.model.optimizer.learning_rate
        if self.wait >= self.patience and rate > self.min_lr:
            self.model.optimizer.learning_rate = max(rate * self.factor, self.min_lr)
            self.wait, self._cooling = 0, self.cooldown
            if self.verbose:
                print(f"Epoch {epoch + 1}: learning rate lowered to {self.model.optimizer.learning_rate:g}")

    def get_extra(self) -> dict[str, Any]:
        """Return what has been counted."""
        return {**super().get_extra(), "wait": self.wait, "cooling": self._cooling}

    def set_extra(self, extra: dict[str, Any]) -> None:
        """Go on counting."""
        self.wait, self._cooling = (check_counter(name, extra[name]) for name in ("wait", "cooling"))
        super().set_extra(extra)


class LearningRateScheduler(Callback):
    """Set the learning rate at the start of each epoch to `schedule(epoch, rate)` or `schedule(epoch)`.

    Args:
        schedule: a function of the epoch, counted from 0, and optionally of the current rate.
        verbose: 1 to print the new rate.
    """

    @public
    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        if not callable(schedule):
            raise ArgumentError(f"schedule: expected a function of the epoch, got {_checks.short(schedule)}")
        self.schedule = schedule
        self.verbose = verbose
        self._arguments = _positional(schedule)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Set the rate."""
        optimizer = self.model.optimizer
        optimizer.learning_rate = self.schedule(*(epoch, optimizer.learning_rate)[: self._arguments])
        if self.verbose:
            print(f"Epoch {epoch + 1}: learning rate {optimizer.learning_rate:g}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Add the rate to the logs."""
        logs["learning_rate"] = self.model.optimizer.learning_rate


def _positional(function: Callable[..., Any]) -> int:
    """Return how many of (epoch, rate) a schedule takes."""
    import inspect

    try:
        inspect.signature(function).bind(0, 0.0)
    except (TypeError, ValueError):  # built-in types have no signature
        return 1
    return 2
