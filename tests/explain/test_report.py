"""Reports: a trained model as one page, with what there is for its kind and nothing else."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from nabi import Sequential, TextClassifier, layers
from nabi.errors import ArgumentError, UnknownNameError
from nabi.explain import report
from nabi.explain._report._memory import remembered
from nabi.models import watched_layers
from tests.shipping.browser import Browser, needs_browser

TEXTS = ["a good film", "so good", "a warm film", "a bad film", "so bad", "a cold film"] * 6
LABELS = (["+"] * 3 + ["-"] * 3) * 6


@pytest.fixture(scope="module")
def classifier() -> TextClassifier:
    model = TextClassifier(units=4, embedding_size=8, epochs=6, learning_rate=0.03)
    model.fit(TEXTS, LABELS, verbose=0)
    return model


def headings(path: Path) -> list[str]:
    return re.findall(r"<h2[^>]*>(.*?)</h2>", path.read_text("utf-8"))


def test_a_classifier_is_measured_and_shows_its_answers(classifier: TextClassifier, tmp_path: Path) -> None:
    # One label is wrong on purpose: "so bad" as "+".
    held_out = (["so good", "so bad", "so bad"], ["+", "-", "+"])
    path = report(
        classifier, tmp_path / "a.html", data="a good & <warm> film", held_out=held_out, language="en"
    )
    assert headings(path) == [
        "The model",
        "How good it is",
        "What it takes for what",
        "Right answers of which it is sure",
        "Wrong answers of which it is sure",
        "What it read",
        "How far it remembers",
        "How it was trained",
        "Settings",
    ]
    page = path.read_text("utf-8")
    measured = classifier.evaluate(*held_out)
    assert "Measured for this page on 3 rows." in page
    assert f">{measured.accuracy:.4f}<" in page
    assert measured.confusion is not None
    counts = [int(one) for one in re.findall(r'<td class="(?:hit|miss)"[^>]*>(\d+)<', page)]
    assert counts == [count for row in measured.confusion for count in row]
    said = [one.label for one in classifier.predict(list(held_out[0]))]
    wrong = page[page.index("Wrong answers of which it is sure</h2>") : page.index("What it read</h2>")]
    assert wrong.count('<p class="text">') == sum(
        one != right for one, right in zip(said, held_out[1], strict=True)
    )
    assert "&lt;" in page[page.index("What it read</h2>") :]
    assert "<warm>" not in page


def test_only_what_there_is_stands_in_it(tmp_path: Path) -> None:
    model = Sequential([layers.Input((6, 1)), layers.GRU(3), layers.Dense(2, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    path = report(model, tmp_path / "a.html", language="ko", name="수열")
    assert headings(path) == ["모델"]
    assert '<html lang="ko">' in path.read_text("utf-8")
    x, y = np.random.default_rng(0).normal(size=(9, 6, 1)), np.arange(9) % 2
    path = report(model, path, held_out=(x, y), data="1 2 3 4 5 6", language="en")
    assert headings(path) == ["The model", "How good it is", "Result", "How far it remembers"]
    _, accuracy = model.evaluate(x, y, verbose=0)
    assert f">{accuracy:.4f}<" in path.read_text("utf-8")


def test_memory_is_that_of_the_gradient() -> None:
    torch.manual_seed(0)
    model = Sequential([layers.Input((8, 1)), layers.SimpleRNN(3, activation="linear", use_bias=False)])
    [layer] = model.layers
    with torch.no_grad():
        layer.recurrent_kernel.copy_(0.5 * torch.eye(3))
    with watched_layers() as calls:
        model.predict(np.ones((2, 8, 1)), verbose=0)
    found = remembered(calls)
    assert found is not None
    # Each step back multiplies the gradient by the recurrent weight.
    np.testing.assert_allclose(found, 0.5 ** np.arange(8), rtol=1e-6)


@needs_browser
def test_it_is_readable_on_a_phone_in_both_lights(classifier: TextClassifier, tmp_path: Path) -> None:
    path = report(classifier, tmp_path / "a.html", data="a good film", language="ko")
    contrast = """
      (() => {
        const bright = (rgb) => {
          const [r, g, b] = rgb.match(/[\\d.]+/g).slice(0, 3).map((one) => {
            const part = one / 255;
            return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
          });
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const behind = (one) => {
          for (; one; one = one.parentElement) {
            const colour = getComputedStyle(one).backgroundColor;
            if (!/, 0\\)|transparent/.test(colour) && !/rgba/.test(colour)) return bright(colour);
          }
        };
        const ratios = [...document.querySelectorAll("h1,h2,p,th,td,a,caption,figcaption,.bar span")]
          .filter((one) => one.textContent.trim())
          .map((one) => {
            const [low, high] = [bright(getComputedStyle(one).color), behind(one)].sort((a, b) => a - b);
            return (high + 0.05) / (low + 0.05);
          });
        return Math.min(...ratios);
      })()
    """
    with Browser(390, 844) as browser:
        for light in ("light", "dark"):
            browser("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": light}])
            browser.open(path)
            assert browser.value(contrast) >= 4.5
        assert browser.value("document.documentElement.scrollWidth") <= 390
        pictures = "[...document.querySelectorAll('svg')].every((one) => one.getAttribute('aria-label'))"
        assert browser.value(pictures)
        assert browser.errors == []


def test_what_cannot_be_written_is_said(classifier: TextClassifier, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"path: expected a name that ends in \.html"):
        report(classifier, tmp_path / "a.pdf")
    with pytest.raises(UnknownNameError, match="language"):
        report(classifier, tmp_path / "a.html", language="de")
    with pytest.raises(ArgumentError, match="model: expected a trained one"):
        report(TextClassifier(), tmp_path / "a.html")
    with pytest.raises(ArgumentError, match="model: expected a model of nabi, got int"):
        report(3, tmp_path / "a.html")
    assert list(tmp_path.iterdir()) == []
