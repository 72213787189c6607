"""Random ONNX models of RNN, GRU and LSTM, read by nabi and beside ONNX Runtime and the definition.

    NABI_NATIVE=0 python -m benchmarks.onnx_models 10000

`NABI_NATIVE=0` runs the models on torch: compiling native code for thousands of cells takes most of the
time, and what native code computes is tested elsewhere. The error is counted in units of the largest output
where that is above 1. The test suite runs the first 24 of these models, with native code.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.interchange.onnx.compared import imported, run_imported, run_onnxruntime
from tests.interchange.onnx.random_operators import RandomModel, definition, random_model, time_first


def errors(given: RandomModel, folder: Path) -> tuple[float, float]:
    """Return the largest differences from ONNX Runtime and from the definition."""
    names = [name for name in given.outputs if name]
    results = run_imported(imported(given.message(), folder), given.inputs, names)
    expected = definition(given)
    turned = bool(given.attributes.get("layout"))
    theirs = run_onnxruntime(given.message(0), time_first(given.inputs) if turned else given.inputs)
    worst = [0.0, 0.0]
    for name in names:
        own = theirs[name]
        if turned:
            own = own.transpose(2, 0, 1, 3) if name == "Y" else own.swapaxes(0, 1)
        size = max(1.0, float(np.abs(own).max()))
        for place, other in enumerate((own, expected[name])):
            worst[place] = max(worst[place], float(np.abs(results[name] - other).max()) / size)
    return worst[0], worst[1]


def main() -> None:
    """Run them, and print the errors and those above 1e-5."""
    parser = argparse.ArgumentParser(description="Random ONNX models, read and compared.")
    parser.add_argument("count", type=int, nargs="?", default=1000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    arguments = parser.parse_args()
    started, worst, failed = time.process_time(), [0.0, 0.0], 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(arguments.first, arguments.first + arguments.count):
            found = errors(random_model(seed), Path(folder))
            worst = [max(pair) for pair in zip(worst, found, strict=True)]
            if not max(found) < 1e-5:
                failed += 1
                print(
                    f"seed {seed}: {found[0]:.2g} from ONNX Runtime, {found[1]:.2g} from the definition",
                    flush=True,
                )
            if (seed + 1) % 1000 == 0:
                print(f"{seed + 1}: {worst}, {time.process_time() - started:.0f} s", flush=True)
    print(
        f"{arguments.count} models, {failed} above 1e-5; largest difference from ONNX Runtime "
        f"{worst[0]:.2g}, from the definition {worst[1]:.2g}; {time.process_time() - started:.0f} s"
    )


if __name__ == "__main__":
    main()
