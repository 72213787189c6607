"""A process that computes on one processor without a pause: `python -m benchmarks.layers.load 1`.

It multiplies matrices with numpy, 256 numbers wide: as much arithmetic as one thread can do, in its own
caches. It ends with the process that started it.
"""

import os
import subprocess
import sys
from types import TracebackType

from benchmarks.layers.crew import ROOT, environment

__all__ = ["Load", "busy_processor"]


class Load:
    """The process, while a `with` block runs; it computes from the start of the block on."""

    def __init__(self, processor: int, isa: str) -> None:
        self.processor, self.isa = processor, isa

    def __enter__(self) -> "Load":
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.layers.load", str(self.processor)],
            cwd=ROOT,
            env=environment("load", 1, self.isa),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise OSError("the process that keeps a processor busy did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def busy_processor(threads: int) -> int:
    """Return the processor to keep busy: the last of those that the workers are pinned to.

    A worker of one thread keeps its only processor where there is another one: a system would move it.
    """
    available = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    return available[min(max(threads, 2), len(available)) - 1]


def compute(processor: int) -> None:
    import numpy as np

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [processor])
    parent = os.getppid()
    left = np.random.default_rng(0).standard_normal((256, 256), np.float32)
    product = left @ left
    print("computing", flush=True)
    while os.getppid() == parent:
        for _ in range(100):
            np.matmul(left, left, out=product)


if __name__ == "__main__":
    compute(int(sys.argv[1]))
