"""A process that does one library's work on request: `python -m benchmarks.layers.worker jax 2`.

Requests and replies are lines of JSON. `prepare` makes a piece of work, possibly in several variants;
`settle` selects the fastest while no one else works, and writes its results to a file; `turn` runs it once to
warm up and then repeatedly for a given time, and replies with the times; `release` discards it; `vectors`
tells which instructions were used. All other output of a library goes to stderr.
"""

import gc
import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.layers.arrays import save
from benchmarks.layers.isa import wide_threads
from benchmarks.layers.work import Work

__all__ = ["MODULES"]

# The module that makes the work of each worker.
MODULES = {
    "nabi": "torch_peer",
    "torch": "torch_peer",
    "torch-tuned": "torch_peer",
    "jax": "jax_peer",
    "jax-ynnpack": "jax_peer",
    "keras-jax": "keras_peer",
    "keras-tensorflow": "keras_peer",
    "onnx": "onnx_peer",
    "peak": "peak",
}
MOST_CALLS = 1000
STARTED = time.monotonic()


def main() -> None:
    name, threads = sys.argv[1], int(sys.argv[2])
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    pin(threads)
    make = importlib.import_module(f"benchmarks.layers.peers.{MODULES[name]}").make
    works: dict[str, list[Work]] = {}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = serve(request, works, lambda task: make(name, task, threads))
        except Exception as problem:
            traceback.print_exc()
            reply = {"error": f"{type(problem).__name__}: {problem}"[:2000]}
        print(json.dumps(reply), file=replies, flush=True)


def pin(threads: int) -> None:
    """Restrict the process to as many processors as threads: some libraries have no other limit."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def serve(
    request: dict[str, Any],
    works: dict[str, list[Work]],
    make: Callable[[dict[str, Any]], Work | list[Work]],
) -> dict[str, Any]:
    if request["do"] == "vectors":
        return {"threads": wide_threads(STARTED), "report": report()}
    key = request["key"]
    if request["do"] == "prepare":
        made = make(request["task"])
        works[key] = made if isinstance(made, list) else [made]
        for work in works[key]:
            work.run()  # triggers compilation
        return {}
    if request["do"] == "settle":
        works[key] = [faster(works[key])]
        save(works[key][0].results(), Path(request["results"]))
        gc.collect()
        return {"note": works[key][0].note}
    if request["do"] == "release":
        works.pop(key, None)
        gc.collect()
        return {}
    busy = time.process_time()
    milliseconds = turn(works[key][0], request["milliseconds"])
    busy = (time.process_time() - busy) * 1e3 / (len(milliseconds) + 1) / works[key][0].parts
    return {"milliseconds": milliseconds, "processor": busy}


def report() -> str:
    """Return what the library of this process says of the instructions that it uses; only torch does."""
    torch = sys.modules.get("torch")
    return torch.backends.cpu.get_cpu_capability() if torch else ""


def faster(candidates: list[Work], calls: int = 3) -> Work:
    """Return the candidate with the shortest call, to show each peer at its best."""
    if len(candidates) == 1:
        return candidates[0]
    return min(candidates, key=lambda work: min(call(work) for _ in range(calls)))


def turn(work: Work, milliseconds: float, least_calls: int = 2) -> list[float]:
    """Run once to warm up, then repeatedly for the given time; return the times of these runs."""
    gc.disable()
    try:
        call(work)
        times: list[float] = []
        left = milliseconds
        while len(times) < least_calls or (left > 0 and len(times) < MOST_CALLS):
            times.append(call(work))
            left -= times[-1] * work.parts
        return times
    finally:
        gc.enable()


def call(work: Work) -> float:
    start = time.perf_counter()
    work.run()
    return (time.perf_counter() - start) * 1e3 / work.parts


if __name__ == "__main__":
    main()
