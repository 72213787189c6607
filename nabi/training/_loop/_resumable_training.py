"""Training that can be stopped after any batch and taken up again, with the same result to the last bit."""

import math
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import torch
from torch import Tensor

from nabi._row_share import RowShare, having_rows
from nabi.errors import ArgumentError, FileFormatError, NabiError, NotFiniteError
from nabi.files import ModelFile, check_counter, check_tensors, part, read_kind, reading, write_model_file
from nabi.training._callbacks._base import CallbackList
from nabi.training._loop._checkpoint import Position, TrainingState, state_from_file, state_to_file
from nabi.training._loop._checkpoint_checks import check_optimizer_state
from nabi.training._loop._loop import Loop
from nabi.training._loop._old_checkpoint import in_the_present_format
from nabi.training._loop._progress import Display
from nabi.training._workers._group import Workers, find_workers

if TYPE_CHECKING:
    from nabi.training._workers._divided import DividedSteps
    from nabi.training._workers._exchange import GradientExchange

__all__ = ["BatchCallbacks", "ResumableTraining", "TrainingSettings"]

_SECONDS_BETWEEN_CHECKPOINTS = 60.0

BatchCallbacks = Sequence[Callable[[int, dict[str, Any]], None]]
"""Functions that are called after each batch of a validation with its number, and no figures."""


