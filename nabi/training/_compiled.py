"""How a model is trained: optimizer, loss, metrics, schedule, and where training stands."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from nabi.errors import ArgumentError
from nabi.training import _loss_functions as functions
from nabi.training import _losses, _metrics, _optimizer_names, _schedules
from nabi.training._losses import Loss
from nabi.training._metrics import Metric
from nabi.training._optimizers import Optimizer
from nabi.training._running import RunningMean
from nabi.training._seeds import draw_seed, restore_random_state, seed_count

__all__ = ["Compiled", "Trainable"]

# Which activation's logits a loss would rather have.
_WANTS_LOGITS_OF = {
    functions.categorical_crossentropy: "softmax",
    functions.sparse_categorical_crossentropy: "softmax",
    functions.binary_crossentropy: "sigmoid",
}


class Trainable(Protocol):
    """What the loop needs of a model."""

    stop_training: bool
    completed_epoch: int
    history: Any

    def training_outputs(self, x: Tensor, logits_of: str | None) -> Tensor:
        """Outputs of a batch, with their logits attached if they are a softmax or sigmoid as asked for."""

    def direct(self, logits_of: str | None) -> Any:
        """The model as a `DirectModel`, giving logits as asked for; None where it needs autograd."""

    def regularization_loss(self) -> Tensor | None:
        """The penalties on weights, or None."""

    def train(self, mode: bool = True) -> Any:
        """Turn training on or off."""


class Compiled:
    """What `compile` was given, and what has become of it.

    Raises:
        ArgumentError: for anything that cannot be used, names first.
    """

    def __init__(
        self,
        optimizer: object = "rmsprop",
        loss: object = None,
        metrics: object = None,
        *,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        schedule: Callable[[torch.optim.Optimizer], Any] | None = None,
        schedule_every: str = "epoch",
        custom_objects: Mapping[str, Any] | None = None,
    ) -> None:
        if loss is None:
            raise ArgumentError(
                "loss: none was given, expected a name such as 'mse', a function or a torch loss"
            )
        if schedule_every not in ("epoch", "batch"):
            raise ArgumentError(f"schedule_every: got {schedule_every!r}, expected 'epoch' or 'batch'")
        self.loss: Loss = _losses.get(loss, custom_objects)
        self.metrics_asked = _metrics.check(metrics)
        self.optimizer: Optimizer = _optimizer_names.get(
            optimizer, clipnorm=clipnorm, clipvalue=clipvalue, custom_objects=custom_objects
        )
        self.schedule = _schedules.get(schedule, custom_objects)
        self.schedule_every = schedule_every
        self.scheduler: LRScheduler | ReduceLROnPlateau | None = None
        self.metrics: list[Metric] = []
        self.mean_loss = RunningMean()
        loss_function = _losses.loss_function(self.loss)
        from_logits = getattr(self.loss, "options", {}).get("from_logits", False)
        self.logits_of = _WANTS_LOGITS_OF.get(loss_function) if loss_function and not from_logits else None
        self.sparse = loss_function is functions.sparse_categorical_crossentropy
        self.generator: torch.Generator | None = None
        # State that a file held for the optimizer and for random numbers, until training goes on.
        self.saved_optimizer: dict[str, Any] | None = None
        self.saved_schedule: dict[str, Any] | None = None
        self._saved_random: tuple[int, dict[str, Tensor]] | None = None

    def bind(self, parameters: list[Parameter]) -> None:
        """Give the optimizer its weights, and the state that a file held for them."""
        if self.optimizer.bound and self.scheduler is None and self.schedule is None:
            # The usual case, at every fit: nothing to do but to see that the weights are the same.
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
        """Step the learning rate's schedule after an epoch or a batch."""
        if self.scheduler is None or after != self.schedule_every:
            return
        if isinstance(self.scheduler, ReduceLROnPlateau):
            figures = logs or {}
            self.scheduler.step(figures.get("val_loss", figures.get("loss", 0.0)))
        else:
            self.scheduler.step()

    def shuffling(self) -> torch.Generator:
        """The generator that orders the samples; seeded from torch's at first."""
        if self.generator is None:
            self.generator = torch.Generator().manual_seed(draw_seed())
        return self.generator

    def keep_random_state(self, state: dict[str, Tensor]) -> None:
        """Remember the random state of a file until training goes on."""
        self._saved_random = (seed_count(), state)

    @property
    def saved_random(self) -> dict[str, Tensor] | None:
        """The random state of a file that training has not yet gone on with."""
        if self._saved_random is None or self._saved_random[0] != seed_count():
            return None
        return self._saved_random[1]

    def continue_random_state(self, device: torch.device) -> None:
        """Go on with the random numbers of a file, unless the user has set a seed since it was loaded."""
        if self._saved_random is None:
            return
        count, state = self._saved_random
        self._saved_random = None
        if count == seed_count():
            restore_random_state(state, device)

    def measure(self, y: Tensor, y_pred: Tensor) -> None:
        """Take a batch into the metrics."""
        if not self.metrics_asked:
            return
        if not self.metrics:
            self.metrics = [_metrics.resolve(metric, self.loss, y, y_pred) for metric in self.metrics_asked]
        for metric in self.metrics:
            metric.update_state(y, y_pred)

    def reset_figures(self) -> None:
        """Start the loss and the metrics anew."""
        self.mean_loss.reset()
        for metric in self.metrics:
            metric.reset_state()

    def figures(self, prefix: str = "") -> dict[str, Any]:
        """The loss and the metrics of the batches since the last reset."""
        result = {f"{prefix}loss": self.mean_loss.result()}
        for metric in self.metrics:
            result[prefix + metric.name] = float(metric.result())
        return result

    @property
    def metrics_names(self) -> list[str]:
        """Names of the figures, the loss first."""
        if self.metrics:
            return ["loss", *(metric.name for metric in self.metrics)]
        return ["loss", *(_metrics.name_of(metric) for metric in self.metrics_asked)]
