"""Animations: the numbers of the engine on a page that moves, in a real browser, and as a GIF."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nabi import Sequential, TextClassifier, cells, layers, nn
from nabi.cells import Cell
from nabi.data import Labels, Vocabulary
from nabi.errors import ArgumentError, ShapeError, UnknownNameError
from nabi.explain import animation, animation_of, cell_animation, gates, read_text
from nabi.files import writing_as
from nabi.ir.functions import sigmoid, tanh
from nabi.models import watched_layers
from tests.shipping.browser import Browser, needs_browser


class Leaky(Cell):
    """A cell of a user's own."""

    states = ("h",)

    def step(self, x, h):  # type: ignore[no-untyped-def]
        keep_t = sigmoid(self.affine("k", x))
        return keep_t * h + (1 - keep_t) * tanh(self.affine("n", x, h))


def facts(path: Path) -> dict:  # type: ignore[type-arg]
    """What a page knows."""
    found = re.search(r'<script id="facts"[^>]*>(.*?)</script>', path.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return json.loads(found[1])  # type: ignore[no-any-return]


def numbers(lane: dict) -> np.ndarray:  # type: ignore[type-arg]
    import base64

    whole = np.frombuffer(base64.b64decode(lane["numbers"]), "<i2")
    return whole.reshape(-1, lane["width"]) / 32767 * lane["scale"]


def test_the_page_has_the_numbers_of_the_engine(tmp_path: Path) -> None:
    rnn = nn.RNN(cells.PeepholeLSTM(units=5), input_size=3)
    x = torch.randn(7, 3)
    known = facts(animation(rnn, x, tmp_path / "a.html", labels=list("나비야 ab<")))
    assert known["labels"] == list("나비야 ab<")
    values = gates(rnn, x)
    assert [lane["name"] for lane in known["lanes"]] == list(values)
    for lane in known["lanes"]:
        expected = values[lane["name"]][0].detach().numpy()
        np.testing.assert_allclose(numbers(lane), expected, atol=lane["scale"] / 30_000)
        assert lane["share"] == (lane["name"] in "ifo")
        assert lane["state"] == (lane["name"] in "ch")


@needs_browser
def test_it_plays_by_keys_and_fits_a_phone(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = animation(
        nn.RNN(cells.GRU(units=4), input_size=2),
        torch.randn(5, 2),
        tmp_path / "a.html",
        title="<script>alert(1)</script> & more",
        says=[(), (("up", 0.75), ("down", 0.25)), (), (), ()],
        language="ko",
    )
    assert not re.search(r'(src|href)="(?!data:|#)', path.read_text("utf-8"))
    with Browser(390, 844) as browser:
        browser(
            "Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}]
        )
        browser.open(path)
        shown = "Number(document.getElementById('slider').value)"
        place = "document.getElementById('place').textContent"
        assert browser.value("document.querySelector('h1').textContent") == "<script>alert(1)</script> & more"
        assert browser.value(place) == "5단계 중 1단계: 1"
        browser.press("ArrowRight")
        assert browser.value(shown) == 1
        assert browser.value("document.getElementById('says').textContent") == "up75 %down25 %"
        browser.press("ArrowLeft")
        assert browser.value(shown) == 0
        assert browser.value("document.documentElement.scrollWidth") <= 390
        browser.value("document.getElementById('language').click()")
        assert browser.value(place) == "step 1 of 5: 1"
        assert browser.value("document.documentElement.lang") == "en"
        # Every control, map and step has a name, and touch targets are as high as a finger.
        unnamed = (
            "[...document.querySelectorAll('button, input, canvas, [role=img]')].filter("
            "(one) => !(one.getAttribute('aria-label') || one.textContent.trim())).length"
        )
        assert browser.value(unnamed) == 0
        assert browser.value("document.getElementById('play').offsetHeight") >= 44
        # The box of a gate is coloured, and its units stand below it.
        filled = "document.querySelector('#value-z path').style.fill"
        before = browser.value(filled)
        browser.press("ArrowRight")
        assert before.startswith("rgb")
        assert browser.value(filled) != before
        browser.press(" ")
        browser.wait(f"{shown} > 1")  # it goes on by itself
        assert browser.errors == []


def test_a_gif_has_a_picture_for_each_step(tmp_path: Path) -> None:
    with writing_as("nabi show"):
        path = cell_animation(cells.SimpleRNN(units=3), "hello", tmp_path / "a.gif", language="ko")
    with Image.open(path) as image:
        assert image.n_frames == 5  # type: ignore[attr-defined]
        assert image.info["comment"] == b"written by nabi show"
        assert image.info["loop"] == 0
        first = np.asarray(image.convert("RGB"))
        image.seek(4)
        assert (np.asarray(image.convert("RGB")) != first).any()


def test_a_cell_of_ones_own_and_its_numbers(tmp_path: Path) -> None:
    path = cell_animation(Leaky(units=2), "0.5 1 -1", tmp_path / "a.html")
    known = facts(path)
    assert known["labels"] == ["0.5", "1", "-1"]
    assert [lane["name"] for lane in known["lanes"]] == ["keep", "h"]
    assert known["lanes"][0]["meaning"] == "gate"
    assert facts(cell_animation(Leaky(units=2), "aba", tmp_path / "b.html"))["labels"] == list("aba")


def test_a_model_shows_its_own_layers_in_both_directions(tmp_path: Path) -> None:
    reads = layers.Bidirectional(layers.LSTM(3, return_sequences=True))
    model = Sequential([layers.Input((None,)), layers.Embedding(9, 4), reads, layers.GRU(2), layers.Dense(1)])
    codes = [1, 5, 2, 8]
    with watched_layers() as calls:
        said = model.predict(np.array([codes]), verbose=0)
    assert [call.reverse for call in calls] == [False, True, False]
    forward, backward, gru = (
        facts(animation_of(model, codes, tmp_path / "a.html", layer=number)) for number in (1, 2, 3)
    )
    assert forward["labels"] == ["1", "5", "2", "8"]
    assert backward["labels"] == forward["labels"][::-1]
    h = {lane["name"]: numbers(lane) for lane in gru["lanes"]}["h"]
    output = model.layers[-1](torch.from_numpy(h[-1:]).float()).detach().numpy()
    np.testing.assert_allclose(output, said, atol=1e-4)
    assert gru["says"][-1][0][1] == pytest.approx(float(said[0, 0]))
    assert gru["says"][:-1] == [[]] * 3


def test_what_a_classifier_says_stands_beside_each_word(tmp_path: Path) -> None:
    vocabulary = Vocabulary.learn(["a good film", "a bad film"])
    stack = [layers.Embedding(len(vocabulary), 8, mask_zero=True), layers.LSTM(4)]
    network = Sequential([layers.Input((None,)), *stack, layers.Dense(2, activation="softmax")])
    model = TextClassifier.of(network, vocabulary, Labels(["-", "+"]), maxlen=50)
    known = facts(animation_of(model, "a good film", tmp_path / "a.html"))
    assert known["labels"] == ["▸", "a", "good", "film"]
    reading = read_text(model, "a good film")
    for said, row in zip(known["says"], [reading.before, *reading.probabilities], strict=True):
        assert dict(said) == pytest.approx(dict(zip(reading.labels, row.tolist(), strict=True)))


def test_what_cannot_be_shown_is_said(tmp_path: Path) -> None:
    rnn, x = nn.RNN(cells.GRU(units=2), input_size=1), torch.zeros(3, 1)
    with pytest.raises(ArgumentError, match=r"path: expected a name that ends in \.html or \.gif"):
        animation(rnn, x, tmp_path / "a.png")
    with pytest.raises(UnknownNameError, match="language"):
        animation(rnn, x, tmp_path / "a.html", language="de")
    with pytest.raises(ShapeError, match="at least one time step"):
        animation(rnn, x[:0], tmp_path / "a.html")
    with pytest.raises(ArgumentError, match="labels: expected one for each of the 3 steps, got 1"):
        animation(rnn, x, tmp_path / "a.html", labels=["a"])
    with pytest.raises(ArgumentError, match="at most 1,000 steps"):
        animation(rnn, torch.zeros(1001, 1), tmp_path / "a.html")
    with pytest.raises(ArgumentError, match="data: expected finite numbers"):
        cell_animation(cells.GRU(units=2), "1 nan", tmp_path / "a.html")
    plain = Sequential([layers.Input((4,)), layers.Dense(1)])
    with pytest.raises(ArgumentError, match="model: expected one with a recurrent layer"):
        animation_of(plain, "1 2 3 4", tmp_path / "a.html")
    recurrent = Sequential([layers.Input((4, 1)), layers.LSTM(2)])
    with pytest.raises(ArgumentError, match="layer: expected at most 1"):
        animation_of(recurrent, "1 2 3 4", tmp_path / "a.html", layer=2)
    assert list(tmp_path.iterdir()) == []
