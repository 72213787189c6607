"""SpeechRecognizer: texts without alignment, strings made of words; `task_checks` has files and trainings."""

from functools import partial

import numpy as np
import pytest

from nabi.errors import ArgumentError
from nabi.models import SpeechRecognizer
from nabi.models._sound._log_mel import LogMel
from nabi.models._sound._samples import SoundSamples
from nabi.models._sound._strings import join_bands, join_recordings, made_strings, noise_bands

from ..task_checks import *  # noqa: F403
from ..task_checks import Task
from .sounds import RATE, sentences, words


def small(**said):
    usual = {"units": 24, "convolutions": (24,), "mels": 20, "batch_size": 8, "learning_rate": 0.02}
    usual |= {"dropout": 0.0, "noise": 0.0, "warp": 0.02, "masks": 0, "speed": False, "seed": 1}
    return SpeechRecognizer(said.pop("cell", "gru"), **{**usual, **said})


SOUNDS, TEXTS = sentences(40)

TASK = Task(
    make=lambda **said: small(**{"epochs": 3, **said}),
    data=(SOUNDS, TEXTS),
    other_data=(SOUNDS, TEXTS[::-1]),
    ask=lambda model: model.transcribe(sentences(4, 5)[0], rate=RATE),
    material="recordings or texts",
    options={"rate": RATE},
)


@pytest.fixture(scope="module")
def task():
    return TASK


@pytest.fixture(scope="module")
def trained():
    model = small(epochs=45, joined=3)
    sounds, labels, speakers = words(120)
    model.fit(sounds, labels, rate=RATE, groups=speakers, validation=sentences(10, 8, 3), verbose=0)
    return model


def test_words_that_were_heard_alone_are_recognised_in_sentences(trained) -> None:
    sounds, texts = sentences(30, seed=3, longest=3)
    report = trained.evaluate(sounds, texts, rate=RATE)
    assert report.error_rate is not None
    assert report.error_rate < 0.2
    assert report.held_out == 30
    told = trained.transcribe(sounds, rate=RATE)
    assert np.mean([one.text == text for one, text in zip(told, texts, strict=True)]) == report.exact
    assert all(0 < one.probability <= 1 + 1e-6 for one in told)
    greedy = trained.transcribe(sounds, rate=RATE, beam=1)
    assert np.mean([one.text == other.text for one, other in zip(told, greedy, strict=True)]) > 0.9
    made = trained.evaluate_joined(*words(30, seed=9)[:2], rate=RATE)
    assert made.error_rate is not None
    assert made.error_rate < 0.2


@pytest.mark.parametrize("size", [7, 80, 4096])
def test_a_stream_says_the_words_as_they_come(trained, size) -> None:
    sounds, _ = sentences(3, seed=11, longest=3)
    for sound in sounds:
        listener = trained.stream()
        heard = []
        for first in range(0, len(sound), size):
            heard += listener.push(sound[first : first + size])
            assert all(one.seconds <= (first + size) / RATE for one in heard)
        heard += listener.finish()
        whole = trained.stream()
        assert whole.push(sound) == heard
        # A batch is rounded differently, which does not change what is said.
        told = trained.transcribe([sound], rate=RATE, beam=1)[0].text
        assert " ".join(one.label for one in heard) == told


def test_a_stream_says_nothing_in_noise(trained) -> None:
    random = np.random.default_rng(0)
    for level in (0.0, 0.003, 0.03, 0.2):
        listener = trained.stream()
        noise = (level * random.normal(size=20 * RATE)).astype(np.float32)
        assert len(listener.push(noise) + listener.finish()) <= 1


def test_texts_may_be_cut_into_characters() -> None:
    names = {"low": "a", "middle": "b", "high": "c"}
    spelled = [" ".join(names[one] for one in text.split()) for text in TEXTS]
    model = small(epochs=1, unit="characters")
    model.fit(SOUNDS, spelled, rate=RATE, verbose=0)
    assert set(model.labels.names) == {"a", "b", "c", "␣"}
    assert all(set(one.text) <= set("abc ") for one in model.transcribe(SOUNDS[:5], rate=RATE))
    assert model._joined_text(tuple(model.labels.names.index(one) for one in "a␣b␣")) == "a b"


