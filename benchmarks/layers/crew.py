"""The workers, one process per library, and their turns."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from benchmarks.layers.arrays import Arrays, load
from benchmarks.layers.idle import wait_until_idle
from benchmarks.layers.isa import NATIVE, variables
from benchmarks.layers.points import Task

__all__ = ["Crew", "Seat", "Turns", "WorkerError", "environment"]

ROOT = Path(__file__).resolve().parents[2]

# Large blocks are reused instead of being returned to the system at every call, which costs page faults. The
# limits are glibc's and must be set before a process starts.
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
    "MALLOC_TOP_PAD_": "268435456",
}


class WorkerError(Exception):
    """A worker failed."""


@dataclass(frozen=True)
class Seat:
    """A worker and one of its prepared pieces of work."""

    worker: str
    key: str = "work"


@dataclass
class Turns:
    """Times of a seat and of the first: `own` has the first's turns before and after each of `peer`."""

    own: list[tuple[float, float]] = field(default_factory=list)
    peer: list[float] = field(default_factory=list)


def environment(worker: str, threads: int, isa: str = NATIVE) -> dict[str, str]:
    """Return the environment of a worker, with the same threads and instructions for every library."""
    number = str(threads)
    own = {
        "OMP_NUM_THREADS": number,
        "MKL_NUM_THREADS": number,
        "OPENBLAS_NUM_THREADS": number,
        "NPROC": number,  # XLA
        "TF_NUM_INTRAOP_THREADS": number,
        "TF_NUM_INTEROP_THREADS": number,
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
    }
    if worker.startswith("keras-"):
        own["KERAS_BACKEND"] = worker.removeprefix("keras-")
    inherited = {key: value for key, value in os.environ.items() if key not in ALLOCATOR}
    return {**inherited, **own, **variables(isa, worker), **(ALLOCATOR if worker == "torch-tuned" else {})}


class Crew:
    """Worker processes, started on first use and ended with the crew."""

    def __init__(self, threads: int, milliseconds: float, isa: str = NATIVE) -> None:
        self.threads, self.milliseconds, self.isa = threads, milliseconds, isa
        self._folder = tempfile.TemporaryDirectory(prefix="nabi-benchmark-")
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._errors: dict[str, IO[str]] = {}
        self.notes: dict[Seat, str] = {}
        """The note of each piece of work."""
        self.processor: dict[Seat, list[float]] = {}
        """CPU milliseconds per part, summed over all processors, in each turn."""
        self.calls: dict[Seat, list[float]] = {}
        """Milliseconds of every timed call since the seat's work was prepared."""

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._processes):
            self._stop(name)
        for log in self._errors.values():
            log.close()
        self._folder.cleanup()

    def prepare(self, tasks: dict[Seat, Task]) -> dict[Seat, "Arrays | WorkerError"]:
        """Let all workers prepare at the same time; return the results of each, or its error."""
        problems: dict[Seat, WorkerError] = {}
        for step in (self._send_prepare, self._await_prepared):
            for seat, task in tasks.items():
                if seat not in problems:
                    try:
                        step(seat, task)
                    except WorkerError as problem:
                        problems[seat] = problem
        found: dict[Seat, Arrays | WorkerError] = {}
        path = Path(self._folder.name) / "results.npz"
        for seat in tasks:
            try:
                if seat in problems:
                    raise problems[seat]
                self._send(seat.worker, {"do": "settle", "key": seat.key, "results": str(path)})
                self.notes[seat] = self._reply(seat.worker)["note"]
                found[seat] = load(path)
            except WorkerError as problem:
                found[seat] = problem
        return found

    def _send_prepare(self, seat: Seat, task: Task) -> None:
        self.calls.pop(seat, None)
        self._send(seat.worker, {"do": "prepare", "key": seat.key, "task": task})

    def _await_prepared(self, seat: Seat, task: Task) -> None:
        self._reply(seat.worker)

    def release(self, seats: Sequence[Seat]) -> None:
        for seat in seats:
            if seat.worker in self._processes:
                self._send(seat.worker, {"do": "release", "key": seat.key})
                self._reply(seat.worker)

    def turn(self, seat: Seat) -> list[float]:
        """Run one worker for a while, alone; return the times of its calls in milliseconds.

        Threads of the turn before may still spin. How long they do is left at each library's default, so
        the turn begins when all have stopped.
        """
        wait_until_idle([process.pid for process in self._processes.values()])
        self._send(seat.worker, {"do": "turn", "key": seat.key, "milliseconds": self.milliseconds})
        reply = self._reply(seat.worker)
        self.processor.setdefault(seat, []).append(reply["processor"])
        times: list[float] = reply["milliseconds"]
        self.calls.setdefault(seat, []).extend(times)
        return times

    def vectors(self, worker: str) -> dict[str, Any]:
        """Ask a worker which vector instructions it has used so far.

        Returns:
            `threads`: how many of its threads used AVX-512 and how many it has, or None where the system
            doesn't tell; `report`: what the library itself says, if it does.
        """
        self._send(worker, {"do": "vectors"})
        return self._reply(worker)

    def _send(self, worker: str, request: dict[str, Any]) -> None:
        process = self._processes.get(worker) or self._start(worker)
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
        except OSError:
            raise self._lost(worker) from None

    def _reply(self, worker: str) -> dict[str, Any]:
        stdout = self._processes[worker].stdout
        assert stdout is not None
        line = stdout.readline()
        if not line:
            raise self._lost(worker)
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise WorkerError(reply["error"])
        return reply

    def _start(self, worker: str) -> "subprocess.Popen[str]":
        self._errors[worker] = (Path(self._folder.name) / f"{worker}.log").open("w+", encoding="utf-8")
        self._processes[worker] = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.layers.worker", worker, str(self.threads)],
            cwd=ROOT,
            env=environment(worker, self.threads, self.isa),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors[worker],
            text=True,
        )
        return self._processes[worker]

    def _lost(self, worker: str) -> WorkerError:
        """Return the error of a worker that has exited, with the last lines of its output."""
        self._stop(worker)
        log = self._errors[worker]
        log.seek(0)
        last = [line.strip() for line in log.read().splitlines() if line.strip()][-3:]
        return WorkerError(f"the process has exited: {' / '.join(last) or 'no output'}")

    def _stop(self, worker: str) -> None:
        process = self._processes.pop(worker)
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
