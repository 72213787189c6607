"""Ray Train starts what the page about many workers shows; a worker is killed, and training goes on."""

import os
import re
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from nabi.layers import LSTM, Dense
from nabi.models import Sequential, load_model
from nabi.utils import set_random_seed

PAGE = Path(__file__).parents[2] / "docs" / "many-workers.md"
SECONDS = 300


def program() -> str:
    """Return what the page shows."""
    (found,) = re.findall(r"^```py\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return str(found)


def workers_in(folder: Path) -> list[int]:
    """Return the processes of Ray's workers that a program with this temporary folder has started."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name, environment = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
        except OSError:
            continue
        if name.startswith(b"ray::RayTrainWorker") and f"HOME={folder}".encode() in environment.split(b"\0"):
            found.append(int(process.name))
    return found


# A cluster of Ray, in a dozen processes.
@pytest.mark.rotates(days=20)
@pytest.mark.skipif(
    not sys.platform.startswith("linux")
    or any(find_spec(one) is None for one in ("ray", "pandas", "pydantic")),
    reason="needs ray[train], and finds the workers in /proc",
)
def test_ray_train_goes_on_after_a_worker_was_killed(tmp_path: Path) -> None:
    (tmp_path / "ray_train.py").write_text(program())
    environment = {**os.environ, "HOME": str(tmp_path), "OMP_NUM_THREADS": "1", "RAY_TRAIN_V2_ENABLED": "1"}
    log = tmp_path / "log.txt"
    command = [sys.executable, "ray_train.py", "."]
    with (
        log.open("w") as shown,
        subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=shown, stderr=shown) as running,
    ):
        try:
            end = time.monotonic() + SECONDS
            while not (tmp_path / "run.training").exists():
                assert running.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.01)
            os.kill(workers_in(tmp_path)[0], signal.SIGKILL)
            assert running.wait(SECONDS) == 0, log.read_text()
        finally:
            running.terminate()
    assert not (tmp_path / "run.training").exists()
    set_random_seed(1)
    x = np.random.default_rng(0).normal(size=(64, 10, 3))
    model = Sequential([LSTM(8), Dense(1)])
    model.compile("adam", "mse")
    model.fit(x, x.sum((1, 2)), batch_size=32, epochs=40, verbose=0)
    trained = load_model(tmp_path / "model.nabi")
    for one, other in zip(trained.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
