"""`nabi quantize`: smaller files, which other commands take."""

from pathlib import Path
from typing import Any

import pytest

from nabi import layers, models
from nabi.models import TextClassifier

ROWS = [(f"{word} {word} film", label) for word, label in (("good", "a"), ("bad", "b")) for _ in range(6)]


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("table.csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS))
    classifier = TextClassifier(units=16, embedding_size=16, epochs=2)
    classifier.fit("table.csv", text="text", label="label", verbose=0)
    classifier.save("texts.nabi")
    return tmp_path


def test_a_classifier_with_its_accuracy(nabi: Any, trained: Path) -> None:
    done = nabi("quantize", "texts.nabi", "--file", "table.csv", "--out", "small.nabi")
    assert done.status == 0, done.err
    assert "int8: " in done.out
    assert "outputs change by" in done.out
    assert "With float32 weights:" in done.out
    assert "With int8 weights:" in done.out
    assert "points)" in done.out
    assert "The model is in small.nabi" in done.out
    assert nabi("predict", "small.nabi", "a good film").status == 0
    assert nabi("evaluate", "small.nabi", "table.csv").status == 0
    assert nabi("explain", "small.nabi", "a good film").status == 0
    done = nabi("quantize", "small.nabi", "--out", "again.nabi")
    assert done.status == 2
    assert "expected a model with float32 weights, got int8" in done.err
    assert not Path("again.nabi").exists()


def test_a_model_of_layers(nabi: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    models.Sequential([layers.LSTM(16, input_shape=(None, 8)), layers.Dense(2)]).save("model.nabi")
    done = nabi("quantize", "model.nabi", "--weights", "float16")
    assert done.status == 0
    assert "The model is in model.float16.nabi" in done.out
    assert models.load_model("model.float16.nabi").count_params() == 1634
    Path("table.csv").write_text("a,b\n1,2\n")
    done = nabi("quantize", "model.nabi", "--file", "table.csv", "--overwrite")
    assert done.status == 2
    assert "--file: expected none for a Sequential" in done.err
