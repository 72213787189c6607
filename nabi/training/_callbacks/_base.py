"""Callbacks: a user's code that is called in the course of training."""

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, ClassVar

from nabi._checks import as_real
from nabi.errors import ArgumentError
from nabi.interchange import check_counter, check_figures

__all__ = ["Callback", "CallbackList", "History", "LambdaCallback", "TerminateOnNaN"]

Logs = dict[str, Any]


class Callback:
    """Base of all callbacks; override what you want to hear.

    `self.model` is the model, `self.params` a dictionary with `epochs`, `steps` and `verbose`. Logs hold the
    loss and the metrics of the epoch so far; at its end also those of the validation, as `val_loss`.

    `on_batch_begin` and `on_batch_end` are the old names of `on_train_batch_begin` and `on_train_batch_end`;
    either works.

    >>> class Losses(Callback):
    ...     def init(self):
    ...         self.losses = []
    ...     def on_epoch_end(self, epoch, logs):
    ...         self.losses.append(logs["loss"])
    """

    # On the class, so that subclasses need not call our __init__.
    model: Any = None
    params: Mapping[str, Any] = {}
    # Whether a loss that is not finite is this callback's business instead of an error.
    handles_not_finite: ClassVar[bool] = False
    # Whether it is called after all others, since it keeps what they have counted.
    comes_last: ClassVar[bool] = False
    # Set in on_train_begin by a callback that has put the model back to where it was after so many epochs.
    resumed_epoch: int | None = None

    def set_model(self, model: Any) -> None:
        """Hear which model is trained."""
        self.model = model

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Hear how it is trained."""
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
        """Before an epoch, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """After an epoch and its validation."""

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Old name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Old name of `on_train_batch_end`."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Before a training batch, counted from 0 in each epoch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """After a training batch."""
        self.on_batch_end(batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Before a batch of `evaluate` or of the validation."""

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """After a batch of `evaluate` or of the validation."""

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Before a batch of `predict`."""

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """After a batch of `predict`."""

    def on_train_begin(self, logs: Any = None) -> None:
        """When `fit` starts."""

    def on_train_end(self, logs: Any = None) -> None:
        """When `fit` ends, also when it was stopped."""

    def on_test_begin(self, logs: Any = None) -> None:
        """When `evaluate` or the validation starts."""

    def on_test_end(self, logs: Any = None) -> None:
        """When `evaluate` or the validation ends."""

    def on_predict_begin(self, logs: Any = None) -> None:
        """When `predict` starts."""

    def on_predict_end(self, logs: Any = None) -> None:
        """When `predict` ends."""


class History(Callback):
    """Figures of every epoch: `history["loss"]` and the like, and the epochs' numbers in `epoch`."""

    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Any = None) -> None:
        """Start with nothing."""
        self.history, self.epoch = {}, []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Keep the figures."""
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
        ArgumentError: for a name that is no callback method.
    """

    def __init__(self, **functions: Callable[..., Any] | None) -> None:
        for name, function in functions.items():
            if not name.startswith("on_") or not hasattr(Callback, name):
                known = [method for method in dir(Callback) if method.startswith("on_")]
                raise ArgumentError(f"{name}: no such callback method; there are {', '.join(known)}")
            if function is not None:
                setattr(self, name, function)


class TerminateOnNaN(Callback):
    """Stop quietly at a loss that is NaN or infinite, instead of with a `NotFiniteError`."""

    handles_not_finite = True


class CallbackList:
    """The callbacks of one run. Methods that nobody has overridden cost nothing."""

    def __init__(self, callbacks: Iterable[Callback], model: Any, params: Mapping[str, Any]) -> None:
        given = list(callbacks)
        for callback in given:
            if not isinstance(callback, Callback):
                raise ArgumentError(
                    f"callbacks: got {callback!r}, expected objects of nabi.callbacks.Callback"
                )
            callback.set_model(model)
            callback.set_params(params)
        self.callbacks = sorted(given, key=attrgetter("comes_last"))
        self.handles_not_finite = any(callback.handles_not_finite for callback in self.callbacks)
        self.before_batch = self.methods("on_train_batch_begin")
        self.after_batch = self.methods("on_train_batch_end")

    def methods(self, method: str) -> list[Callable[..., Any]]:
        """The methods of that name that do something."""
        old = method.replace("_train_batch_", "_batch_")
        return [
            getattr(callback, method)
            for callback in self.callbacks
            if _overrides(callback, method) or (old != method and _overrides(callback, old))
        ]

    def call(self, method: str, *arguments: Any) -> None:
        """Call a method of all."""
        for callback in self.callbacks:
            getattr(callback, method)(*arguments)


def _overrides(callback: Callback, method: str) -> bool:
    return getattr(getattr(callback, method), "__func__", None) is not getattr(Callback, method)


def as_callbacks(callbacks: object) -> list[Callback]:
    """Callbacks as a user gives them: none, one, or several."""
    if callbacks is None:
        return []
    if isinstance(callbacks, Callback):
        return [callbacks]
    if isinstance(callbacks, list | tuple):
        return list(callbacks)
    raise ArgumentError(f"callbacks: got {callbacks!r}, expected a list of nabi.callbacks.Callback objects")
