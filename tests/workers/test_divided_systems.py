"""Ready systems of which each worker updates a piece of the weights: the end is that of one process.

Weights of 64 numbers count as large here, so that small networks are divided.
"""

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nabi.errors import WorkerError
from nabi.models import Translator
from nabi.training._loop import _resumable_training
from nabi.training._workers import _exchange
from nabi.training._workers._group import find_workers
from nabi.training._workers._pieces import Pieces
from tests.workers.processes import on_workers

NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
SOURCES = [f"{first} and {second}" for first in NUMBERS for second in NUMBERS[:5]]
TARGETS = [f"{second} {first}" for first in NUMBERS for second in NUMBERS[:5]]
STEPS = 15  # five in each epoch
STOP = 7  # the step in pieces at which one worker ends the training


@pytest.fixture(autouse=True)
def _small_weights_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_exchange, "_LARGE", 64)
    # A checkpoint at every step: all have all of the weights for it, and part again.
    monkeypatch.setattr(_resumable_training, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)


def _trained(path: Path | None = None, stops: int | None = None, how: int = signal.SIGINT) -> Any:
    """Train with averages of weights and clipped gradients, the best weights kept.

    Args:
        path: of the checkpoint.
        stops: the worker that gets a signal.
        how: the signal.

    Returns:
        whether it was interrupted, the losses, the weights, and how many steps were made in pieces.
    """
    update = Pieces.update
    seen: list[Pieces] = []

    def counted(pieces: Pieces) -> None:
        update(pieces)
        seen.append(pieces)
        workers = find_workers()
        if len(seen) == STOP and workers is not None and workers.number == stops:
            os.kill(os.getpid(), how)

    Pieces.update = counted  # type: ignore[assignment, method-assign]
    model = Translator(
        units=8, embedding_size=8, unit="words", epochs=3, batch_size=10, averaging=0.9, clipnorm=0.1,
        warmup=2, dropout=0.2, learning_rate=0.02,
    )  # fmt: skip
    held_out = SOURCES[::9], TARGETS[::9]
    try:
        report = model.fit(SOURCES, TARGETS, validation=held_out, verbose=0, checkpoint=path)
    except WorkerError:
        last = seen[-1]
        places = zip(last._weights, last._places, strict=True)
        return all(weight.data_ptr() == own.data_ptr() for weight, own in places)
    finally:
        Pieces.update = update  # type: ignore[method-assign]
    weights = [weight.detach().numpy().copy() for weight in model.network.parameters()]
    return report.interrupted, model.history, weights, len(seen)


def _is_close(found: Any, expected: Any) -> None:
    assert not found[0]
    for name, values in expected[1].items():
        np.testing.assert_allclose(found[1][name], values, rtol=1e-4, err_msg=name)
    for one, other in zip(found[2], expected[2], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


@pytest.fixture(scope="module")
def alone() -> Any:
    return _trained()


@pytest.mark.parametrize("with_checkpoint", [False, True])
def test_workers_update_pieces_of_what_one_would_update(
    alone: Any, with_checkpoint: bool, tmp_path: Path
) -> None:
    for found in on_workers(2, _trained, tmp_path / "training.nabi" if with_checkpoint else None):
        _is_close(found, alone)
        assert found[3] == STEPS - 1, "an optimizer that is new has nothing in pieces"


@pytest.mark.rotates(days=3)
def test_after_ctrl_c_another_number_of_workers_goes_on(alone: Any, tmp_path: Path) -> None:
    path = tmp_path / "training.nabi"
    for interrupted, _, _, steps in on_workers(2, _trained, path, 1):
        assert interrupted
        # The others hear of it with the next batch.
        assert STOP <= steps <= STOP + 1
    shutil.copy(path, tmp_path / "again.nabi")
    _is_close(_trained(path), alone)
    for found in on_workers(3, _trained, tmp_path / "again.nabi"):
        _is_close(found, alone)
        assert STEPS - STOP - 2 <= found[3] < STEPS - STOP


@pytest.mark.rotates(days=3)
def test_after_a_worker_was_killed_training_goes_on(alone: Any, tmp_path: Path) -> None:
    path = tmp_path / "training.nabi"
    weights_are_its_own, nothing = on_workers(2, _trained, path, 1, signal.SIGKILL)
    assert weights_are_its_own
    assert nothing is None
    _is_close(_trained(path), alone)
