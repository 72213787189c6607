"""Training of a language model, and how good it is then.

Truncated backpropagation over parallel streams, whose states go on from window to window.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from nabi._row_share import RowShare, drawn_for_rows
from nabi.data import Vocabulary
from nabi.errors import ArgumentError
from nabi.files import check_counter, check_tensors
from nabi.models._language._network import LanguageNetwork
from nabi.models._language._settings import LanguageSettings
from nabi.models._networks._recurrent_stack import States
from nabi.models._task._described import Described
from nabi.models._task._written_text import Codes
from nabi.training import BatchCallbacks, ResumableTraining

__all__ = ["LanguageReport", "Streams", "Training", "nats"]

_VALIDATION_STREAMS = 16
_CODES_PER_VALIDATION_STREAM = 1000
_VALIDATION_WINDOW = 512
# Of the rows of a window: they begin anew, so that the network learns to begin, as it has to in writing.
_SHARE_THAT_BEGINS = 0.02


@dataclass(frozen=True)
class LanguageReport(Described):
    """What a language model says of texts that it has not learnt from.

    `validation` and `test` are in nats per code, a code being a character or a word: the mean of the
    negative natural logarithm of the probability that it gave to what really came next. None where
    nothing was held out.
    """

    _called: ClassVar[str] = "report"

    unit: str
    """What a code is: "characters", "words" or "pieces"."""
    train_codes: int
    """How many were learnt from."""
    validation_codes: int
    test_codes: int
    validation: float | None
    test: float | None
    seconds: float
    """How long training took."""
    interrupted: bool = False
    """Whether training was stopped before its end."""

    def __str__(self) -> str:
        lines = []
        for name in ("validation", "test"):
            value = getattr(self, name)
            if value is not None:
                counted = f"{getattr(self, f'{name}_codes'):,} {self.unit}"
                lines.append(
                    f"{name}: {value:.4f} nats per {self._one} "
                    f"({value / math.log(2):.3f} bits, perplexity {math.exp(value):,.2f}; {counted})"
                )
        return "\n".join(lines) or "nothing was held out"

    @property
    def _one(self) -> str:
        return self.unit.removesuffix("s")


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
    hearing: BatchCallbacks = (),
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


class Training(ResumableTraining):
    """One training of a language model, which can be stopped after any batch and taken up again.

    A batch is a window of all rows.

    Args:
        network: what learns.
        train: codes to learn from.
        validation: codes that say after every epoch how good it is; the best weights are kept. May be empty:
            then the last are.
        settings: with `epochs`.
        checkpoint: the file that keeps where training stands, None for none; if it is there, training goes on
            from it.
    """

    kind = "language model training"
    network: LanguageNetwork
    settings: LanguageSettings

    def __init__(
        self,
        network: LanguageNetwork,
        train: Codes,
        validation: Codes,
        settings: LanguageSettings,
        checkpoint: Path | None,
    ) -> None:
        fingerprint = hashlib.sha256(train.tobytes() + validation.tobytes()).hexdigest()
        super().__init__(network, settings, checkpoint, fingerprint)
        self._train, self._validation = torch.from_numpy(train), validation
        # Not more rows than have a window each.
        self.rows = max(1, min(settings.batch_size, len(train) // settings.window))
        self.states: States = []
        self._offset = 0
        self.windows = self._streams.count
        """Of the first epoch; later ones may have one less."""

    @property
    def _streams(self) -> Streams:
        window, several = self.settings.window, self.network.several
        return Streams(self._train, self.rows, window, self._offset, several=several)

    @property
    def batches_per_epoch(self) -> int:
        """How many windows the current epoch has."""
        return self._streams.count

    @property
    def steps(self) -> int:
        """Windows of all epochs, about."""
        return self.epochs * self.windows

    def begin_epoch(self) -> None:
        """Begin with states of zero, at a place of the text that is drawn."""
        # Windows begin elsewhere in every epoch, so that no code is always the first of its window.
        window = self.settings.window
        spare = len(self._train) - self.rows * window
        shift = torch.randint(min(window, spare) + 1, (), generator=self.generator)
        self._offset = int(shift) if self.position.epoch and spare > 0 else 0
        self.states = self.network.start(self._own_rows.count)

    @property
    def _own_rows(self) -> RowShare:
        """Which of the rows are this worker's."""
        if self.workers is None:
            return RowShare(0, self.rows, self.rows)
        if self.rows < self.workers.count:
            raise ArgumentError(
                f"batch_size: expected a row of the text for each of {self.workers.count} workers, got "
                f"{self.rows}; take a larger batch_size, a smaller window or fewer workers"
            )
        return self.workers.share(self.rows)

    def batches(self, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield windows."""
        return self._streams.windows(first)

    def loss(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, int]:
        """Return the cross-entropy of a window; the states go on into the next, gradients don't."""
        x, y = batch
        logits, states = self.network(*self._begin_some(x), self.generator)
        self.states = [tuple(state.detach() for state in layer) for layer in states]
        return functional.cross_entropy(logits.flatten(0, 1), y.flatten()), y.numel()

    @property
    def validation_share(self) -> float:
        """How much was held out, as a share of what an epoch learns from."""
        return len(self._validation) / len(self._train)

    @property
    def validates(self) -> bool:
        """Whether a text was held out."""
        return len(self._validation) > 0

    def validate(self, hearing: BatchCallbacks) -> float:
        """Return the nats per code of the text that was held out."""
        rows = min(_VALIDATION_STREAMS, max(1, len(self._validation) // _CODES_PER_VALIDATION_STREAM))
        return nats(self.network, self._validation, rows, hearing)

    def extra(self) -> dict[str, Any]:
        """Return where the windows begin, and the states."""
        states = {
            f"states/{number}/{place}": state if self.workers is None else self.workers.all_rows(state)
            for number, layer in enumerate(self.states)
            for place, state in enumerate(layer)
        }
        return {"offset": self._offset, **states}

    def set_extra(self, extra: dict[str, Any]) -> None:
        """Take what `extra` gave."""
        start = self.network.start(self.rows)
        expected = {
            f"states/{number}/{place}": state
            for number, layer in enumerate(start)
            for place, state in enumerate(layer)
        }
        check_tensors({name: one for name, one in extra.items() if name != "offset"}, expected, "extra/")
        most = max(0, len(self._train) - self.rows * self.settings.window)
        self._offset = check_counter("extra.offset", extra["offset"], min(most, self.settings.window))
        self.states = [
            tuple(extra[f"states/{number}/{place}"][self._own_rows.rows] for place in range(len(layer)))
            for number, layer in enumerate(start)
        ]

    def _begin_some(self, x: Tensor) -> tuple[Tensor, States]:
        """Let a few rows begin at this window: states of zero and, of one text, `START` as its first code."""
        drawn = drawn_for_rows(lambda sizes: torch.rand(sizes, generator=self.generator), (len(x),))
        begins = drawn < _SHARE_THAT_BEGINS
        if not bool(begins.any()):
            return x, self.states
        if not self.network.several:
            x = x.clone()
            x[begins, 0] = Vocabulary.START
        goes_on = ~begins[:, None]
        return x, [tuple(state * goes_on for state in layer) for layer in self.states]
