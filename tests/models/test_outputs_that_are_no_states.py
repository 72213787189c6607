"""Systems with cells whose output is no state: step by step they say what they say of whole sequences."""

import numpy as np
import pytest
import torch

from nabi import LanguageModel, SeriesClassifier, Translator
from nabi.models._language._network import LanguageSteps

CELLS = ["mamba-2", "u-rnn", "hgrn2"]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_series(cell: str, bidirectional: bool) -> None:
    draw = np.random.default_rng(0)
    series = [draw.normal(size=(int(draw.integers(3, 9)), 2)).astype(np.float32) for _ in range(24)]
    model = SeriesClassifier(cell, units=6, epochs=1, bidirectional=bidirectional)
    model.fit(series, ["ab"[number % 2] for number in range(24)], verbose=0)
    (told,) = model.predict(series[:1])
    expected = [told.probabilities[label] for label in "ab"]
    if not bidirectional:
        first, second = model.stream(), model.stream()
        first.push(series[0][:2])
        second.set_state(first.state())
        np.testing.assert_allclose(second.push(series[0][2:]), expected, atol=1e-5)
    # Alone or among longer ones, the last step is that of the series.
    together = model.predict([series[0], np.zeros((12, 2), np.float32)])[0]
    np.testing.assert_allclose([together.probabilities[label] for label in "ab"], expected, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_texts_are_written(cell: str) -> None:
    model = LanguageModel(cell, units=6, epochs=1, seed=1)
    model.fit(["the cat sat on the mat. " * 40], verbose=0)
    codes = torch.tensor([[3, 4, 5, 6]])
    with torch.no_grad():
        whole, _ = model.network(codes, model.network.start(1))
    steps = LanguageSteps(model.network, ())
    state = model.network.start(1)
    for number in range(4):
        found, state = steps.step(codes[:, number], state)
        torch.testing.assert_close(found, whole[:, number].log_softmax(-1), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("attention", ["luong", "bahdanau"])
def test_texts_are_translated(cell: str, attention: str) -> None:
    model = Translator(cell, units=6, embedding_size=5, attention=attention, epochs=1)
    model.fit(
        ["a b", "b a", "a a", "b b"] * 3, ["x y", "y x", "x x", "y y"] * 3, validation_share=0, verbose=0
    )
    assert len(model.translate(["a b", "b"])) == 2
