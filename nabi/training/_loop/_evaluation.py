"""Going over data without training: evaluate and predict."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nabi._dtypes import to_numpy
from nabi.errors import ArgumentError
from nabi.training._callbacks._base import Callback, CallbackList
from nabi.training._compiled import Compiled, Trainable
from nabi.training._data._batches import Batches
from nabi.training._loop._progress import make_display
from nabi.training._step._step import evaluate_batch, start_figures

if TYPE_CHECKING:
    from nabi.training._workers._fit import Together

__all__ = ["evaluate", "evaluate_batches", "predict", "predict_batch"]


def evaluate_batches(
    model: Trainable,
    compiled: Compiled,
    batches: Batches,
    callbacks: CallbackList,
    prefix: str = "",
    together: "Together | None" = None,
    after_batch: Callable[[int, dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """The loss and the metrics on batches, their names after the prefix.

    `after_batch` is called with the number of each batch that is done, and no figures.

    Workers that train together evaluate together: each its rows of every batch.
    """
    start_figures(model, compiled)
    before, after = callbacks.methods("on_test_batch_begin"), callbacks.methods("on_test_batch_end")
    callbacks.call("on_test_begin", {})
    model.train(False)
    number = -1
    with torch.no_grad():
        for number, batch in enumerate(batches.epoch()):
            for begin in before:
                begin(number, {})
            if together is None:
                evaluate_batch(model, compiled, batch)
            else:
                together.evaluate(batch)
            if after_batch is not None:
                after_batch(number, {})
            if after:
                logs = compiled.figures()
                for end in after:
                    end(number, logs)
    if number < 0:
        raise ArgumentError("x: it gave no batch to evaluate; a generator can be read only once")
    logs = compiled.figures(prefix) if together is None else together.validation_figures(prefix)
    callbacks.call("on_test_end", logs)
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
    heard = CallbackList(callbacks, model, {"steps": batches.steps, "verbose": verbose})
    display.begin_epoch(0, 0, batches.steps)
    try:
        logs = evaluate_batches(model, compiled, batches, heard)
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
    heard = CallbackList(callbacks, model, {"steps": batches.steps, "verbose": verbose})
    before, after = heard.methods("on_predict_batch_begin"), heard.methods("on_predict_batch_end")
    heard.call("on_predict_begin", {})
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
    heard.call("on_predict_end", {})
    return _join(outputs)


def predict_batch(model: Trainable, forward: Callable[[Any], Any], x: torch.Tensor) -> Any:
    """The outputs for one batch as numpy arrays, where nobody looks on."""
    if _trains(model):
        model.train(False)
    before = torch.is_grad_enabled()
    # What `torch.no_grad()` does; that takes as long as a small kernel.
    torch._C._set_grad_enabled(False)
    try:
        found = forward(x)
        # A copy: the output may share its memory with the input, or with a state that a layer keeps.
        return np.array(to_numpy(found)) if type(found) is torch.Tensor else _join([_to_cpu(found)])
    finally:
        torch._C._set_grad_enabled(before)


def _trains(module: Any) -> bool:
    return module is not None and (module.training or any(map(_trains, module._modules.values())))


def _to_cpu(output: Any) -> Any:
    if isinstance(output, torch.Tensor):
        return to_numpy(output)
    if isinstance(output, list | tuple):
        return [_to_cpu(part) for part in output]
    if isinstance(output, Mapping):
        return {name: _to_cpu(part) for name, part in output.items()}
    return np.asarray(output)


def _join(outputs: list[Any]) -> Any:
    if isinstance(outputs[0], list):
        return [_join(list(parts)) for parts in zip(*outputs, strict=True)]
    if isinstance(outputs[0], dict):
        return {name: _join([one[name] for one in outputs]) for name in outputs[0]}
    return np.concatenate(outputs) if len(outputs) > 1 else np.array(outputs[0])
