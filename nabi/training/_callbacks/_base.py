"""Callbacks: a user's code that is called in the course of training."""

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, ClassVar

from nabi._checks import as_real
from nabi.errors import ArgumentError
from nabi.files import check_counter, check_figures

__all__ = ["Callback", "CallbackList", "History", "LambdaCallback", "TerminateOnNaN"]

Logs = dict[str, Any]


class Callback:
    """Base class of all callbacks; override the methods you need.

    `self.model` is the model, `self.params` a dictionary with `epochs`, `steps` and `verbose`. Logs contain
    the loss and the metrics of the epoch so far, and at its end also those of the validation, as `val_loss`.

    `on_batch_begin` and `on_batch_end` are the old names of `on_train_batch_begin` and `on_train_batch_end`
    and still work.

    >>> class Losses(Callback):
    ...     def init(self):
    ...         self.losses = []
    ...     def on_epoch_end(self, epoch, logs):
    ...         self.losses.append(logs["loss"])
    """

    # On the class, so that subclasses need not call __init__.
    model: Any = None
    params: Mapping[str, Any] = {}
    # Whether this callback handles a non-finite loss, which is an error otherwise.
    handles_not_finite: ClassVar[bool] = False
    # Whether it is called after all others, since it keeps what they have counted.
    comes_last: ClassVar[bool] = False
    # Whether it leaves model and training as they are, and looks at them only between two epochs. A subclass
    # that does so, too, says it again.
    only_reads: ClassVar[bool] = False
    # Set in on_train_begin by a callback that has restored the model; the number of epochs already trained.
    resumed_epoch: int | None = None

    def set_model(self, model: Any) -> None:
        """Set the model that is trained."""
        self.model = model

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Set the training parameters."""
        self.params = params

    def get_extra(self) -> dict[str, Any]:
        """Return, by name, the tensors and JSON values that `BackupAndRestore` keeps of this callback."""
        return {}

    def set_extra(self, extra: dict[str, Any]) -> None:
        """Take what `get_extra` gave, when a run goes on; comes after `on_train_begin`.

        Raises:
            KeyError, TypeError, ValueError: for what does not fit; the file is then called damaged.
        """

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Called before an epoch, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Called after an epoch and its validation."""

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Old name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Old name of `on_train_batch_end`."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Called before a training batch, counted from 0 in each epoch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Called after a training batch."""
        self.on_batch_end(batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Called before a batch of `evaluate` or of the validation."""

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Called after a batch of `evaluate` or of the validation."""

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Called before a batch of `predict`."""

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """Called after a batch of `predict`."""

    def on_train_begin(self, logs: Any = None) -> None:
        """Called when `fit` starts."""

    def on_resume(self, epoch: int, logs: Any = None) -> None:
        """Called after `on_train_begin` if an earlier run is resumed, which had completed so many epochs."""

    def on_train_end(self, logs: Any = None) -> None:
        """Called when `fit` ends, even if it was stopped."""

    def on_test_begin(self, logs: Any = None) -> None:
        """Called when `evaluate` or the validation starts."""

    def on_test_end(self, logs: Any = None) -> None:
        """Called when `evaluate` or the validation ends."""

    def on_predict_begin(self, logs: Any = None) -> None:
        """Called when `predict` starts."""

    def on_predict_end(self, logs: Any = None) -> None:
        """Called when `predict` ends."""


class History(Callback):
    """The loss and metrics of every epoch, as `history["loss"]`; epoch numbers are in `epoch`."""

    only_reads = True

    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Any = None) -> None:
        """Clear the history."""
        self.history, self.epoch = {}, []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Store the values of the epoch."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def get_extra(self) -> dict[str, Any]:
        """Return the figures, without those that are no numbers."""
        numbers = {name: list(map(as_real, values)) for name, values in self.history.items()}
        return {
            "epoch": list(self.epoch),
            "history": {name: values for name, values in numbers.items() if None not in values},
        }

    def set_extra(self, extra: dict[str, Any]) -> None:
        """Go on with the figures of the epochs before."""
        self.epoch = [check_counter("history.epoch", epoch) for epoch in extra["epoch"]]
        self.history = check_figures("history.history", extra["history"])


class LambdaCallback(Callback):
    """Functions as a callback: `LambdaCallback(on_epoch_end=lambda epoch, logs: print(logs["loss"]))`.

    Raises:
        ArgumentError: for a name that is not a callback method.
    """

    def __init__(self, **functions: Callable[..., Any] | None) -> None:
        for name, function in functions.items():
            if not name.startswith("on_") or not hasattr(Callback, name):
                known = [method for method in dir(Callback) if method.startswith("on_")]
                raise ArgumentError(f"{name}: no such callback method; expected one of {', '.join(known)}")
            if function is not None:
                setattr(self, name, function)


class TerminateOnNaN(Callback):
    """Stop training at a NaN or infinite loss instead of raising `NotFiniteError`."""

    handles_not_finite = True


class CallbackList:
    """The callbacks of one run. Methods that no callback overrides cost nothing.

    Attributes:
        callbacks: all of them, in the order in which they are called.
        only_read: whether all of them leave model and training as they are.
    """

    def __init__(self, callbacks: Iterable[Callback], model: Any, params: Mapping[str, Any]) -> None:
        given = list(callbacks)
        for callback in given:
            if not isinstance(callback, Callback):
                raise ArgumentError(
                    f"callbacks: expected objects of nabi.callbacks.Callback, got {callback!r}"
                )
            callback.set_model(model)
            callback.set_params(params)
        self.callbacks = sorted(given, key=attrgetter("comes_last"))
        self.handles_not_finite = any(callback.handles_not_finite for callback in self.callbacks)
        self.before_batch = self.methods("on_train_batch_begin")
        self.after_batch = self.methods("on_train_batch_end")
        # Not what a base class says: a subclass may do anything.
        only_reads = all(vars(type(callback)).get("only_reads", False) for callback in self.callbacks)
        self.only_read = only_reads and not (self.before_batch or self.after_batch)

    def methods(self, method: str) -> list[Callable[..., Any]]:
        """Return the overridden methods of that name."""
        old = method.replace("_train_batch_", "_batch_")
        return [
            getattr(callback, method)
            for callback in self.callbacks
            if _overrides(callback, method) or (old != method and _overrides(callback, old))
        ]

    def call(self, method: str, *arguments: Any) -> None:
        """Call a method of all callbacks."""
        for callback in self.callbacks:
            getattr(callback, method)(*arguments)


def _overrides(callback: Callback, method: str) -> bool:
    return getattr(getattr(callback, method), "__func__", None) is not getattr(Callback, method)


def as_callbacks(callbacks: object) -> list[Callback]:
    """Return a user's callbacks (none, one or several) as a list."""
    if callbacks is None:
        return []
    if isinstance(callbacks, Callback):
        return [callbacks]
    if isinstance(callbacks, list | tuple):
        return list(callbacks)
    raise ArgumentError(f"callbacks: expected a list of nabi.callbacks.Callback objects, got {callbacks!r}")
