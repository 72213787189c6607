"""Workers that are killed with -9 at random moments, under torchrun.

A trial trains a small model of words, whose table is large enough to be updated in pieces, in two workers
that torchrun starts. Up to three times, at a random moment of what an undisturbed training takes, one of
them is killed: while it loads, trains, writes its checkpoint or ends. Torchrun starts both again twice; after
a third kill it gives up, and is started again. In the end the model must be that of a training that nobody
disturbed, to the last bit, and nothing else may be left in the folder.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from nabi.files import read_model_file

__all__ = ["run"]

PROGRAM = """
import numpy as np
import torch

from nabi.callbacks import BackupAndRestore
from nabi.layers import GRU, Dense, Embedding
from nabi.models import Sequential
from nabi.training import join_workers
from nabi.utils import set_random_seed

join_workers()
set_random_seed(1)
random = np.random.default_rng(0)
codes = random.integers(0, 4200, size=(4000, 20))
model = Sequential([Embedding(4200, 64), GRU(8), Dense(1)])
model.compile("adam", "mse")
backup = BackupAndRestore("run.training")
model.fit(codes, codes.sum(1)[:, None] / 4e4, batch_size=8, epochs=6, callbacks=[backup], verbose=0)
if torch.distributed.get_rank() == 0:
    model.save("model.nabi")
torch.distributed.destroy_process_group()
"""
RESTARTS, KILLS = 2, 3
SECONDS = 180.0  # after which a training that does nothing is said to hang


def run(count: int, seed: int, out: Path) -> None:
    """Do trials until there have been so many kills; those in the file count."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "undisturbed"
        undisturbed = _trial(folder, random.Random(0), 0, 0.0)
        expected, seconds = _weights(folder), float(undisturbed["seconds"])
        print(f"undisturbed: {seconds:.1f} s", flush=True)
        done = _done(out)
        while sum(one["kills"] for one in done) < count:
            number = len(done)
            folder = Path(name) / str(number)
            moments = random.Random(f"{seed} {number}")
            found = _trial(folder, moments, moments.randint(1, KILLS), seconds)
            found["equal"] = found["problem"] is None and _weights(folder) == expected
            found["left"] = sorted(one.name for one in folder.iterdir() if one.name not in _FILES)
            done.append({"number": number, "seed": seed, **found})
            with out.open("a") as file:
                file.write(json.dumps(done[-1]) + "\n")
            print(json.dumps(done[-1]), flush=True)
    print(
        f"{sum(one['kills'] for one in done)} kills in {len(done)} trainings: "
        f"{sum(one['equal'] for one in done)} ended with the model of an undisturbed one, "
        f"{sum(one['problem'] is not None for one in done)} with a problem, "
        f"{sum(bool(one['left']) for one in done)} left files; "
        f"{sum(one['starts'] - 1 for one in done)} times torchrun gave up and was started again"
    )


_FILES = ("train.py", "log.txt", "model.nabi")


def _done(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def _trial(folder: Path, moments: random.Random, kills: int, seconds: float) -> dict[str, Any]:
    """Train, and kill a worker so often at random moments; say what happened."""
    folder.mkdir()
    (folder / "train.py").write_text(PROGRAM)
    begin, killed, starts = time.monotonic(), list[float](), 0
    problem = None
    while problem is None and not (folder / "model.nabi").exists():
        starts += 1
        seen = (folder / "log.txt").stat().st_size if starts > 1 else 0
        with (folder / "log.txt").open("a") as log:
            command = [
                *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
                *("--max-restarts", str(RESTARTS), "--monitor-interval", "0.1", "train.py"),
            ]
            torchrun = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
            try:
                while len(killed) < kills:
                    at = _kill_one(torchrun, moments, seconds)
                    if at is None:
                        break
                    killed.append(at)
                status = torchrun.wait(SECONDS)
            except subprocess.TimeoutExpired:
                torchrun.kill()
                problem = "hangs"
                break
        said = (folder / "log.txt").read_text()[seen:]
        problem = _problem(said, status)
    return {
        "kills": len(killed),
        "moments": [round(one, 2) for one in killed],
        "starts": starts,
        "problem": problem,
        "seconds": round(time.monotonic() - begin, 1),
    }


def _kill_one(torchrun: "subprocess.Popen[bytes]", moments: random.Random, seconds: float) -> float | None:
    """Kill a worker at a random moment after the next start; None if torchrun ends before."""
    at, which = moments.uniform(0, seconds), moments.randrange(2)
    end = time.monotonic() + at
    while time.monotonic() < end:
        if torchrun.poll() is not None:
            return None
        time.sleep(0.01)
    while torchrun.poll() is None:
        workers = _children(torchrun.pid)
        if len(workers) == 2:
            os.kill(workers[which], signal.SIGKILL)
            return at
        time.sleep(0.01)
    return None


def _children(process: int) -> list[int]:
    try:
        found = Path(f"/proc/{process}/task/{process}/children").read_text()
    except OSError:
        return []
    return [int(one) for one in found.split()]


def _problem(said: str, status: int) -> str | None:
    """Return what is wrong with the end of torchrun: an error in a worker that no kill explains."""
    if status == 0:
        return None
    errors = [line for line in said.splitlines() if "Error: " in line and not line.startswith("torch.")]
    # What a worker says whose other one was killed, while they trained or before they had met.
    known = (
        "WorkerError: workers: ",
        "ChildFailedError",
        "DistNetworkError",
        "DistStoreError",
        "RuntimeError",
    )
    wrong = [line for line in errors if not any(one in line for one in known)]
    return wrong[-1][:300] if wrong else None


def _weights(folder: Path) -> dict[str, bytes]:
    file = read_model_file(folder / "model.nabi")
    return {name: value.numpy().tobytes() for name, value in file.tensors.items()}
