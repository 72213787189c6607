"""A model's training configuration and state: optimizer, loss, metrics, schedule."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from nabi.errors import ArgumentError
from nabi.training._data._seeds import draw_seed, restore_random_state, seed_count
from nabi.training._losses import _classes as _losses, _functions as functions
from nabi.training._losses._classes import Loss
from nabi.training._metrics import _names as _metrics
from nabi.training._metrics._base import numbers_of
from nabi.training._metrics._names import Metric
from nabi.training._metrics._running_mean import RunningMean
from nabi.training._multi_output import Losses, losses_for, metrics_for
from nabi.training._optimizers import _names as _optimizer_names, _torch_schedules as _schedules
from nabi.training._optimizers._classes import Optimizer
from nabi.training._own_steps import finite

__all__ = ["Compiled", "KeepsExtra", "Trainable"]

# The activation whose logits a loss prefers to probabilities.
_WANTS_LOGITS_OF = {
    functions.categorical_crossentropy: "softmax",
    functions.sparse_categorical_crossentropy: "softmax",
    functions.binary_crossentropy: "sigmoid",
}


class Trainable(Protocol):
    """The interface of models used by the training loop."""

    stop_training: bool
    completed_epoch: int
    history: Any

    def training_outputs(self, x: Any, logits_of: Any) -> Any:
        """Return the outputs of a batch, with logits attached if they are the requested activation."""

    def steps(self) -> Any:
        """Its layers and what each takes, as `Steps`; None where its class decides what is computed."""

    def regularization_loss(self) -> Tensor | None:
        """Return the penalties on weights, or None."""

    def train(self, mode: bool = True) -> Any:
        """Turn training on or off."""

    # Methods that a subclass may define instead of nabi's own; see `nabi.training._own_steps`.
    @property
    def train_step(self) -> Callable[..., Any]:
        """The method for one training step."""

    @property
    def test_step(self) -> Callable[..., Any]:
        """The method for one evaluation step."""

    @property
    def compute_loss(self) -> Callable[..., Any]:
        """The method for the loss of a batch, penalties included."""


class KeepsExtra(Protocol):
    """What keeps something of a run that goes on from a file: a callback, or data with their own order."""

    def get_extra(self) -> dict[str, Any]:
        """Return tensors and JSON values by name."""

    def set_extra(self, extra: dict[str, Any]) -> None:
        """Take them again."""


class Compiled:
    """The arguments of `compile` and the state of training.

    Raises:
        ArgumentError: for anything that can't be used; names are checked first.
    """

    def __init__(
        self,
        optimizer: object = "rmsprop",
        loss: object = None,
        metrics: object = None,
        *,
        weighted_metrics: object = None,
        loss_weights: object = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        schedule: Callable[[torch.optim.Optimizer], Any] | None = None,
        schedule_every: str = "epoch",
        outputs: Sequence[str] = (),
        custom_objects: Mapping[str, Any] | None = None,
        needs_loss: bool = True,
    ) -> None:
        if loss is None and not needs_loss:
            loss = _losses.NoLoss()
        if loss is None:
            raise ArgumentError("loss: expected a name such as 'mse', a function or a torch loss, got None")
        if schedule_every not in ("epoch", "batch"):
            raise ArgumentError(f"schedule_every: expected 'epoch' or 'batch', got {schedule_every!r}")
        # Names of the outputs, if they have names.
        self.outputs = tuple(outputs)
        names = self.outputs or ("output",)
        by_output = losses_for(loss, loss_weights, names, custom_objects)
        for one in by_output.losses:
            if one is not None and one.reduction in ("none", None):
                raise ArgumentError(
                    f"loss: expected one number per batch, got {one.name} with reduction={one.reduction!r}"
                )
        only = by_output.losses[0] if len(names) == 1 and loss_weights is None else None
        self.loss: Loss = only or by_output
        # The metrics as given, each with the number of its output.
        self._asked = metrics_for(metrics, names)
        # Those with sample weights come after the others.
        self._asked_weighted = metrics_for(weighted_metrics, names)
        _metrics.check_weighted([metric for _, metric in self._asked_weighted])
        self.metrics_asked = [metric for _, metric in [*self._asked, *self._asked_weighted]]
        self.optimizer: Optimizer = _optimizer_names.get(
            optimizer, clipnorm=clipnorm, clipvalue=clipvalue, custom_objects=custom_objects
        )
        self.schedule = _schedules.get(schedule, custom_objects)
        if self.schedule is not None and self.optimizer.learning_rate_schedule is not None:
            raise ArgumentError("schedule: learning_rate is already a schedule; pass only one of the two")
        self.schedule_every = schedule_every
        self.scheduler: LRScheduler | ReduceLROnPlateau | None = None
        # Each metric with the number of its output.
        self._measuring: list[tuple[int, Metric]] = []
        self.mean_loss = RunningMean()
        # The result of the model's own step, if it defines one.
        self._taken: dict[str, float] | None = None
        # What metrics had counted in a run that goes on, until they are made.
        self._kept_sums: list[Any] = []
        wanted = tuple(map(_logits_wanted, by_output.losses))
        self.logits_of: Any = wanted if len(names) > 1 else wanted[0]
        sparse = functions.sparse_categorical_crossentropy
        self.sparse = any(one and _losses.loss_function(one) is sparse for one in by_output.losses)
        self.generator: torch.Generator | None = None
        # State of the optimizer and of random numbers from a file, until training continues.
        self.saved_optimizer: dict[str, Any] | None = None
        self.saved_schedule: dict[str, Any] | None = None
        self._saved_random: tuple[int, dict[str, Tensor]] | None = None
        # What a file of a run keeps beside these, by name, while it is written or read.
        self.kept_beside: Mapping[str, KeepsExtra] = {}
        # What trained a small model without autograd, for its next epoch, which is often that of another
        # `fit`; see `nabi.training._step`.
        self.spare: deque[Any] = deque(maxlen=1)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "spare": deque(maxlen=1)}  # it has the memory of this model

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update({"spare": deque(maxlen=1)}, **state)

    def forget_progress(self) -> None:
        """Forget the state of the optimizer: the weights that it was about are there no more."""
        config = _optimizer_names.serialize(self.optimizer)
        self.optimizer = _optimizer_names.get(config)
        self.scheduler = self.saved_optimizer = self.saved_schedule = None
        self.spare.clear()

    def bind(self, parameters: list[Parameter]) -> None:
        """Pass the weights to the optimizer, and their state from a file."""
        is_usual = self.scheduler is None and self.schedule is None and self.saved_optimizer is None
        if is_usual and self.optimizer.bound:
            # The usual case at every fit: only check that the weights are the same.
            self.optimizer.bind(parameters)
            return
        self.optimizer.bind(parameters)
        if self.schedule is not None and self.scheduler is None:
            self.scheduler = _schedules.make(self.schedule, self.optimizer.torch_optimizer)
        if self.saved_optimizer is not None:
            self.optimizer.load_state(self.saved_optimizer)
            self.saved_optimizer = None
        if self.saved_schedule is not None:
            if self.scheduler is not None:
                self.scheduler.load_state_dict(self.saved_schedule)
            self.saved_schedule = None

    def advance_schedule(self, after: str, logs: Mapping[str, Any] | None = None) -> None:
        """Advance the learning rate schedule after an epoch or a batch."""
        if self.scheduler is None or after != self.schedule_every:
            return
        if isinstance(self.scheduler, ReduceLROnPlateau):
            figures = logs or {}
            self.scheduler.step(figures.get("val_loss", figures.get("loss", 0.0)))
        else:
            self.scheduler.step()

    def shuffling(self) -> torch.Generator:
        """Return the generator for shuffling, initially seeded from torch's."""
        if self.generator is None:
            self.generator = torch.Generator().manual_seed(draw_seed())
        return self.generator

    def keep_random_state(self, state: dict[str, Tensor]) -> None:
        """Keep the random state from a file until training continues."""
        self._saved_random = (seed_count(), state)

    @property
    def saved_random(self) -> dict[str, Tensor] | None:
        """The random state from a file, until training continues with it."""
        if self._saved_random is None or self._saved_random[0] != seed_count():
            return None
        return self._saved_random[1]

    def continue_random_state(self, device: torch.device) -> None:
        """Restore the random state from a file, unless the user has set a seed since loading it."""
        if self._saved_random is None:
            return
        count, state = self._saved_random
        self._saved_random = None
        if count == seed_count():
            restore_random_state(state, device)

    @property
    def metrics(self) -> list[Metric]:
        """The metrics; empty before the first measured batch."""
        return [metric for _, metric in self._measuring]

    def measure(self, y: Any, y_pred: Any, weights: Any = None) -> None:
        """Update the metrics with a batch; sample weights apply only to the weighted ones."""
        if not self.metrics_asked:
            return
        if isinstance(y_pred, Tensor):
            y, y_pred, weights = (y,), (y_pred,), (weights,)
        if not self._measuring:
            losses: Any = self.loss.losses if isinstance(self.loss, Losses) else (self.loss,)
            for place, (number, metric) in enumerate([*self._asked, *self._asked_weighted]):
                if y[number] is None:
                    raise ArgumentError(f"y: expected targets for {self.outputs[number]}, got none")
                weighted = place >= len(self._asked)
                made = _metrics.resolve(metric, losses[number], y[number], y_pred[number], weighted=weighted)
                self._measuring.append((number, made))
            self._take_kept_sums()
        for place, (number, measured) in enumerate(self._measuring):
            if place < len(self._asked) or weights is None or weights[number] is None:
                measured.update_state(y[number], y_pred[number])
            else:
                measured.update_state(y[number], y_pred[number], weights[number])

    def take_figures(self, figures: dict[str, float]) -> None:
        """Store the values of the model's own step; the last ones are those of the epoch."""
        self._taken = figures
        if not finite(figures) and self.mean_loss.finite:
            self.mean_loss.add(figures["loss"], 1)

    def reset_figures(self) -> None:
        """Reset the loss and the metrics."""
        self._taken = None
        self._kept_sums = []
        self.mean_loss.reset()
        if isinstance(self.loss, Losses):
            self.loss.reset()
        for metric in self.metrics:
            metric.reset_state()

    def sums(self) -> list[Any]:
        """Return what the loss and the metrics have counted since the last reset, for `take_sums`.

        None for a metric that keeps it elsewhere than in states made by `add_weight`.
        """
        losses = self.loss.means if isinstance(self.loss, Losses) else []
        found: list[Any] = [one.sums() for one in (self.mean_loss, *losses)]
        for metric in self.metrics:
            try:
                found.append(metric.sums() if hasattr(metric, "sums") else None)
            except ArgumentError:
                found.append(None)
        return found

    def take_sums(self, sums: Sequence[Any]) -> None:
        """Go on counting from there."""
        losses = self.loss.means if isinstance(self.loss, Losses) else []
        counting = [self.mean_loss, *losses]
        for one, own in zip(counting, sums, strict=False):
            one.take_sums([own])
        self._kept_sums = list(sums[len(counting) :])
        if self._measuring:
            self._take_kept_sums()

    def _take_kept_sums(self) -> None:
        for metric, sums in zip(self.metrics, self._kept_sums, strict=False):
            if sums is not None:
                metric.take_sums([sums])  # type: ignore[attr-defined]
        self._kept_sums = []

    def figures(self, prefix: str = "") -> dict[str, Any]:
        """Return the loss and the metrics of the batches since the last reset."""
        if self._taken is not None:
            return {prefix + name: value for name, value in self._taken.items()}
        return self.measured(prefix)

    def measured(self, prefix: str = "") -> dict[str, Any]:
        """Return the loss and the metrics accumulated here, ignoring the values of the model's own step."""
        result = {f"{prefix}loss": self.mean_loss.result()}
        if isinstance(self.loss, Losses):
            result |= self.loss.figures(prefix)
        found = [numbers_of(metric) for _, metric in self._measuring]
        names = self._unique([list(one) for one in found], [number for number, _ in self._measuring])
        for named, one in zip(names, found, strict=True):
            result |= {prefix + name: value for name, value in zip(named, one.values(), strict=True)}
        return result

    def _unique(self, names: Sequence[Sequence[str]], outputs: Sequence[int]) -> list[list[str]]:
        """Return unique metric names prefixed with those of their outputs, as in Keras.

        The second `mae` becomes `mae_1`, or `weighted_mae` among the weighted ones.
        """
        counts: dict[str, int] = {}
        result: list[list[str]] = []
        for place, (own, output) in enumerate(zip(names, outputs, strict=True)):
            result.append([])
            for name in own:
                full = self._of_output(output) + name
                if full in counts and place >= len(self._asked):
                    full = f"{self._of_output(output)}weighted_{name}"
                count = counts.get(full, 0)
                counts[full] = count + 1
                result[-1].append(f"{full}_{count}" if count else full)
        return result

    def _of_output(self, number: int) -> str:
        return f"{self.outputs[number]}_" if len(self.outputs) > 1 else ""

    @property
    def metrics_names(self) -> list[str]:
        """Names of the loss and the metrics, the loss first."""
        own = self.loss.figures("") if isinstance(self.loss, Losses) else {}
        if self._measuring:
            measured = [(number, metric.name) for number, metric in self._measuring]
        else:
            asked = [*self._asked, *self._asked_weighted]
            measured = [(number, _metrics.name_of(metric)) for number, metric in asked]
        names = self._unique([[name] for _, name in measured], [number for number, _ in measured])
        return ["loss", *own, *(name for several in names for name in several)]

    def split_metrics(self, values: Sequence[Any]) -> tuple[list[tuple[int, Any]], list[tuple[int, Any]]]:
        """Split values, one per item of `metrics_asked`, into plain and weighted, with output numbers."""
        asked = [*self._asked, *self._asked_weighted]
        pairs = [(number, value) for (number, _), value in zip(asked, values, strict=True)]
        return pairs[: len(self._asked)], pairs[len(self._asked) :]

    def by_output(self, pairs: Sequence[tuple[int, Any]]) -> dict[str, list[Any]]:
        """Group values of metrics into lists by the name of the output."""
        found: dict[str, list[Any]] = {name: [] for name in self.outputs}
        for number, value in pairs:
            found[self.outputs[number]].append(value)
        return found


def _logits_wanted(loss: Loss | None) -> str | None:
    function = None if loss is None else _losses.loss_function(loss)
    from_logits = getattr(loss, "options", {}).get("from_logits", False)
    return _WANTS_LOGITS_OF.get(function) if function and not from_logits else None
