"""The shared inputs and weights, from a seed, in one layout; peers convert them to their own and back.

The layout is torch's: `x` is `[T, B, D]`, weights are `[gates · H, D]`, the gates in torch's order (LSTM
i f g o, GRU r z n). All weights are uniform on ±1/√H; the gradient of the loss with respect to the output is
normal and fixed.
"""

import math
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.layers.points import CELLS, Task

__all__ = ["WEIGHTS", "Array", "Arrays", "disagreements", "layer_arrays", "load", "save", "uniform"]

Array = npt.NDArray[np.float32]
Arrays = dict[str, Array]

WEIGHTS = ("w_x", "w_h", "b_x", "b_h")

# Largest difference from nabi, relative to the largest number of the array: float32 has 24 bits, and every
# library sums the up to 6400 rows or 1536 columns in a different order.
# Losses of the song: Adam's epsilon is inside the bias correction in torch, outside in Keras.
TOLERANCES = {"output": 2e-5, "losses": 1e-3}
TOLERANCE = 2e-4


def uniform(random: np.random.Generator, shape: tuple[int, ...], bound: float) -> Array:
    return random.uniform(-bound, bound, shape).astype(np.float32)


def layer_arrays(task: Task) -> Arrays:
    """Return `x`, `cotangent` and the weights of a layer, the same in every process."""
    batch, time, inputs, units = task["shape"]
    random = np.random.default_rng(zlib.crc32(repr((task["cell"], *task["shape"])).encode()))
    rows, bound = CELLS[task["cell"]] * units, 1 / math.sqrt(units)
    return {
        "x": random.standard_normal((time, batch, inputs), np.float32),
        "cotangent": random.standard_normal((time, batch, units), np.float32),
        "w_x": uniform(random, (rows, inputs), bound),
        "w_h": uniform(random, (rows, units), bound),
        "b_x": uniform(random, (rows,), bound),
        "b_h": uniform(random, (rows,), bound),
    }


def disagreements(found: Arrays, expected: Arrays) -> list[str]:
    """Return where results differ from the expected ones by more than rounding; empty if they agree."""
    if found.keys() != expected.keys():
        return [f"there are {', '.join(sorted(found))}; expected: {', '.join(sorted(expected))}"]
    wrong = []
    for name, wanted in expected.items():
        given = found[name]
        if given.shape != wanted.shape:
            wrong.append(f"{name}: shape {given.shape}, expected {wanted.shape}")
            continue
        error = float(np.max(np.abs(given - wanted), initial=0))
        scale = float(np.max(np.abs(wanted), initial=0)) or 1.0
        if not error <= TOLERANCES.get(name, TOLERANCE) * scale:  # catches NaN too
            wrong.append(f"{name}: differs by {error:.2g} where the largest is {scale:.2g}")
    return wrong


def save(results: Arrays, path: Path) -> None:
    np.savez(path, **results)  # type: ignore[arg-type]


def load(path: Path) -> Arrays:
    with np.load(path) as file:
        return dict(file)
