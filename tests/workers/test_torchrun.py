"""`nabi train` under torchrun: a worker is killed, and all of them go on from the checkpoint."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nabi.models import TextClassifier
from tests.workers.processes import free_port

ROWS = ["text,label", *(f"{'good fine ' * (1 + n % 3)}{n},yes\nbad poor {n},no" for n in range(150))]
TRAIN = ["train", "reviews.csv", "--text", "text", "--label", "label", "--cell", "gru", "--units", "4"]
TRAIN += ["--batch-size", "4", "--epochs", "5", "--out", "m.nabi"]
SECONDS = 120

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds the workers in /proc")


def children(process: int) -> list[int]:
    found = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(one) for one in found.split()]


def goes_on(folder: Path, torchrun: int, killed: int, running: Callable[[], bool]) -> None:
    """Kill a worker once there is a checkpoint, wait for the end, and look at what is there."""
    end = time.monotonic() + SECONDS
    while not (folder / "m.training").exists():
        assert running(), (folder / "log.txt").read_text()
        assert time.monotonic() < end, (folder / "log.txt").read_text()
        time.sleep(0.02)
    os.kill(children(torchrun)[killed], signal.SIGKILL)
    while running():
        assert time.monotonic() < end, (folder / "log.txt").read_text()
        time.sleep(0.02)
    said = (folder / "log.txt").read_text()
    # The first epoch was not done again.
    assert said.count("Epoch 1/5") == 1, said
    assert said.count("Epoch 5/5") == 1, said
    assert TextClassifier.load(folder / "m.nabi").predict(["good fine"])[0].label == "yes"
    assert not (folder / "m.training").exists()


# torchrun's agent, which watches the workers and starts them again, with workers that are forked: so they
# need not import torch, nor what measures a classifier.
@pytest.mark.rotates(days=6)
@pytest.mark.parametrize("killed", [0, 1])
def test_training_goes_on_after_a_worker_was_killed(killed: int, tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_text("\n".join(ROWS))
    import torchmetrics  # noqa: F401

    agent = multiprocessing.get_context("fork").Process(target=_agent, args=(tmp_path,))
    agent.start()
    try:
        assert agent.pid is not None
        goes_on(tmp_path, agent.pid, killed, agent.is_alive)
        agent.join()
        assert agent.exitcode == 0
    finally:
        agent.terminate()
        agent.join()


def _agent(folder: Path) -> None:
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.chdir(folder)
    sys.stdout = sys.stderr = Path("log.txt").open("a", buffering=1)  # noqa: SIM115
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=2,
        run_id="killed",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=1,
        monitor_interval=0.1,
        start_method="fork",
    )
    elastic_launch(config, _worker)()
    os._exit(0)  # nothing of pytest's is to be run twice


def _worker() -> None:
    from nabi.cli import main

    try:
        main(TRAIN)
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"it ended with {end.code}") from end


@pytest.mark.rotates(days=20)
def test_the_command_itself_starts_workers_again(tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_text("\n".join(ROWS))
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--max-restarts", "1"),
        *("--monitor-interval", "0.1", "--master-port", str(free_port()), "-m", "nabi", *TRAIN),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (
        (tmp_path / "log.txt").open("w") as shown,
        subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=shown, stderr=shown) as torchrun,
    ):
        try:
            goes_on(tmp_path, torchrun.pid, 1, lambda: torchrun.poll() is None)
            assert torchrun.returncode == 0
        finally:
            torchrun.terminate()
