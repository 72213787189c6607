"""Learning curves of networks of one size on Shakespeare: nabi's LSTM and GRU, PyTorch's LSTM.

All three are trained by the same loop on the same windows with the settings of `nabi run shakespeare`.
PyTorch's network is `Embedding`, `nn.LSTM`, dropout and `Linear`; it has no dropout of recurrent weights,
because `nn.LSTM` does not support it.
"""

import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nabi import cells, recipes
from nabi.callbacks import Callback
from nabi.data import Vocabulary
from nabi.models._language._network import LanguageNetwork
from nabi.models._language._settings import LanguageSettings
from nabi.models._language._training import Training
from nabi.models._networks._recurrent_stack import States
from nabi.models._task._written_text import divide, encode, read_texts
from nabi.recipes import shakespeare
from nabi.training._callbacks._base import CallbackList
from nabi.training._loop._progress import make_display

__all__ = ["NETWORKS", "train"]

NETWORKS = ("LSTM", "GRU", "PyTorch LSTM")


class TorchNetwork(torch.nn.Module):
    """A typical PyTorch network for the same task, with the interface of `LanguageNetwork`."""

    several = False

    def __init__(self, codes: int, settings: LanguageSettings) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(codes, settings.embedding_size)
        self.lstm = torch.nn.LSTM(settings.embedding_size, settings.units, batch_first=True)
        self.dropout = torch.nn.Dropout(settings.dropout)
        self.readout = torch.nn.Linear(settings.units, codes)

    def start(self, batch: int) -> States:
        return [(torch.zeros(batch, self.lstm.hidden_size), torch.zeros(batch, self.lstm.hidden_size))]

    def forward(
        self, codes: Tensor, states: States, generator: torch.Generator | None = None
    ) -> tuple[Tensor, States]:
        h, c = (state[None] for state in states[0])
        output, (h, c) = self.lstm(self.embedding(codes), (h, c))
        if generator is not None:
            output = self.dropout(output)
        return self.readout(output), [(h[0], c[0])]


class Clock(Callback):
    """Records the validation loss and the training time after each epoch; stops after a given time."""

    def __init__(self, name: str, minutes: float) -> None:
        super().__init__()
        self.points: list[dict[str, float]] = []
        self._name, self._minutes = name, minutes
        self.training: Training | None = None
        self._wall = self._processor = 0.0
        self._begun = (0.0, 0.0)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._begun = time.perf_counter(), time.process_time()

    def on_test_begin(self, logs: Any = None) -> None:
        self._wall += time.perf_counter() - self._begun[0]
        self._processor += time.process_time() - self._begun[1]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        assert logs is not None
        self.points.append(
            {"seconds": self._wall, "processor_seconds": self._processor, "validation": logs["val_loss"]}
        )
        print(
            f"{self._name}: epoch {epoch + 1}, validation {logs['val_loss']:.4f}, {self._wall:.0f} s",
            flush=True,
        )
        if self._processor >= self._minutes * 60 * torch.get_num_threads():
            assert self.training is not None
            self.training.epochs = epoch + 1  # this was the last


def train(name: str, file: Path, minutes: float, seed: int = 0) -> dict[str, Any]:
    """Train one of `NETWORKS` for a given time, in whole epochs; return its validation losses over time."""
    settings = LanguageSettings(
        cell="gru" if name == "GRU" else "lstm",
        units=shakespeare.UNITS,
        embedding_size=shakespeare.EMBEDDING,
        dropout=shakespeare.DROPOUT,
        weight_drop=shakespeare.WEIGHT_DROP,
        batch_size=shakespeare.STREAMS,
        window=shakespeare.WINDOW,
        learning_rate=shakespeare.LEARNING_RATE,
        epochs=recipes.get("shakespeare").epochs,
        seed=seed,
    )
    parts = divide(read_texts(file), 0.05, 0.05, seed)
    vocabulary = Vocabulary.learn(parts.train[0].splitlines(keepends=True), "characters", lowercase=False)
    codes = [encode(vocabulary, part, False) for part in (parts.train, parts.validation)]
    torch.manual_seed(seed)
    network: torch.nn.Module
    if name == "PyTorch LSTM":
        network = TorchNetwork(len(vocabulary), settings)
    else:
        cell = cells.GRU(settings.units) if name == "GRU" else cells.LSTM(settings.units)
        network = LanguageNetwork(len(vocabulary), settings, cell)
    clock = Clock(name, minutes)
    clock.training = Training(network, *codes, settings, None)
    clock.training.run(make_display(0), CallbackList([clock], None, {}))
    parameters = sum(weight.numel() for weight in network.parameters())
    return {"parameters": parameters, "points": clock.points, "threads": torch.get_num_threads()}