class TrainingSettings(Protocol):
    """The settings that a training needs; `nabi.models._task._described.Described` gives `to_dict`.

    Two more are used where the settings have them:

    - `patience`, a number of epochs or None: training ends when the validation loss has not fallen for so
      many.
    - `averaging`, a number below 1 or None: beside the weights there is their exponential moving average,
      which a step changes by `1 - averaging` of the difference (by more in the first steps: step t, from 0,
      keeps `min(averaging, (1 + t) / (10 + t))`). Validation is done with the average, and it is what is
      kept (Polyak and Juditsky 1992).
    """

    @property
    def epochs(self) -> int | None:
        """How often everything is gone through; not None when training begins."""

    @property
    def learning_rate(self) -> float:
        """Of AdamW."""

    @property
    def clipnorm(self) -> float:
        """The gradient of all weights together is scaled down to this norm."""

    @property
    def weight_decay(self) -> float:
        """Of AdamW."""

    @property
    def seed(self) -> int:
        """Of everything random."""

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate of a step, counted from 0, of so many."""

    def to_dict(self) -> dict[str, Any]:
        """Return all settings by name, as JSON can hold them."""


class ResumableTraining(Loop):
    """One training of a network, which can be stopped after any batch and taken up again.

    AdamW with the gradient clipped by the norm of all weights; after each epoch a validation, whose best
    weights are kept; Ctrl-C ends the training after the batch. A subclass says what a batch is and what its
    loss is:

    - `batches_per_epoch`, `batches(first)` and `loss(batch)` are a must.
    - `begin_epoch()` is called before the first batch of an epoch, and not where training goes on within
      one. What it draws from `generator` must then come back by `extra` and `set_extra`. (An order that
      follows from the seed and `position.epoch` alone, computed in `batches`, needs neither.)
    - `validates` and `validate(after_batch)`, where there is something to validate with.
    - `validation_logs(loss)`, where a validation measures more than what says which weights are best.
    - `validation_share`, which the estimate of the time is better for.
    - `steps`, where it is not `epochs * batches_per_epoch`; what depends on how much is still to come asks
      `planned_steps`.
    - `own(batch, share)`, where a batch is something else than tensors whose first axis are its rows.

    In a process group of several workers, all go through the same batches, and each computes its rows of
    a batch; random numbers of rows are drawn by `drawn_for_rows`. Every worker validates with everything. The
    first one writes the checkpoint, with which any number of workers goes on.

    All that is random comes from `generator`: a checkpoint has its state. Whatever else the next batch
    depends on is `extra()`. A subclass may set its own attributes before or after `super().__init__`: nothing
    is read before `run`.

    Args:
        network: what learns: its parameters that require a gradient.
        settings: with `epochs`, which is not None.
        checkpoint: the file that keeps where training stands, None for none; if it is there, `run` goes on
            from it.
        fingerprint: of what is learnt from and validated with (such as a SHA-256): a checkpoint of another
            one is refused.

    Attributes:
        position: where training stands, with `history` and `seconds`.
        interrupted: whether Ctrl-C ended it before its end.
        generator: of random numbers, with the seed of the settings.
        best: the weights of the lowest validation loss by name, empty before the first.
    """

    goes_on_within_epochs = True
    network: torch.nn.Module
    kind: ClassVar[str]
    """Of its checkpoint files, such as "language model training"; `nabi.files.READERS` names it."""
    material: ClassVar[str] = "texts"
    """What it learns from, for the message that a checkpoint is of another training."""

    def __init__(
        self,
        network: torch.nn.Module,
        settings: TrainingSettings,
        checkpoint: Path | None,
        fingerprint: str,
    ) -> None:
        assert settings.epochs is not None
        self.epochs = settings.epochs
        self.network, self.settings = network, settings
        self._checkpoint, self.fingerprint = checkpoint, fingerprint
        self.weights: list[Tensor] = [weight for weight in network.parameters() if weight.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.weights, settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.position = Position()
        self.best: dict[str, Tensor] = {}
        self.interrupted = False
        self._patience: int | None = getattr(settings, "patience", None)
        self._shall_write = False
        self._averaging: float | None = getattr(settings, "averaging", None)
        self.averages: list[Tensor] = []
        """The moving averages of `weights`, where there are any."""
        if self._averaging is not None:
            self.averages = [weight.detach().clone() for weight in self.weights]
        self._exchange: GradientExchange | None = None
        self._divided: DividedSteps | None = None

    # What a subclass says -----------------------------------------------------------------------------------

    @property
    @abstractmethod
    def batches_per_epoch(self) -> int:
        """How many batches the current epoch has."""

    @property
    def steps(self) -> int:
        """Batches of all epochs, if it has all the time."""
        return self.epochs * self.batches_per_epoch

    @property
    def planned_steps(self) -> int:
        """Batches of the whole training, from which the learning rate follows; asked at every step.

        Fewer than `steps` where there is a limit of time.
        """
        planned = None if self.limit is None else self.limit.steps
        return self.steps if planned is None else planned

    @property
    def planned_epochs(self) -> float:
        """Epochs of the whole training; with a limit of time the last may be a part of one."""
        return (
            self.epochs if self.planned_steps == self.steps else self.planned_steps / self.batches_per_epoch
        )

    @property
    def steps_done(self) -> int:
        """How many batches were trained before."""
        return self.position.step

    @property
    def may_stop_earlier(self) -> bool:
        """Whether patience may end it."""
        return self.validates and self._patience is not None

    @property
    def best_epoch(self) -> int | None:
        """The epoch of the lowest validation loss, from 1."""
        return self.position.best_epoch or None

    @abstractmethod
    def batches(self, first: int) -> Iterator[Any]:
        """Yield the batches of the current epoch from this number on; the last may be smaller."""

    @abstractmethod
    def loss(self, batch: Any) -> tuple[Tensor, float]:
        """Return the mean loss of a batch, to go backward from, and of how many things it is the mean."""

    def own(self, batch: Any, share: RowShare) -> Any:
        """Return the rows of a batch that one of several workers computes."""
        parts = [None if part is None else part[share.rows] for part in batch]
        return type(batch)(*parts) if hasattr(batch, "_fields") else tuple(parts)

    def row_count(self, batch: Any) -> int:
        """Return how many rows a batch has."""
        return len(batch[0])

    @property
    def validates(self) -> bool:
        """Whether there is something to validate with; else the last weights are kept."""
        return False

    def validate(self, after_batch: BatchCallbacks) -> float:
        """Return the loss that says which weights are best, and call `after_batch` after each batch of it.

        Asked after every epoch, where `validates`; nothing of `generator` may be used.
        """
        raise NotImplementedError(f"{type(self).__name__} validates, so it must define validate(after_batch)")

    def validation_logs(self, loss: float) -> dict[str, float]:
        """Return the figures of the last validation by name; by default what `validate` returned."""
        return {"val_loss": loss}

    def extra(self) -> dict[str, Any]:
        """Return, by name, the tensors and JSON values that the next batch depends on, beyond the base's.

        Of several workers all are asked, so that one can give what is about the rows of all.
        """
        return {}

    def set_extra(self, extra: dict[str, Any]) -> None:
        """Take what `extra` gave, when training is taken up again.

        Raises:
            KeyError, TypeError, ValueError: for what does not fit; the file is then called damaged.
        """
        return

    # What it does -------------------------------------------------------------------------------------------

    @property
    def learning_rate(self) -> float:
        """The rate of the last step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def run(self, display: Display, callbacks: CallbackList) -> None:
        """Train until the last epoch, the end of patience or Ctrl-C; leave the network with its best weights.

        Raises:
            FileFormatError: if the checkpoint is damaged or holds something else.
            ArgumentError: if the checkpoint is of a training with other settings or texts.
            NotFiniteError: if the loss or the gradient becomes NaN or infinite.
            WorkerError: if another worker of a process group ends.
        """
        workers = find_workers()
        if workers is not None:
            self._share_with(workers, bool(callbacks.before_batch or callbacks.after_batch))
        file = self._read_checkpoint()
        if file is not None:
            self._resume(file)
            self.is_resumed = True
        self._written = time.perf_counter()
        self._begun = self._written - self.position.seconds
        try:
            super().run(display, callbacks)
        finally:
            if self._divided is not None:
                self._divided.leave()

    def _share_with(self, workers: Workers, is_watched: bool) -> None:
        from nabi.training._workers._divided import DividedSteps
        from nabi.training._workers._exchange import GradientExchange, embeddings_of
        from nabi.training._workers._same import compare

        self.workers, self.is_shared = workers, True
        settings = {f"the setting {name}": value for name, value in self.settings.to_dict().items()}
        network = [str(tuple(one.shape)) for one in self.network.parameters()]
        compare(workers, {**settings, "the data": self.fingerprint, "the network": network})
        workers.take_from_first([*self.network.parameters(), *self.network.buffers(), *self.averages])
        self._exchange = GradientExchange(workers, self.weights, embeddings_of(self.network))
        self._divided = DividedSteps(self._exchange, self.optimizer, workers.any(is_watched))

    def _read_checkpoint(self) -> ModelFile | None:
        """Return the checkpoint that training goes on from; None without one."""
        path = self._checkpoint
        if path is None:
            return None
        if self.workers is None:
            return read_kind(path, (self.kind,)) if path.exists() else None
        problem = file = None
        if self.workers.is_first and path.exists():
            try:
                file = read_kind(path, (self.kind,))
            except NabiError as found:
                problem = found
        file, problem = self.workers.from_first((file, problem))
        if problem is not None:
            raise problem
        return file  # type: ignore[no-any-return]

    def draw_alike(self) -> None:
        """Let all workers draw the same random numbers: those of the first."""
        if self.workers is not None:
            self.generator.set_state(self.workers.from_first(self.generator.get_state()))

    def is_at_its_end(self) -> bool:
        """Return whether the last epoch is done, or patience at its end."""
        position = self.position
        tired = self._patience is not None and position.epoch - position.best_epoch >= self._patience
        return position.epoch >= self.epochs or (self.validates and tired)

    def figures(self) -> dict[str, Any]:
        """Return the mean loss of this epoch."""
        return {"loss": self.position.total / self.position.count}

    def validation_figures(self, display: Display, callbacks: CallbackList) -> dict[str, Any]:
        """Validate, and keep the weights if they are the best so far."""
        self._join_weights()
        if not self.validates:
            return {}
        position = self.position
        callbacks.call("on_test_begin", {})
        self._exchange_averages()
        loss = self.validate([*callbacks.methods("on_test_batch_end"), display.validation_batch])
        callbacks.call("on_test_end", {"loss": loss})
        if loss < position.best:
            position.best, position.best_epoch = loss, position.epoch + 1
            self.best = {name: value.clone() for name, value in self.network.state_dict().items()}
        self._exchange_averages()
        return self.validation_logs(loss)

    def end_epoch(self, logs: dict[str, Any]) -> None:
        """Keep the figures."""
        for name, value in logs.items():
            self.position.history.setdefault(name, []).append(value)

    def end(self) -> None:
        """Keep where training stands if it is to go on, and leave the network with its best weights."""
        self._join_weights()
        self.interrupted = self.interrupt.asked and not self.is_at_its_end()
        self.position.seconds = time.perf_counter() - self._begun
        if self._checkpoint is not None:
            if self.interrupted:
                self._write(self._checkpoint)
            elif self._is_first:
                self._checkpoint.unlink(missing_ok=True)
        if self.best:
            self.network.load_state_dict(self.best)
        else:
            self._exchange_averages()

    def _join_weights(self) -> None:
        """Let every worker have all of the weights, and of what the optimizer keeps, until the next step."""
        if self._divided is not None:
            self._divided.join()

    def _exchange_averages(self) -> None:
        """Put the averages in the place of the weights, and the weights in theirs; so twice is nothing."""
        with torch.no_grad():
            for average, weight in zip(self.averages, self.weights, strict=False):
                kept = weight.clone()
                weight.copy_(average)
                average.copy_(kept)

    def step(self, batch: Any) -> None:
        """Train on a batch, whose loss goes into the mean."""
        position, settings = self.position, self.settings
        rate = settings.rate(position.step, self.planned_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        count: float
        if self._exchange is not None:
            value, count = self._gradients_of_all(batch, rate, self._exchange)
        else:
            loss, count = self.loss(batch)
            value = float(loss.detach())
            self._check_finite("loss", value, rate, lambda: self.loss(batch))
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
        if self._exchange is None:
            norm = float(torch.nn.utils.clip_grad_norm_(self.weights, settings.clipnorm))
        else:
            norm = self._exchange.clip(settings.clipnorm)
        # Clipping turns an infinite gradient into weights that are no numbers, which the loss shows too late.
        self._check_finite("gradient", norm, rate, lambda: self._own_loss(batch).backward())
        if self._divided is None:
            self.optimizer.step()
        else:
            self._divided.step()
        if self._averaging is not None:
            kept = min(self._averaging, (1 + position.step) / (10 + position.step))
            with torch.no_grad():
                torch._foreach_lerp_(self.averages, self.weights, 1 - kept)
        position.total += value * count
        position.count += round(count)
        position.step += 1

    def _gradients_of_all(self, batch: Any, rate: float, exchange: "GradientExchange") -> tuple[float, int]:
        """Give each weight the gradient of the whole batch; return its mean loss, and of how many things."""
        assert self._divided is not None
        self._divided.begin()
        share = exchange.workers.share(self.row_count(batch))
        self.optimizer.zero_grad(set_to_none=True)
        exchange.asked, exchange.writes = self.interrupt.heard, self._is_time_to_write
        with having_rows(share):
            value = 0.0
            if share.count:
                loss, things = self.loss(self.own(batch, share))
                value = float(loss.detach())
                exchange.begin(things)
                with exchange.listening():
                    loss.backward()
            else:
                exchange.begin(0)
            sums = exchange.finish(value, share.count)
            self._check_finite("loss", sums.loss, rate, lambda: self._own_loss(batch))
        if share.total < exchange.workers.count:  # who had no rows has drawn no random numbers
            self.generator.set_state(exchange.workers.from_last(self.generator.get_state()))
        self.interrupt.asked, self._shall_write = sums.asked, sums.writes
        return sums.loss, round(sums.things)

    def _own_loss(self, batch: Any) -> Tensor:
        """Return the loss of this worker's rows of a batch, again."""
        if self.workers is None:
            return self.loss(batch)[0]
        share = self.workers.share(self.row_count(batch))
        with having_rows(share):
            return (
                self.loss(self.own(batch, share))[0] if share.count else torch.zeros((), requires_grad=True)
            )

    def _check_finite(self, name: str, value: float, rate: float, again: Callable[[], object]) -> None:
        if not math.isfinite(value):
            from nabi.training._finite import first_not_finite  # a training that goes well needs none of it

            found = first_not_finite(self.network, again)
            raise NotFiniteError(
                f"{name}: it became {value} in epoch {self.position.epoch + 1}, batch "
                f"{self.position.batch + 1}, training stops. {found and f'{found}. '}Try a smaller learning "
                f"rate (it is {rate:g}) or a smaller clipnorm (it is {self.settings.clipnorm:g})"
            )

    # Checkpoints --------------------------------------------------------------------------------------------

    def keep_checkpoint(self) -> None:
        """Write the checkpoint, once a minute."""
        if self._checkpoint is not None and (
            self._is_time_to_write if self.workers is None else self._shall_write
        ):
            self.position.seconds = time.perf_counter() - self._begun
            self._write(self._checkpoint)
            self._written, self._shall_write = time.perf_counter(), False

    @property
    def _is_time_to_write(self) -> bool:
        return time.perf_counter() - self._written >= _SECONDS_BETWEEN_CHECKPOINTS

    @property
    def _is_first(self) -> bool:
        return self.workers is None or self.workers.is_first

    def _write(self, path: Path) -> None:
        self._join_weights()
        extra = self.extra()
        if not self._is_first:
            return
        described, tensors = state_to_file(
            TrainingState(
                self.position,
                self.optimizer.state_dict(),
                random={"training": self.generator.get_state()},
                best=self.best,
                averages=self._named_averages(),
                extra=extra,
            )
        )
        tensors |= {f"weights/{name}": value for name, value in self.network.state_dict().items()}
        of_what = {"settings": self.settings.to_dict(), "fingerprint": self.fingerprint}
        planned = {} if self.limit is None else {"planned_steps": self.limit.steps}
        write_model_file(path, self.kind, {**of_what, **planned, "training": described}, tensors)

    def _resume(self, file: ModelFile) -> None:
        """Put a training that has not begun to where it stood when the file was written."""
        path, header = file.path, file.header
        same = header.get("fingerprint") == self.fingerprint
        own, kept = self.settings.to_dict(), header.get("settings")
        if isinstance(kept, dict) and "patience" in own:
            kept = {"patience": None} | kept  # which trainings of nabi 0.1 did not have
        if kept != own or not same:
            what = "settings" if same else self.material
            raise ArgumentError(
                f"checkpoint: {path} is of a training with other {what}; take another file, or delete this "
                "one to begin anew"
            )
        with reading(path, "training cannot go on from it"):
            described, tensors = in_the_present_format(header, file.tensors, self.optimizer)
            state, weights = state_from_file(described, tensors), part(tensors, "weights/")
            optimizer = self._check(state, weights)
            check_tensors({name: one for name, one in tensors.items() if "/" not in name}, {})
            planned = header.get("planned_steps")
            if planned is not None:
                planned = check_counter("planned_steps", planned, 2**53)
            # A subclass checks what it has before it takes it.
            self.set_extra(state.extra)
            self.network.load_state_dict(weights)
            self.position = state.position
            self.best = {name: value.clone() for name, value in state.best.items()}
            for place, average in enumerate(self.averages):
                average.copy_(state.averages[str(place)])
            self.optimizer.load_state_dict(optimizer)
            self.generator.set_state(state.random["training"])
        if self.limit is not None:
            self.limit.count_earlier(self.position.seconds, planned)

    def _check(self, state: TrainingState, weights: dict[str, Tensor]) -> dict[str, Any]:
        """Refuse the state of another training, before anything is changed; return that of the optimizer."""
        own = self.network.state_dict()
        check_tensors(weights, own, "weights/")
        if state.best:
            check_tensors(state.best, own, "best/")
        check_tensors(state.averages, self._named_averages(), "averages/")
        check_tensors(state.random, {"training": self.generator.get_state()}, "random/")
        if state.optimizer is None or state.schedule is not None:
            raise FileFormatError("training: expected the state of an optimizer without a schedule")
        check_optimizer_state(state.optimizer, self.optimizer)
        if state.position.epoch > self.epochs:
            raise FileFormatError(
                f"training.completed_epoch: expected {self.epochs} at most, got {state.position.epoch}"
            )
        return state.optimizer

    def _named_averages(self) -> dict[str, Tensor]:
        return {str(number): value for number, value in enumerate(self.averages)}
