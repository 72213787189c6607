"""How far are steps in float32 from float64, in Python and as exported code?

    python -m benchmarks.exported_agreement --cells layer-norm-lstm hyper-lstm

For every cell, a layer of 6 units (or `--units`) reads 20 steps of random numbers: whole, as the model does
in float32, step by step in `nabi.Stream`, and as WebAssembly, whose code has no fused multiply-add. Each is
compared with the model in float64. The last column is how far the outputs in float64 move if the input is
rounded differently, by half a unit in the last place of float32: no arithmetic in float32 can be expected to
do better.
"""

import argparse
import copy
from typing import Any

import numpy as np
import torch

import nabi
from benchmarks.exported_step import in_wasmtime
from nabi import cells, layers, models
from nabi.utils import set_random_seed

NAMES = ("lstm", "gru", "layer-norm-lstm", "hyper-lstm")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cells", nargs="+", default=NAMES)
    parser.add_argument("--seeds", type=int, default=5, help="of weights and input; the largest counts")
    parser.add_argument("--units", type=int, default=6)
    given = parser.parse_args()
    print(
        "| cell | model in float32 | nabi.Stream | WebAssembly | WebAssembly from the model | rounded input |"
    )
    print("|---|---:|---:|---:|---:|---:|")
    for name in given.cells:
        rows = np.array([differences(name, given.units, seed) for seed in range(given.seeds)])
        print(f"| {name} | {' | '.join(f'{one:.1e}' for one in rows.max(0))} |", flush=True)


def differences(name: str, units: int, seed: int) -> list[float]:
    """Return the largest differences, relative to the largest output where that is above 1."""
    set_random_seed(seed)
    layer = layers.RNN(cells.get(name)(units), return_sequences=True, input_shape=(None, 4))
    model = models.Sequential([layer], name="m")
    x = np.random.default_rng(seed).standard_normal((20, 4)).astype(np.float32)
    exact = run(copy.deepcopy(model).double(), x.astype(np.float64))
    whole = run(model, x)
    module = in_wasmtime(model)(x)
    rounded = x.astype(np.float64) * (1 + np.random.default_rng(1).choice([-1, 1], x.shape) * 2.0**-24)
    moved = run(copy.deepcopy(model).double(), rounded)
    pairs = [
        (whole, exact),
        (nabi.Stream(model).run(x), exact),
        (module, exact),
        (module, whole),
        (moved, exact),
    ]
    return [float(np.abs(one - other).max() / max(1.0, np.abs(other).max())) for one, other in pairs]


def run(model: Any, x: Any) -> Any:
    """Return the outputs for one sequence."""
    with torch.no_grad():
        return model(torch.from_numpy(x[None]), training=False)[0].numpy()


if __name__ == "__main__":
    main()
