"""ConvLSTM layers of nabi and of Keras on torch, with the same weights, in one process in turns.

`python benchmarks/convolutional_lstm.py` prints the processor time of a call and of a training step
(medians), and the largest difference of the outputs; with `--memory nabi` or `--memory keras` how much memory
a training step adds to a process of its own.
"""

import argparse
import os
import statistics
import time
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

import keras
import torch

from nabi import layers
from nabi.explain import peak_memory

# Layer, arguments, shape of the inputs.
CASES: dict[str, tuple[str, dict[str, Any], tuple[int, ...]]] = {
    "ConvLSTM1D(32, 5)": ("ConvLSTM1D", {"filters": 32, "kernel_size": 5}, (16, 20, 64, 8)),
    "ConvLSTM2D(16, 3)": ("ConvLSTM2D", {"filters": 16, "kernel_size": 3}, (8, 10, 24, 24, 4)),
    "ConvLSTM2D(32, 3)": ("ConvLSTM2D", {"filters": 32, "kernel_size": 3}, (4, 10, 32, 32, 8)),
    "ConvLSTM3D(8, 3)": ("ConvLSTM3D", {"filters": 8, "kernel_size": 3}, (2, 8, 8, 16, 16, 2)),
}
_ROUNDS = 9


def make(library: Any, name: str, options: dict[str, Any]) -> Any:
    return getattr(library, name)(**options, padding="same", return_sequences=True)


def run(layer: Any, x: torch.Tensor, training: bool) -> None:
    if training:
        layer(x, training=True).square().sum().backward()
        return
    with torch.no_grad():
        layer(x)


def times(layers_: list[Any], x: torch.Tensor, training: bool) -> list[float]:
    found: list[list[float]] = [[] for _ in layers_]
    for _ in range(_ROUNDS):
        for layer, own in zip(layers_, found, strict=True):
            start = time.process_time()
            run(layer, x, training)
            own.append(time.process_time() - start)
    return [statistics.median(own[1:]) for own in found]


def compare() -> None:
    print(
        "| layer | inputs | call: nabi | Keras | ratio | training step: nabi | Keras | ratio | difference |"
    )
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    for title, (name, options, shape) in CASES.items():
        torch.manual_seed(0)
        x = torch.randn(shape)
        own, theirs = make(layers, name, options), make(keras.layers, name, options)
        own(x), theirs(x)
        theirs.set_weights(own.get_weights())
        with torch.no_grad():
            difference = float((own(x) - theirs(x)).abs().max())
        cells = []
        for training in (False, True):
            a, b = times([own, theirs], x, training)
            cells += [f"{1000 * a:.1f} ms", f"{1000 * b:.1f} ms", f"{b / a:.1f}"]
        print(f"| `{title}` | {' × '.join(map(str, shape))} | {' | '.join(cells)} | {difference:.0e} |")


def memory(library: str) -> None:
    name, options, _ = CASES["ConvLSTM2D(32, 3)"]
    layer = make(layers if library == "nabi" else keras.layers, name, options)
    x = torch.randn(16, 20, 32, 32, 8)
    run(layer, x[:1, :2], True)
    before = peak_memory()
    run(layer, x, True)
    print(f"{(peak_memory() - before) / 2**20:.0f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory", choices=("nabi", "keras"))
    parser.add_argument("--threads", type=int, default=1)
    told = parser.parse_args()
    torch.set_num_threads(told.threads)
    memory(told.memory) if told.memory else compare()