def test_made_strings_follow_from_the_seed_and_have_one_speaker() -> None:
    sounds, _, speakers = words(40)
    targets = [np.array([number]) for number in range(40)]
    samples = SoundSamples(sounds, targets, (), tuple(speakers), rate=RATE)
    join = partial(join_recordings, rate=RATE)
    made, again = (made_strings(samples, join, 5, np.random.default_rng(3)) for _ in range(2))
    assert len(made) == round(2 * 40 / 6)
    assert {len(target) for target in made.targets} == {1, 2, 3, 4, 5}
    for one, other in zip(made.inputs, again.inputs, strict=True):
        np.testing.assert_array_equal(one, other)
    for target, speaker in zip(made.targets, made.groups, strict=True):
        assert {speakers[row] for row in target} == {speaker}
    other = made_strings(samples, join, 5, np.random.default_rng(4), count=50)
    assert len(other) == 50
    joined = join(sounds[:3], np.random.default_rng(0), None)
    assert sum(map(len, sounds[:3])) <= len(joined) <= sum(map(len, sounds[:3])) + 4 * 1.5 * RATE
    assert np.count_nonzero(joined == 0) == 0


def test_some_strings_have_noise_without_words() -> None:
    random = np.random.default_rng(0)
    bands = [np.exp(random.normal(size=(30, 8))).astype(np.float32) for _ in range(6)]
    samples = SoundSamples(bands, [np.array([number]) for number in range(6)], rate=RATE)
    white = LogMel(RATE, 8).white_noise(500)
    stretches = []

    def wordless(word, random):
        stretches.append(noise_bands(word, random, white=white))
        return stretches[-1]

    join = partial(join_bands, white=white)
    made = made_strings(samples, join, 3, np.random.default_rng(1), 1000, wordless=wordless)
    assert len(made) == 1000
    assert 60 < len(stretches) < 140
    assert all(100 <= len(one) <= 400 for one in stretches)
    levels = np.log10([one.mean() for one in stretches])
    assert levels.max() - levels.min() > 4
    alone = [one for one, target in zip(made.inputs, made.targets, strict=True) if not len(target)]
    assert 0.3 < len(alone) / len(stretches) < 0.7
    assert all(any(one is other for other in stretches) for one in alone)
    begins = [
        any(len(one) > len(other) and np.array_equal(one[: len(other)], other) for other in stretches)
        for one in made.inputs
    ]
    assert sum(begins) == len(stretches) - len(alone)


def test_strings_of_bands_are_those_of_recordings() -> None:
    sounds, log_mel = words(6)[0], LogMel(RATE, 20)
    white = log_mel.white_noise(300)
    assert white.mean() == pytest.approx(1, abs=1e-4)
    levels = []
    for seed in range(20):
        joined = join_recordings(sounds, np.random.default_rng(seed), None, rate=RATE)
        bands = [log_mel.bands(log_mel.power(one)) for one in sounds]
        of_bands = join_bands(bands, np.random.default_rng(seed), None, white=white)
        levels.append([(log_mel.bands(log_mel.power(joined))).mean(), of_bands.mean()])
        assert of_bands.dtype == np.float32
        assert of_bands.min() > 0
        # The same pauses; a window of each recording that is not there at its end.
        assert len(of_bands) == pytest.approx(len(joined) / RATE / 0.01, abs=4 * len(sounds))
    ratio = np.divide(*np.mean(levels, 0))
    assert 0.8 < ratio < 1.25


def test_what_is_wrong_is_said_before_training() -> None:
    for arguments, message in [
        ((SOUNDS[:3], [*TEXTS[:2], " "]), r"recordings\[2\]: expected a text, got ' '"),
        ((SOUNDS[:3], [*TEXTS[:2], 3]), r"recordings\[2\]: expected a text, got 3"),
        ((SOUNDS[:3], TEXTS[:2]), "labels: expected one for each of 3 recordings, got 2"),
        ((SOUNDS[:3], ["low"] * 3), "expected at least two classes"),
        (
            ([*SOUNDS[:2], SOUNDS[2][:1000]], [*TEXTS[:2], "low low high high low low"]),
            r"recordings\[2\]: expected 9 steps or more, for 6 labels and 3 blanks between equal labels, got",
        ),
    ]:
        with pytest.raises(ArgumentError, match=message):
            small(epochs=1).fit(*arguments, rate=RATE, validation_share=0, verbose=0)
    with pytest.raises(ArgumentError, match="joined: expected a whole number of at least 1, got 0"):
        small(joined=0)


def test_the_blank_plateau_is_announced(capsys) -> None:
    small(epochs=1, units=4).fit(SOUNDS[:8], TEXTS[:8], rate=RATE, validation_share=0, verbose=2)
    assert "In the first epochs the network usually gives blanks only" in capsys.readouterr().out


def test_wrong_questions_are_refused(trained) -> None:
    with pytest.raises(ArgumentError, match="beam: expected a whole number of at least 1 or None, got 0"):
        trained.transcribe(SOUNDS[:1], rate=RATE, beam=0)
    with pytest.raises(ArgumentError, match="expected one of the labels learnt from"):
        trained.evaluate(SOUNDS[:1], ["loud"], rate=RATE)
    assert trained.transcribe([], rate=RATE) == []
