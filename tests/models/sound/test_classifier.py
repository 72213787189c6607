"""SoundClassifier: what it learns, what it is given, streams; `task_checks` has its files and trainings."""

import numpy as np
import pytest
import torch

from nabi.data import read_recordings, write_wav
from nabi.errors import ArgumentError, FileFormatError, MissingFileError, ShapeError
from nabi.models import SoundClassifier

from ..task_checks import *  # noqa: F403
from ..task_checks import Task
from .sounds import RATE, pause, word, words


def small(**said):
    usual = {"units": 16, "convolutions": (16,), "mels": 20, "batch_size": 16, "learning_rate": 0.01}
    return SoundClassifier(said.pop("cell", "gru"), **{**usual, "epochs": 8, "seed": 1, **said})


SOUNDS, LABELS, SPEAKERS = words(80)

TASK = Task(
    make=lambda **said: small(**{"epochs": 3, **said}),
    data=(SOUNDS, LABELS),
    other_data=(SOUNDS, LABELS[::-1]),
    ask=lambda model: [one.tolist() for one in model.probabilities(words(4, 5)[0], rate=RATE)],
    material="recordings or labels",
    options={"rate": RATE},
)


@pytest.fixture(scope="module")
def task():
    return TASK


@pytest.fixture(scope="module")
def trained():
    model = small(epochs=15)
    model.fit(SOUNDS, LABELS, rate=RATE, groups=SPEAKERS, verbose=0)
    return model


def test_it_learns_words_of_speakers_it_never_heard(trained) -> None:
    # A speaker, of four.
    assert trained.report.held_out == 21
    assert trained.report.accuracy == 1.0
    assert "logistic regression on 20 log-mels" in trained.report.baselines
    sounds, labels, _ = words(30, seed=3)
    told = trained.predict(sounds, rate=RATE)
    assert [one.label for one in told] == labels
    assert all(sum(one.probabilities.values()) == pytest.approx(1, abs=1e-5) for one in told)
    assert trained.evaluate(sounds, labels, rate=RATE).accuracy == 1.0
    assert trained.evaluate(sounds, ["low"] * 30, rate=RATE).accuracy == pytest.approx(1 / 3)
    assert trained.predict([]) == []


def test_files_folders_and_arrays_are_the_same(trained, tmp_path) -> None:
    sounds, labels, speakers = words(24, seed=4)
    for number, (sound, label, speaker) in enumerate(zip(sounds, labels, speakers, strict=True)):
        write_wav(tmp_path / f"{label}_{speaker}_{number:02}.wav", sound, RATE)
    found = read_recordings(tmp_path, group_pattern="_(.*)_")
    assert trained.evaluate(found).accuracy == 1.0
    told = trained.predict(found.files)
    assert [one.label for one in told] == found.labels
    assert told[0].name == str(found.files[0])
    arrays = trained.probabilities(found.samples, rate=RATE)
    for one, other in zip(told, arrays, strict=True):
        assert list(one.probabilities.values()) == other.tolist()
    models = [small(epochs=1), small(epochs=1)]
    models[0].fit(found, verbose=0)
    models[1].fit(found.files, found.labels, groups=found.groups, validation_share=0.1, verbose=0)
    for one, other in zip(*(model.network.state_dict().values() for model in models), strict=True):
        assert torch.equal(one, other)
    assert models[0].rate == RATE


def test_other_rates_are_resampled(trained) -> None:
    sounds, labels, _ = words(9, seed=6)
    doubled = [np.repeat(one, 2) for one in sounds]
    assert [one.label for one in trained.predict(doubled, rate=2 * RATE)] == labels
    model = small(epochs=6, sample_rate=4500)
    model.fit(SOUNDS, LABELS, rate=RATE, validation=(sounds, labels), verbose=0)
    assert model.rate == 4500
    assert model.report.held_out == 9
    assert [one.label for one in model.predict(sounds, rate=RATE)] == labels


