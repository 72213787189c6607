"""Random models written as ONNX and run by ONNX Runtime, beside nabi.

Half of them are Sequentials of random layers and cells with masks of any pattern, half are stacks of random
cells (`nabi.nn.RNN`) with lengths, initial states and both directions; opsets 17 to 22. Every file is checked
by `onnx.checker` in full. From the repository's folder:

    NABI_NATIVE=0 python -m benchmarks.onnx_fuzz --count 2000

Without native code nabi compiles nothing for the many small cells, which takes most of the time otherwise.
"""

import argparse
import tempfile
import time
import warnings
from pathlib import Path

from tests.interchange.onnx.random_models import LIMIT, compare, compare_module


def main() -> None:
    """Compare, and print the largest difference and every model that differs by more than the limit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=100, help="how many models")
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    said = parser.parse_args()
    warnings.simplefilter("ignore")
    largest, failed, enlarged, begin = 0.0, 0, 0, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        for seed in range(said.first, said.first + said.count):
            kind = compare if seed % 2 else compare_module
            difference = kind(seed, path)
            largest = max(largest, difference.found)
            enlarged += difference.allowed > LIMIT
            if not difference.found < difference.allowed:
                failed += 1
                print(f"{kind.__name__}({seed}): {difference.found:.1e}, allowed {difference.allowed:.1e}")
            if (seed + 1 - said.first) % 100 == 0:
                print(f"{seed + 1 - said.first} models, largest difference {largest:.1e}", flush=True)
    seconds = time.perf_counter() - begin
    print(
        f"{said.count} models, {failed} differ; {enlarged} by more than {LIMIT:.0e}, where nabi's own "
        f"float32 is as far from float64; largest difference {largest:.1e}; {seconds:.0f} s"
    )
    raise SystemExit(failed > 0)


if __name__ == "__main__":
    main()
