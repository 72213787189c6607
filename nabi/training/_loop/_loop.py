"""The loops: fit, evaluate, predict, and single batches."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from nabi._dtypes import to_numpy
from nabi.errors import ArgumentError, NotFiniteError
from nabi.training._callbacks._base import Callback, CallbackList, History
from nabi.training._compiled import Compiled, Trainable
from nabi.training._data._batches import Batch, Batches
from nabi.training._data._inputs_outputs import Part, first_of
from nabi.training._loop._interrupt import FinishBatch
from nabi.training._loop._progress import Display, make_display
from nabi.training._step._step import Step, evaluate_batch, start_figures

__all__ = ["evaluate", "fit", "predict"]


def fit(
    model: Trainable,
    compiled: Compiled,
    batches: Batches,
    *,
    prepare: Callable[[Part], None] | None,
    epochs: int,
    initial_epoch: int = 0,
    verbose: int | str = "auto",
    callbacks: Sequence[Callback] = (),
    validation: Batches | None = None,
    validation_every: int = 1,
) -> History:
    """Train for some epochs.

    `prepare` is called with the inputs of the first batch; it builds the model and gives the optimizer its
    weights, where that has not been done before.

    Raises:
        NotFiniteError: if the loss becomes NaN or infinite.
        KeyboardInterrupt: after Ctrl-C, at the end of a batch and of `on_train_end`.
    """
    history = History()
    display = make_display(verbose)
    hears = CallbackList(
        # The history comes last, so that it keeps what other callbacks put into the logs.
        [*callbacks, history],
        model,
        {"epochs": epochs, "steps": batches.steps, "verbose": verbose},
    )
    run = _Run(model, compiled, batches, hears, display, prepare)
    model.history = history
    model.stop_training = False
    try:
        with FinishBatch() as interrupt:
            run.interrupt = interrupt
            hears.call("on_train_begin", {})
            epoch = initial_epoch
            for callback in hears.callbacks:
                epoch = max(epoch, callback.resumed_epoch or 0)
            logs: dict[str, Any] = {}
            while epoch < epochs and not model.stop_training:
                checked = validation if (epoch + 1) % validation_every == 0 else None
                logs = run.epoch(epoch, epochs, checked)
                epoch += 1
                if interrupt.asked:
                    break
            if epoch > initial_epoch:
                compiled.optimizer.finish()
            hears.call("on_train_end", logs)
            if interrupt.asked:
                interrupt.raise_now()
    finally:
        display.close()
        model.train(False)
        compiled.optimizer.clear_gradients()
    return history


class _Run:
    """One call of fit."""

    interrupt: FinishBatch

    def __init__(
        self,
        model: Trainable,
        compiled: Compiled,
        batches: Batches,
        hears: CallbackList,
        display: Display,
        prepare: Callable[[Part], None] | None,
    ) -> None:
        self.model, self.compiled, self.batches = model, compiled, batches
        self.hears, self.display, self.prepare = hears, display, prepare
        self.before = hears.hearing("on_train_batch_begin")
        self.after = hears.hearing("on_train_batch_end")
        # What others hear of is only the history, which looks at figures.
        self.alone = all(type(callback) is History for callback in hears.callbacks)

    def epoch(self, epoch: int, epochs: int, validation: Batches | None) -> dict[str, Any]:
        """One epoch with its validation."""
        model, compiled = self.model, self.compiled
        self.hears.call("on_epoch_begin", epoch, {})
        self.display.begin_epoch(epoch, epochs, self.batches.steps)
        start_figures(model, compiled)
        model.train(True)
        complete = self._batches(epoch)
        logs = compiled.figures()
        if not complete:
            return logs
        if validation is not None:
            logs |= _evaluate(model, compiled, validation, self.hears, "val_")
        model.completed_epoch = epoch + 1
        compiled.advance_schedule("epoch", logs)
        self.display.end_epoch(logs)
        self.hears.call("on_epoch_end", epoch, logs)
        return logs

    def _batches(self, epoch: int) -> bool:
        """The batches of an epoch; whether all of them were trained."""
        model, compiled = self.model, self.compiled
        number = -1
        step: Step | None = None
        for number, batch in enumerate(self.batches.epoch()):
            if self.prepare is not None:
                self.prepare(batch[0])
                model.train(True)
                self.prepare = None
            for begin in self.before:
                begin(number, {})
            if step is None or self.before or self.after:
                step = Step(model, compiled, alone=self.alone)
            step.train(batch)
            if not compiled.mean_loss.finite:
                if not self.hears.handles_not_finite:
                    raise _not_finite(epoch, number, batch, compiled)
                model.stop_training = True
            if compiled.scheduler is not None:
                compiled.advance_schedule("batch", None)
            if self.after:
                logs = compiled.figures()
                for end in self.after:
                    end(number, logs)
            if self.display.shows_batches:
                self.display.batch(number + 1, compiled.figures)
            if model.stop_training or self.interrupt.asked:
                last = self.batches.steps is not None and number + 1 == self.batches.steps
                return last or not self.interrupt.asked
        if number < 0:
            raise ArgumentError(
                f"x: it gave no batch in epoch {epoch + 1}; a generator can be read only once: "
                "give steps_per_epoch, or a DataLoader"
            )
        if step is not None and self.alone:
            step.keep()
        # On an accelerator the last losses are looked at here.
        compiled.mean_loss.result()
        if not compiled.mean_loss.finite and not self.hears.handles_not_finite:
            raise _not_finite(epoch, number, None, compiled)
        return True


def _not_finite(epoch: int, number: int, batch: Batch | None, compiled: Compiled) -> NotFiniteError:
    where = f"epoch {epoch + 1}, batch {number + 1}"
    if batch is None or first_of(batch[0]).device.type != "cpu":
        where += " at the latest"
    for name, part in zip(("x", "y"), batch or (), strict=False):
        tensors = [one for one in (part if isinstance(part, tuple) else (part,)) if one is not None]
        if any(one.is_floating_point() and not bool(torch.isfinite(one).all()) for one in tensors):
            return NotFiniteError(
                f"loss: it became {compiled.mean_loss.last} in {where}, because {name} has a NaN "
                "or infinite number there; clean the data"
            )
    rate = compiled.optimizer.learning_rate
    return NotFiniteError(
        f"loss: it became {compiled.mean_loss.last} in {where}, training stops. Try a smaller learning rate "
        f"(it is {rate:g}), clip the gradients with compile(clipnorm=1.0), or scale the data nearer to 0 to 1"
    )


def _evaluate(
    model: Trainable, compiled: Compiled, batches: Batches, hears: CallbackList, prefix: str = ""
) -> dict[str, Any]:
    start_figures(model, compiled)
    before, after = hears.hearing("on_test_batch_begin"), hears.hearing("on_test_batch_end")
    hears.call("on_test_begin", {})
    model.train(False)
    number = -1
    with torch.no_grad():
        for number, batch in enumerate(batches.epoch()):
            for begin in before:
                begin(number, {})
            evaluate_batch(model, compiled, batch)
            if after:
                logs = compiled.figures()
                for end in after:
                    end(number, logs)
    if number < 0:
        raise ArgumentError("x: it gave no batch to evaluate; a generator can be read only once")
    logs = compiled.figures(prefix)
    hears.call("on_test_end", logs)
    return logs


def evaluate(
    model: Trainable,
    compiled: Compiled,
    batches: Batches,
    *,
    verbose: int | str = 0,
    callbacks: Sequence[Callback] = (),
) -> dict[str, Any]:
    """The loss and the metrics on data."""
    display = make_display(verbose)
    hears = CallbackList(callbacks, model, {"steps": batches.steps, "verbose": verbose})
    display.begin_epoch(0, 0, batches.steps)
    try:
        logs = _evaluate(model, compiled, batches, hears)
        display.end_epoch(logs)
    finally:
        display.close()
    return logs


def predict(
    model: Trainable,
    forward: Callable[[Any], Any],
    batches: Batches,
    *,
    verbose: int | str = 0,
    callbacks: Sequence[Callback] = (),
) -> Any:
    """The outputs for data as numpy arrays, in the order of the data."""
    display = make_display(verbose)
    hears = CallbackList(callbacks, model, {"steps": batches.steps, "verbose": verbose})
    before, after = hears.hearing("on_predict_batch_begin"), hears.hearing("on_predict_batch_end")
    hears.call("on_predict_begin", {})
    model.train(False)
    display.begin_epoch(0, 0, batches.steps)
    outputs: list[Any] = []
    # Not inference mode: states that a stateful layer keeps must serve in training afterwards.
    with torch.no_grad():
        for number, (x, _, _) in enumerate(batches.epoch()):
            for begin in before:
                begin(number, {})
            outputs.append(_to_cpu(forward(x)))
            for end in after:
                end(number, {"outputs": outputs[-1]})
            if display.shows_batches:
                display.batch(number + 1, dict)
    if not outputs:
        raise ArgumentError("x: it gave no batch to predict; a generator can be read only once")
    display.end_epoch({})
    display.close()
    hears.call("on_predict_end", {})
    return _join(outputs)


def _to_cpu(output: Any) -> Any:
    if isinstance(output, list | tuple):
        return [_to_cpu(part) for part in output]
    if isinstance(output, Mapping):
        return {name: _to_cpu(part) for name, part in output.items()}
    return to_numpy(output) if isinstance(output, torch.Tensor) else np.asarray(output)


def _join(outputs: list[Any]) -> Any:
    if isinstance(outputs[0], list):
        return [_join(list(parts)) for parts in zip(*outputs, strict=True)]
    if isinstance(outputs[0], dict):
        return {name: _join([one[name] for one in outputs]) for name in outputs[0]}
    return np.concatenate(outputs) if len(outputs) > 1 else np.array(outputs[0])
