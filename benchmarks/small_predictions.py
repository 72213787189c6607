"""Measure predictions for one row by small models: `python -m benchmarks.small_predictions`.

For each model: `predict`, `predict_on_batch` and the model itself under `no_grad`, in microseconds; the
latter also layer by layer, as before calls were prepared; and kernels and torch's operators alone, without
what surrounds them. Medians of rounds in alternation, on one thread.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from nabi import layers
from nabi.models import Sequential

CALLS = 50
STEPS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("--rounds", type=int, default=60, help=f"of {CALLS} calls each (default 60)")
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    print("| µs | predict | predict_on_batch | model(x) | layer by layer | operators |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, (model, x) in models().items():
        found = measure(calls(model, x), rounds)
        print(f"| {name} | {' | '.join(f'{one:.1f}' for one in found)} |")


def models() -> dict[str, tuple[Sequential, Any]]:
    """Return small models, each with an input of one row."""
    random = np.random.default_rng(0)
    steps = random.random((1, STEPS, 4), dtype=np.float32)
    words = random.integers(0, 100, (1, STEPS))
    return {
        "GRU 16, Dense 1": (
            Sequential([layers.GRU(16, input_shape=steps.shape[1:]), layers.Dense(1)]),
            steps,
        ),
        "Embedding 8, LSTM 16, Dense 5": (
            Sequential(
                [
                    layers.Embedding(100, 8, input_length=STEPS),
                    layers.LSTM(16),
                    layers.Dense(5, activation="softmax"),
                ]
            ),
            words,
        ),
        "Dense 32, 32, 3": (
            Sequential(
                [
                    layers.Dense(32, input_shape=(8,), activation="relu"),
                    layers.Dense(32, activation="relu"),
                    layers.Dense(3, activation="softmax"),
                ]
            ),
            random.random((1, 8), dtype=np.float32),
        ),
    }


def calls(model: Sequential, x: Any) -> list[Callable[[], Any]]:
    """Return the calls to measure, in the order of the table."""
    given = torch.from_numpy(x)

    def by_layers() -> Any:
        found = given
        for layer in model.layers:
            found = layer(found)
        return found

    def without_gradients(call: Callable[[], Any]) -> Callable[[], Any]:
        def run() -> Any:
            with torch.no_grad():
                return call()

        return run

    called = without_gradients(lambda: model(given))
    for _ in range(3):
        called()
    prepared = model._prepared_calls
    assert prepared is not None
    operators = prepared.calls_for(given)
    assert operators is not None

    def alone() -> Any:
        found = given
        for operator in operators:
            found = operator(found)
        return found

    return [
        lambda: model.predict(x),
        lambda: model.predict_on_batch(x),
        called,
        without_gradients(by_layers),
        without_gradients(alone),
    ]


def measure(found: list[Callable[[], Any]], rounds: int) -> list[float]:
    """Return the time of each call in microseconds."""
    times: list[list[float]] = [[] for _ in found]
    for _ in range(rounds):
        for call, own in zip(found, times, strict=True):
            start = time.perf_counter()
            for _ in range(CALLS):
                call()
            own.append((time.perf_counter() - start) / CALLS * 1e6)
    return [statistics.median(own) for own in times]


if __name__ == "__main__":
    main()
