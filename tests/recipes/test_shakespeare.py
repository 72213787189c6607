"""The recipe that reads Shakespeare: on a small text here, on the real one where it is."""

import json
import os
from pathlib import Path

import pytest

from nabi import recipes
from nabi.errors import MissingFileError
from nabi.models import LanguageModel
from nabi.recipes import shakespeare

TEXT = "ROMEO:\nBut soft, what light?\n\nJULIET:\nAy me.\n\nFirst Citizen:\nSpeak, speak.\n\n" * 40


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "UNITS": 16,
        "EMBEDDING": 8,
        "STREAMS": 4,
        "WINDOW": 16,
        "MEASURED": 50,
        "SAMPLE": 40,
        "WRITTEN": 60,
    }.items():
        monkeypatch.setattr(shakespeare, name, value)


@pytest.mark.usefixtures("small")
def test_it_learns_writes_and_leaves_its_figures(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / shakespeare.FILE).write_text(TEXT, encoding="utf-8")
    result = recipes.get("shakespeare").run(tmp_path / "out", epochs=3, data=tmp_path / "data")
    assert result.figures["history"]["loss"][-1] < result.figures["history"]["loss"][0]
    assert result.figures["validation"] < 3.9
    assert result.figures["characters_per_second"] > 0
    written = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))
    assert written["figures"]["test"] == result.figures["test"]
    assert "ROMEO:" in (tmp_path / "out" / "written.txt").read_text(encoding="utf-8")
    model = LanguageModel.load(tmp_path / "out" / "model.nabi")
    assert model.report.validation == result.figures["validation"]
    assert result.figures["sample"].startswith("ROMEO:")
    assert (tmp_path / "out" / "learning_curves.png").read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "out" / "training.nabi").exists()


def test_a_text_that_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NABI_DATA", raising=False)
    with pytest.raises(MissingFileError, match="--data, or set NABI_DATA"):
        recipes.get("shakespeare").run(tmp_path / "out")
    with pytest.raises(MissingFileError, match=r"data: expected tiny_shakespeare\.txt or its folder"):
        recipes.get("shakespeare").run(tmp_path / "out", data=tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("small")
def test_the_real_text_is_found_and_divided_in_order() -> None:
    real = os.environ.get("NABI_DATA")
    if not real:
        pytest.skip("NABI_DATA is not set, the folder with the real data")
    text = shakespeare.find(None).read_text(encoding="utf-8")
    assert len(text) == 1_115_394
    assert text.startswith("First Citizen:")
