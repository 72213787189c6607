"""A language model of Shakespeare and a forecaster of real series, with one worker and with several.

The batches are those of all workers together, so every number of workers trains the same. Dropout is on.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.many_workers.processes import on_workers
from nabi.data import read_series
from nabi.models import Forecaster, LanguageModel

__all__ = ["compare"]

Found = tuple[float, dict[str, list[float]]]


def shakespeare() -> Found:
    """Train on tiny Shakespeare, about 500 steps; return the seconds and the losses."""
    text = (Path(os.environ["NABI_DATA"]) / "text" / "tiny_shakespeare.txt").read_text()
    model = LanguageModel("lstm", units=128, dropout=0.3, batch_size=32, window=64, epochs=1, seed=0)
    begin = time.perf_counter()
    model.fit([text], verbose=0)
    return time.perf_counter() - begin, model.history


def temperatures() -> Found:
    """Train on ten years of daily temperatures, some hundred steps; return the seconds and the losses."""
    series = read_series(Path(os.environ["NABI_DATA"]) / "series" / "daily-min-temperatures.csv")
    model = Forecaster("gru", units=32, dropout=0.2, batch_size=32, epochs=3, seed=0)
    begin = time.perf_counter()
    model.fit(series, horizon=7, verbose=0)
    return time.perf_counter() - begin, model.history


SYSTEMS: dict[str, Callable[[], Found]] = {"Shakespeare": shakespeare, "temperatures": temperatures}


def compare(counts: list[int]) -> None:
    """Print how far the losses of several workers are from those of one."""
    for name, work in SYSTEMS.items():
        ((seconds, alone),) = on_workers(1, work)
        shown = ", ".join(f"{key} {values[-1]:.6f}" for key, values in alone.items())
        print(f"{name}, 1 worker: {seconds:.0f} s, {shown}", flush=True)
        for count in counts:
            found = on_workers(count, work)
            off = max(
                float(np.max(np.abs(np.subtract(history[key], values)) / np.abs(values)))
                for _, history in found
                for key, values in alone.items()
            )
            alike = all(history == found[0][1] for _, history in found)
            print(
                f"{name}, {count} workers: {max(one for one, _ in found):.0f} s, losses {off:.1e} off, "
                f"{'the same' if alike else 'DIFFERENT'} in all workers",
                flush=True,
            )
