"""Trainings of a text classifier that are interrupted, killed and taken up again, and a time limit."""

import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from nabi.callbacks import LambdaCallback
from nabi.errors import ArgumentError, FileFormatError
from nabi.models import TextClassifier

SMALL = {"units": 4, "embedding_size": 4, "epochs": 4, "learning_rate": 0.03, "batch_size": 16}


def same(one: TextClassifier, other: TextClassifier) -> bool:
    pairs = zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    return one.history == other.history and all(torch.equal(*pair) for pair in pairs)


@pytest.fixture(scope="module")
def learnt(reviews: Any) -> TextClassifier:
    classifier = TextClassifier(**SMALL)
    classifier.fit(*reviews, verbose=0)
    return classifier


_KILLED = """
import json, os, signal, sys
from nabi.callbacks import LambdaCallback
from nabi.models import TextClassifier
from nabi.models._classifier import _kept_run

_kept_run._SECONDS_BETWEEN_CHECKPOINTS = 0.0  # so that it is written after every batch
texts, labels, settings = json.load(open(sys.argv[2]))
count = 0
def die(batch, logs):
    global count
    count += 1
    if count == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

killed = LambdaCallback(on_train_batch_end=die)
TextClassifier(**settings).fit(texts, labels, checkpoint=sys.argv[1], verbose=0, callbacks=killed)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of this kind are POSIX")
def test_a_killed_training_goes_on_as_if_nothing_had_been(
    reviews: Any, learnt: TextClassifier, tmp_path: Path, fresh: Any
) -> None:
    place, data = tmp_path / "m.training", tmp_path / "data.json"
    data.write_text(json.dumps([*map(list, reviews), SMALL]))
    per_epoch = -(-240 // SMALL["batch_size"])
    ended = fresh(_KILLED, place, data, 2 * per_epoch + 2)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert place.exists()
    again = TextClassifier(**SMALL)
    epochs: list[int] = []
    batches: list[int] = []
    heard = LambdaCallback(
        on_epoch_begin=lambda epoch, logs: epochs.append(epoch),
        on_train_batch_begin=lambda batch, logs: batches.append(batch),
    )
    again.fit(*reviews, checkpoint=place, verbose=0, callbacks=heard)
    assert (epochs[0], batches[0]) == (2, 1)  # what was learnt before is not learnt again
    assert not place.exists()
    assert same(again, learnt)


def test_the_checkpoint_of_another_training_is_refused(reviews: Any, tmp_path: Path) -> None:
    place = tmp_path / "m.training"
    TextClassifier(**SMALL).fit(*reviews, checkpoint=place, verbose=0, callbacks=_press_after_epochs(1))
    content = place.read_bytes()
    with pytest.raises(ArgumentError, match="of a training with other settings"):
        TextClassifier(**SMALL | {"epochs": 7}).fit(*reviews, checkpoint=place, verbose=0)
    texts, labels = reviews
    others = [f"{text} film" for text in texts]
    with pytest.raises(ArgumentError, match="of a training with other texts or labels"):
        TextClassifier(**SMALL).fit(others, labels, checkpoint=place, verbose=0)
    assert place.read_bytes() == content
    place.write_bytes(content[:-100])
    with pytest.raises(FileFormatError):
        TextClassifier(**SMALL).fit(*reviews, checkpoint=place, verbose=0)


def _press_after_epochs(count: int) -> LambdaCallback:
    """Press Ctrl-C at the beginning of the epoch after so many."""

    def press(epoch: int, logs: Any) -> None:
        if epoch == count:
            signal.raise_signal(signal.SIGINT)

    return LambdaCallback(on_epoch_begin=press)


def test_one_that_was_interrupted_goes_on(reviews: Any, learnt: TextClassifier, tmp_path: Path) -> None:
    place = tmp_path / "m.training"
    first = TextClassifier(**SMALL)
    assert first.fit(*reviews, checkpoint=place, verbose=0, callbacks=_press_after_epochs(2)).interrupted
    assert len(first.history["loss"]) == 2
    again = TextClassifier(**SMALL)
    batches: list[int] = []
    heard = LambdaCallback(on_train_batch_begin=lambda batch, logs: batches.append(batch))
    assert not again.fit(*reviews, checkpoint=place, verbose=0, callbacks=heard).interrupted
    assert batches[0] == 1
    assert again.seconds > first.seconds
    assert same(again, learnt)


def test_one_that_ended_early_is_not_trained_further(reviews: Any, tmp_path: Path) -> None:
    settings = SMALL | {"epochs": 40, "patience": 1, "learning_rate": 0.3}
    place, kept = tmp_path / "m.training", tmp_path / "kept.training"
    whole = TextClassifier(**settings)

    def keep(logs: Any = None) -> None:
        kept.write_bytes(place.read_bytes())  # as it is after the last epoch

    whole.fit(*reviews, checkpoint=place, verbose=0, callbacks=LambdaCallback(on_train_end=keep))
    assert len(whole.history["loss"]) < 40
    again = TextClassifier(**settings)
    again.fit(*reviews, checkpoint=kept, verbose=0)
    assert same(again, whole)


def test_a_time_limit_ends_it_with_the_best_weights(reviews: Any) -> None:
    classifier = TextClassifier(**SMALL | {"epochs": 100_000, "patience": 100_000})
    begun = time.process_time()
    report = classifier.fit(*reviews, minutes=0.8 / 60, verbose=0)
    assert not report.interrupted
    assert time.process_time() - begun < 20
    assert 1 <= len(classifier.history["loss"]) < 100_000
    losses = classifier.history["val_loss"]
    assert classifier.model is not None
    assert min(losses) < losses[0]


@pytest.mark.parametrize("minutes", [0, -1, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(reviews: Any, minutes: float) -> None:
    with pytest.raises(ArgumentError, match=r"^minutes: expected a number above 0 or None, got"):
        TextClassifier(**SMALL).fit(*reviews, minutes=minutes)
