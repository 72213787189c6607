"""`nabi train` under torchrun itself: a worker is killed, and all of them go on from the checkpoint."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nabi.models import TextClassifier
from tests.workers.processes import free_port

ROWS = ["text,label", *(f"{'good fine ' * (1 + n % 3)}{n},yes\nbad poor {n},no" for n in range(150))]
OPTIONS = ["--text", "text", "--label", "label", "--cell", "gru", "--units", "4", "--batch-size", "4"]
SECONDS = 120


def children(process: int) -> list[int]:
    found = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(one) for one in found.split()]


# Five processes that import torch, four of which train.
@pytest.mark.rotates(days=10)
@pytest.mark.parametrize("killed", [0, 1])
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds the workers in /proc")
def test_training_goes_on_after_a_worker_was_killed(killed: int, tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_text("\n".join(ROWS))
    log = tmp_path / "log.txt"
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--max-restarts", "1"),
        *("--monitor-interval", "0.1", "--master-port", str(free_port())),
        *("-m", "nabi", "train", "reviews.csv", *OPTIONS, "--epochs", "5", "--out", "m.nabi"),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (
        log.open("w") as shown,
        subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=shown, stderr=shown) as torchrun,
    ):
        try:
            end = time.monotonic() + SECONDS
            while not (tmp_path / "m.training").exists():
                assert torchrun.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.02)
            os.kill(children(torchrun.pid)[killed], signal.SIGKILL)
            assert torchrun.wait(SECONDS) == 0, log.read_text()
        finally:
            torchrun.terminate()
    said = log.read_text()
    # The first epoch was not done again.
    assert said.count("Epoch 1/5") == 1, said
    assert said.count("Epoch 5/5") == 1, said
    assert TextClassifier.load(tmp_path / "m.nabi").predict(["good fine"])[0].label == "yes"
    assert not (tmp_path / "m.training").exists()
