"""Training of a language model: truncated backpropagation over parallel streams, whose states go on."""

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nabi.data import Vocabulary
from nabi.errors import NotFiniteError
from nabi.models import _language_checkpoint as checkpoints
from nabi.models._language_network import LanguageNetwork, States
from nabi.models._language_settings import LanguageSettings
from nabi.models._language_text import Codes
from nabi.training._callbacks import CallbackList
from nabi.training._interrupt import FinishBatch
from nabi.training._progress import Display

__all__ = ["Position", "Streams", "Training", "nats"]

_VALIDATION_STREAMS = 16
_CODES_PER_VALIDATION_STREAM = 1000
_VALIDATION_WINDOW = 512
_SECONDS_BETWEEN_CHECKPOINTS = 60.0
# Of the rows of a window: they begin anew, so that the network learns to begin, as it has to in writing.
_SHARE_THAT_BEGINS = 0.02


class Streams:
    """A text as rows that are read side by side, window after window; each begins with states of zero.

    Before the first code of a row is `START`, as if the text began there; but of `several` texts, in
    which `START` says that one has ended, it is what comes before in the text.
    """

    def __init__(
        self, codes: Tensor, rows: int, window: int, offset: int = 0, *, several: bool = False
    ) -> None:
        length = (len(codes) - offset) // rows
        self._targets = codes[offset : offset + length * rows].view(rows, length)
        before = torch.full((rows, 1), Vocabulary.START, dtype=torch.int64)
        if several:
            first = torch.arange(rows) * length + offset
            before[first > 0, 0] = codes[first[first > 0] - 1]
        self._inputs = torch.cat([before, self._targets[:, :-1]], dim=1)
        self._window, self.length = window, length
        self.count = math.ceil(length / window)
        """How many windows there are."""

    def windows(self, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and targets `[B, T]`, from the window of this number on."""
        for at in range(first * self._window, self.length, self._window):
            yield self._inputs[:, at : at + self._window], self._targets[:, at : at + self._window]


def nats(
    network: LanguageNetwork,
    codes: Codes,
    rows: int = 1,
    hearing: Sequence[Callable[[int, dict[str, Any]], None]] = (),
) -> float:
    """Return the mean negative log probability of the codes of a text, read in `rows` parts side by side.

    `hearing` are called with the number of each window that is done.
    """
    streams = Streams(torch.from_numpy(codes), rows, _VALIDATION_WINDOW, several=network.several)
    states, total, count = network.start(rows), 0.0, 0
    with torch.no_grad():
        for number, (x, y) in enumerate(streams.windows()):
            logits, states = network(x, states)
            total += float(functional.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="sum"))
            count += y.numel()
            for hear in hearing:
                hear(number, {})
    return total / count


@dataclass
class Position:
    """Where training stands: after so many epochs, and windows of the next one."""

    epoch: int = 0
    window: int = 0
    step: int = 0
    offset: int = 0
    total: float = 0.0
    """Of the losses of this epoch, each times its codes."""
    codes: int = 0
    best: float = math.inf
    """The lowest validation loss."""
    seconds: float = 0.0
    history: dict[str, list[float]] = field(default_factory=dict)


class Training:
    """One training of a network, which can be stopped after any batch and taken up again.

    Args:
        network: what learns.
        train: codes to learn from.
        validation: codes that say after every epoch how good it is; the best weights are kept. May be empty:
            then the last are.
        settings: with `epochs`.
        checkpoint: the file that keeps where training stands, None for none; if it is there, training goes on
            from it.
    """

    def __init__(
        self,
        network: LanguageNetwork,
        train: Codes,
        validation: Codes,
        settings: LanguageSettings,
        checkpoint: Path | None,
    ) -> None:
        assert settings.epochs is not None
        self.network, self.settings, self.epochs = network, settings, settings.epochs
        self._train, self._validation = torch.from_numpy(train), validation
        # Not more rows than have a window each.
        self.rows = max(1, min(settings.batch_size, len(train) // settings.window))
        self._weights = list(network.parameters())
        self.optimizer = torch.optim.AdamW(
            self._weights, settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.position = Position()
        self.states: States = []
        self.best: dict[str, Tensor] = {}
        self.interrupted = False
        self._checkpoint = checkpoint
        self._fingerprint = hashlib.sha256(train.tobytes() + validation.tobytes()).hexdigest()
        self.windows = Streams(self._train, self.rows, settings.window).count
        if checkpoint is not None and checkpoint.exists():
            checkpoints.resume(self, checkpoint, self._fingerprint)

    def run(self, display: Display, hears: CallbackList) -> None:
        """Train until the last epoch or Ctrl-C; leave the network with its best weights.

        Raises:
            NotFiniteError: if the loss becomes NaN or infinite.
        """
        self._written = time.perf_counter()
        self._begun = self._written - self.position.seconds
        hears.call("on_train_begin", {})
        try:
            with FinishBatch() as interrupt:
                while self.position.epoch < self.epochs and not self.interrupted:
                    self._epoch(display, hears, interrupt)
        finally:
            display.close()
        self.position.seconds = time.perf_counter() - self._begun
        if self._checkpoint is not None:
            if self.interrupted:
                self._write()
            else:
                self._checkpoint.unlink(missing_ok=True)
        if self.best:
            self.network.load_state_dict(self.best)
        hears.call("on_train_end", {})

    def _epoch(self, display: Display, hears: CallbackList, interrupt: FinishBatch) -> None:
        position, settings = self.position, self.settings
        if not position.window:
            # Windows begin elsewhere in every epoch, so that no code is always the first of its window.
            spare = len(self._train) - self.rows * settings.window
            shift = torch.randint(min(settings.window, spare) + 1, (), generator=self.generator)
            position.offset = int(shift) if position.epoch and spare > 0 else 0
            self.states = self.network.start(self.rows)
        streams = Streams(
            self._train, self.rows, settings.window, position.offset, several=self.network.several
        )
        hears.call("on_epoch_begin", position.epoch, {})
        display.begin_epoch(position.epoch, self.epochs, streams.count)
        after = hears.hearing("on_train_batch_end")
        for x, y in streams.windows(position.window):
            self._step(x, y)
            logs = {"loss": position.total / position.codes}
            for end in after:
                end(position.window - 1, logs)
            if display.shows_batches:
                display.batch(position.window, logs.copy)
            if interrupt.asked:
                self.interrupted = True
                return
            self._write_now_and_then()
        logs = {"loss": position.total / position.codes}
        if len(self._validation):
            rows = min(_VALIDATION_STREAMS, max(1, len(self._validation) // _CODES_PER_VALIDATION_STREAM))
            hears.call("on_test_begin", {})
            hearing = hears.hearing("on_test_batch_end")
            loss = nats(self.network, self._validation, rows, hearing)
            logs["val_loss"] = loss
            if loss < position.best:
                position.best = loss
                self.best = {name: value.clone() for name, value in self.network.state_dict().items()}
        for name, value in logs.items():
            position.history.setdefault(name, []).append(value)
        display.end_epoch(dict(logs))
        hears.call("on_epoch_end", position.epoch, logs)
        position.epoch += 1
        position.window, position.total, position.codes = 0, 0.0, 0
        self.interrupted = interrupt.asked and position.epoch < self.epochs
        self._write_now_and_then()

    def _step(self, x: Tensor, y: Tensor) -> None:
        position, settings = self.position, self.settings
        rate = settings.rate(position.step, self.epochs * self.windows)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        logits, states = self.network(*self._begin_some(x), self.generator)
        loss = functional.cross_entropy(logits.flatten(0, 1), y.flatten())
        value = float(loss.detach())
        if not math.isfinite(value):
            raise NotFiniteError(
                f"loss: it became {value} in epoch {position.epoch + 1}, batch {position.window + 1}, "
                f"training stops. Try a smaller learning rate (it is {rate:g}) or a smaller clipnorm "
                f"(it is {settings.clipnorm:g})"
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._weights, settings.clipnorm)
        self.optimizer.step()
        # The states go on into the next window, gradients don't.
        self.states = [tuple(state.detach() for state in layer) for layer in states]
        position.total += value * y.numel()
        position.codes += y.numel()
        position.window += 1
        position.step += 1

    def _begin_some(self, x: Tensor) -> tuple[Tensor, States]:
        """Let a few rows begin at this window: states of zero and, of one text, `START` as its first code."""
        begins = torch.rand(self.rows, generator=self.generator) < _SHARE_THAT_BEGINS
        if not bool(begins.any()):
            return x, self.states
        if not self.network.several:
            x = x.clone()
            x[begins, 0] = Vocabulary.START
        goes_on = ~begins[:, None]
        return x, [tuple(state * goes_on for state in layer) for layer in self.states]

    def _write_now_and_then(self) -> None:
        if time.perf_counter() - self._written >= _SECONDS_BETWEEN_CHECKPOINTS:
            self._write()

    def _write(self) -> None:
        if self._checkpoint is None:
            return
        self.position.seconds = time.perf_counter() - self._begun
        checkpoints.write(self, self._checkpoint, self._fingerprint)
        self._written = time.perf_counter()
