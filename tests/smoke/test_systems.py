"""Every kind of model learns from a little data, and answers the same when it comes back from a file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nabi
from nabi import layers
from nabi.models import load_model

WORDS = ["a fine film", "a dull film", "fine and warm", "dull and cold"] * 3
KINDS = ["good", "bad"] * 6
SERIES = np.linspace(0, 1, 48, dtype=np.float32).reshape(8, 6, 1)
NEXT = SERIES[:, -1]


def classifier() -> tuple[Any, Callable[[Any], Any]]:
    model = nabi.TextClassifier(units=4, embedding_size=4, epochs=1)
    model.fit(WORDS, KINDS, verbose=0)
    return model, lambda model: model.probabilities(WORDS).tolist()


def language_model() -> tuple[Any, Callable[[Any], Any]]:
    model = nabi.LanguageModel(units=6, embedding_size=5, window=8, epochs=1)
    model.fit(["the cat sat on the mat. " * 20], verbose=0)
    return model, lambda model: "".join(model.write("the ", 8))


def note_model() -> tuple[Any, Callable[[Any], Any]]:
    model = nabi.NoteModel(units=6, embedding_size=5, epochs=1)
    model.fit([[(60, 64), (62,), ()]] * 12, verbose=0)
    return model, lambda model: list(model.write([[60]], 6))


def translator() -> tuple[Any, Callable[[Any], Any]]:
    model = nabi.Translator(unit="words", units=6, embedding_size=5, epochs=1)
    model.fit(["one two", "two one"] * 3, ["1 2", "2 1"] * 3, validation_share=0, verbose=0)
    return model, lambda model: model.evaluate(["one two"], ["1 2"])


def captioner() -> tuple[Any, Callable[[Any], Any]]:
    pictures = list(np.zeros((6, 8, 8, 3), np.uint8))
    model = nabi.Captioner(image_size=8, channels=(3, 4), units=6, embedding_size=5, epochs=1)
    model.fit(pictures, ["a dot", "no dot"] * 3, validation_share=0, verbose=0)
    return model, lambda model: model.caption(pictures[:1])


def trained(model: Any) -> tuple[Any, Callable[[Any], Any]]:
    model.compile("adam", "mse")
    before = model.evaluate(SERIES, NEXT, verbose=0)
    model.fit(SERIES, NEXT, epochs=5, verbose=0)
    assert model.evaluate(SERIES, NEXT, verbose=0) < before
    return model, lambda model: model.predict(SERIES, verbose=0).tolist()


def sequential() -> tuple[Any, Callable[[Any], Any]]:
    return trained(nabi.Sequential([layers.LSTM(8, input_shape=(6, 1)), layers.Dense(1)]))


def functional() -> tuple[Any, Callable[[Any], Any]]:
    inputs = layers.Input((6, 1))
    both = layers.concatenate([layers.GRU(4)(inputs), layers.SimpleRNN(4)(inputs)])
    return trained(nabi.Model(inputs, layers.Dense(1)(both)))


@pytest.mark.parametrize(
    "make",
    [sequential, functional, classifier, language_model, note_model, translator, captioner],
    ids=lambda make: make.__name__,
)
def test_it_learns_and_comes_back_from_a_file(
    make: Callable[[], tuple[Any, Callable[[Any], Any]]], tmp_path: Path
) -> None:
    model, answer = make()
    model.save(tmp_path / "model.nabi")
    load = getattr(type(model), "load", load_model)
    again = load(tmp_path / "model.nabi")
    assert type(again) is type(model)
    assert answer(again) == answer(model)