@pytest.mark.parametrize("size", [1, 80, 333, 100_000])
def test_a_stream_says_each_word_once_it_ended(trained, size) -> None:
    random = np.random.default_rng(0)
    said = ["low", "high", "high", "middle"]
    parts = [pause(random, 0.5)]
    for name in said:
        parts += [word(name, 1, random), 0.002 * random.normal(size=3000)]
    sound = np.concatenate(parts).astype(np.float32)
    if size == 1:
        sound = sound[:5500]
    listener = trained.stream()
    heard = [
        one for first in range(0, len(sound), size) for one in listener.push(sound[first : first + size])
    ]
    heard += listener.finish()
    assert [one.label for one in heard] == said[: len(heard)]
    assert len(heard) == 4 or size == 1
    whole = trained.stream()
    assert whole.push(sound) + whole.finish() == heard
    assert all(one.probability > 0.5 for one in heard)


def test_a_stream_of_another_rate_and_silence(trained) -> None:
    random = np.random.default_rng(1)
    sound = np.concatenate([pause(random), word("high", 0, random), pause(random, 0.4)])
    listener = trained.stream(rate=2 * RATE)
    heard = listener.push(np.repeat(sound, 2)) + listener.finish()
    assert [one.label for one in heard] == ["high"]
    quiet = trained.stream()
    assert quiet.push(np.zeros(20_000, np.float32)) + quiet.finish() == []
    quiet = trained.stream()
    assert quiet.push((0.01 * random.normal(size=80_000)).astype(np.float32)) + quiet.finish() == []


def test_what_is_wrong_is_said_before_training(tmp_path) -> None:
    sounds, labels, _ = words(6)
    (tmp_path / "empty.wav").write_bytes(b"")
    for arguments, kind, message in [
        ((sounds, labels[:5]), ArgumentError, "labels: expected one for each of 6 recordings, got 5"),
        ((sounds, None), ArgumentError, "labels: expected one for each recording, got None"),
        ((sounds, "low"), ArgumentError, "labels: expected a list, got 'low'"),
        ((sounds, [*labels[:5], ""]), ArgumentError, r"recordings\[5\]: expected a label, got none"),
        ((sounds, ["low"] * 6), ArgumentError, "expected at least two classes"),
        (([*sounds[:5], sounds[0][:0]], labels), ArgumentError, r"recordings\[5\]: .* of length 0"),
        (([*sounds[:5], np.ones((3, 2))], labels), ShapeError, r"recordings\[5\]: .* of one channel"),
        (([*sounds[:5], np.ones(9, np.int16)], labels), ArgumentError, "divide 16-bit samples by 32768"),
        (([*sounds[:5], np.full(9, np.nan)], labels), ArgumentError, "got NaN or infinity"),
        (([], []), ArgumentError, "recordings: expected at least one, got none"),
        (("a.wav", labels), ArgumentError, "expected a list of files or of arrays"),
        (([tmp_path / "none.wav"], ["low"]), MissingFileError, "there is no file"),
        (([tmp_path / "empty.wav"], ["low"]), FileFormatError, "empty.wav is empty"),
    ]:
        with pytest.raises(kind, match=message):
            small().fit(*arguments, rate=RATE, verbose=0)
    with pytest.raises(ArgumentError, match="rate: expected samples per second of the arrays, got None"):
        small().fit(sounds, labels, verbose=0)
    with pytest.raises(ArgumentError, match=r"validation: expected recordings, or \(recordings, labels\)"):
        small().fit(sounds, labels, rate=RATE, validation=3, verbose=0)
    with pytest.raises(ArgumentError, match="expected one of the labels learnt from"):
        small().fit(sounds, labels, rate=RATE, validation=(sounds[:1], ["loud"]), verbose=0)
    with pytest.raises(ArgumentError, match="mels: expected a whole number of at least 2, got 1"):
        small(mels=1)
    with pytest.raises(ArgumentError, match=r"warp: expected a number from 0 to 0\.5, got 0\.7"):
        small(warp=0.7)


def test_two_directions_cannot_stream(trained) -> None:
    model = small(epochs=1, bidirectional=True)
    model.fit(SOUNDS[:12], LABELS[:12], rate=RATE, validation_share=0, verbose=0)
    with pytest.raises(ArgumentError, match="a network that reads in both directions needs the whole"):
        model.stream()
    with pytest.raises(ShapeError, match=r"chunk: expected real numbers \[N\] from -1 to 1"):
        trained.stream().push(np.zeros((2, 2)))
    with pytest.raises(ArgumentError, match="rate: expected a whole number of at least 1 or None, got 0"):
        trained.stream(rate=0)
