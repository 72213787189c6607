"""Training on film reviews with the lecture's network, several steps per call, in each library.

Embedding, dropout, convolution, max pooling, LSTM, one output; each library's own Adam. All start with the
same weights. The results are the losses of the first three batches without dropout: a difference in the
forward or backward pass would show in the second. A task with `epoch` returns the seconds of a whole epoch
instead.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.layers.arrays import Array, load
from benchmarks.layers.points import Task
from benchmarks.layers.work import Work

__all__ = ["keras_imdb", "nabi_imdb", "torch_imdb", "weights"]

WORDS, WIDTH, FILTERS, KERNEL, POOL, UNITS, DROPOUT, BATCH = 20_000, 128, 64, 5, 4, 70, 0.25, 32
CHECKED = 3

Train = Callable[[Array, Array], Any]


def weights() -> list[Array]:
    """Return the weights in Keras' layout, in the order of its layers."""
    random = np.random.default_rng(0)
    shapes = [(KERNEL, WIDTH, FILTERS), (FILTERS, 4 * UNITS), (UNITS, 4 * UNITS), (UNITS, 1)]
    convolution, kernel, recurrent, dense = (
        random.uniform(-1, 1, shape).astype(np.float32) * np.float32((6 / (shape[-2] + shape[-1])) ** 0.5)
        for shape in shapes
    )
    bias = np.zeros(4 * UNITS, np.float32)
    bias[UNITS : 2 * UNITS] = 1  # of the forget gate
    vectors = random.uniform(-0.05, 0.05, (WORDS, WIDTH)).astype(np.float32)
    zeros = [np.zeros(size, np.float32) for size in (FILTERS, 1)]
    return [vectors, convolution / KERNEL**0.5, zeros[0], kernel, recurrent, bias, dense, zeros[1]]


def work(task: Task, make: Callable[[float], Train], note: str) -> Work:
    """Make the work of a task from a function that makes a network with a dropout rate and trains it."""
    data = load(task["data"])
    x, y = data["x"], data["y"]
    rows = task["steps"] * BATCH
    train = make(DROPOUT)
    whole = task.get("epoch", False)

    def losses() -> dict[str, Array]:
        checked = make(0.0)
        pairs = [slice(start * BATCH, (start + 1) * BATCH) for start in range(CHECKED)]
        return {"losses": np.array([float(checked(x[part], y[part])) for part in pairs], np.float32)}

    def epoch() -> dict[str, Array]:
        start = time.perf_counter()
        train(x, y)
        return {"seconds": np.array([time.perf_counter() - start], np.float32)}

    return Work(lambda: train(x[:rows], y[:rows]), epoch if whole else losses, task["steps"], note)


def nabi_imdb(task: Task) -> Work:
    from nabi import layers
    from nabi.models import Sequential

    if task.get("grouped"):
        return grouped(task)

    def make(rate: float) -> Train:
        model = keras_like(layers, Sequential, layers.Input((task["length"],), dtype="int64"), rate)
        model.compile("adam", "binary_crossentropy")
        model.set_weights(weights())
        return lambda x, y: fit(model, x, y)

    return work(task, make, "fit")


def grouped(task: Task) -> Work:
    """Return the work of the same network on batches of similar length, with masked padding."""
    from nabi import layers
    from nabi.data import LengthGroups
    from nabi.models import Sequential

    data = load(task["data"])
    lengths = data["lengths"]
    x = [row[len(row) - length :] for row, length in zip(data["x"], lengths, strict=True)]
    network = keras_like(layers, Sequential, layers.Input((None,), dtype="int64"), DROPOUT, mask_zero=True)
    network.compile("adam", "binary_crossentropy")
    network.set_weights(weights())
    rows = len(x) if task.get("epoch") else task["steps"] * BATCH
    groups = LengthGroups(x[:rows], data["y"][:rows], batch_size=BATCH, seed=0)

    def run() -> Any:
        return network.fit(groups, verbose=0).history["loss"][0]

    def epoch() -> dict[str, Array]:
        start = time.perf_counter()
        run()
        return {"seconds": np.array([time.perf_counter() - start], np.float32)}

    return Work(run, epoch, task["steps"], "fit over LengthGroups, padding masked")


def keras_imdb(task: Task) -> list[Work]:
    import keras

    def maker(compiled: bool) -> Callable[[float], Train]:
        def make(rate: float) -> Train:
            entry = keras.Input((task["length"],), dtype="int32")
            model = keras_like(keras.layers, keras.Sequential, entry, rate)
            model.compile("adam", "binary_crossentropy", jit_compile=compiled)
            model.set_weights(weights())
            return lambda x, y: fit(model, x, y)

        return make

    choices = task.get("jit_compile", [False])
    return [work(task, maker(compiled), f"fit, jit_compile={compiled}") for compiled in choices]


def keras_like(layers: Any, sequential: Any, entry: Any, rate: float, **options: Any) -> Any:
    return sequential(
        [
            entry,
            layers.Embedding(WORDS, WIDTH, **options),
            layers.Dropout(rate),
            layers.Conv1D(FILTERS, KERNEL, activation="relu"),
            layers.MaxPooling1D(POOL),
            layers.LSTM(UNITS),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def fit(model: Any, x: Array, y: Array) -> Any:
    return model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0).history["loss"][0]


def torch_imdb(task: Task) -> Work:
    import torch
    from torch import Tensor, nn

    class Network(nn.Module):
        def __init__(self, rate: float) -> None:
            super().__init__()
            self.embedding, self.dropout = nn.Embedding(WORDS, WIDTH), nn.Dropout(rate)
            self.convolution, self.pooling = nn.Conv1d(WIDTH, FILTERS, KERNEL), nn.MaxPool1d(POOL)
            self.lstm, self.dense = nn.LSTM(FILTERS, UNITS, batch_first=True), nn.Linear(UNITS, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.dropout(self.embedding(x)).transpose(1, 2)
            x = self.pooling(torch.relu(self.convolution(x))).transpose(1, 2)
            output, _ = self.lstm(x)
            return self.dense(output[:, -1]).squeeze(1)

    def make(rate: float) -> Train:
        network = Network(rate)
        given = [torch.from_numpy(each) for each in weights()]
        vectors, convolution, offset, kernel, recurrent, bias, dense, dense_bias = given
        lstm = network.lstm
        with torch.no_grad():
            for parameter, value in [
                (network.embedding.weight, vectors),
                (network.convolution.weight, convolution.permute(2, 1, 0)),
                (network.convolution.bias, offset),
                (lstm.weight_ih_l0, kernel.t()),
                (lstm.weight_hh_l0, recurrent.t()),
                (lstm.bias_ih_l0, bias),
                (lstm.bias_hh_l0, torch.zeros_like(bias)),
                (network.dense.weight, dense.t()),
                (network.dense.bias, dense_bias),
            ]:
                parameter.copy_(value)
        lstm.bias_hh_l0.requires_grad_(False)  # one bias, as in Keras' LSTM: two would learn twice as fast
        learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
        optimizer, loss_of = torch.optim.Adam(learned), nn.BCEWithLogitsLoss()

        def train(x: Array, y: Array) -> float:
            inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
            total = torch.zeros(())
            for start in range(0, len(inputs), BATCH):
                optimizer.zero_grad()
                loss = loss_of(network(inputs[start : start + BATCH]), targets[start : start + BATCH])
                loss.backward()
                optimizer.step()
                total += loss.detach()
            return float(total) / -(-len(inputs) // BATCH)

        return train

    return work(task, make, "a loop over the batches")
