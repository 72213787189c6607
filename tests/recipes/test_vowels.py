"""The recipe of the vowels, on few of them and on the real ones."""

import os
from pathlib import Path

import numpy as np
import pytest

from nabi import recipes
from nabi.errors import MissingFileError
from nabi.models import SeriesClassifier
from nabi.recipes import vowels


def speakers(count: int, seed: int) -> str:
    """A file in which each of nine speakers has his own level in twelve channels."""
    random = np.random.default_rng(seed)
    lines = ["@dimensions 12", "@classLabel true " + " ".join("123456789"), "@data"]
    for number in range(count):
        length = int(random.integers(7, 12))
        level = np.sin(np.arange(12) * (1 + number % 9))
        steps = level[:, None] + 0.2 * random.normal(size=(12, length))
        lines.append(
            ":".join([*(",".join(f"{one:.4f}" for one in row) for row in steps), str(number % 9 + 1)])
        )
    return "\n".join(lines) + "\n"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(epochs: int, seed: int) -> SeriesClassifier:
        return SeriesClassifier(units=8, networks=2, learning_rate=0.02, epochs=epochs, seed=seed)

    monkeypatch.setattr(vowels, "make_classifier", make)


@pytest.mark.usefixtures("small")
def test_speakers_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "series").mkdir()
    (tmp_path / "series" / vowels.TRAIN).write_text(speakers(54, 0))
    (tmp_path / "series" / vowels.TEST).write_text(speakers(36, 1))
    result = recipes.get("vowels").run(tmp_path / "out", data=tmp_path, epochs=20)
    assert result.figures["accuracy"] > 0.9
    assert result.figures["baselines"]["majority"] == pytest.approx(1 / 9)
    assert result.figures["verdict"]
    model = SeriesClassifier.load(tmp_path / "out" / "model.nabi")
    assert model.evaluate(tmp_path / "series" / vowels.TEST).accuracy == result.figures["accuracy"]
    assert (tmp_path / "out" / "confusion.png").stat().st_size > 1000


def test_files_that_are_not_there_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NABI_DATA", raising=False)
    with pytest.raises(MissingFileError, match=r"the recipe vowels reads JapaneseVowels_TRAIN\.ts"):
        recipes.get("vowels").run(tmp_path / "out")


@pytest.mark.usefixtures("small")
def test_the_real_vowels(tmp_path: Path) -> None:
    if not os.environ.get("NABI_DATA"):
        pytest.skip("NABI_DATA is not set, the folder with the real data")
    figures = recipes.get("vowels").run(tmp_path / "out", epochs=4).figures
    assert figures["accuracy"] > 0.6
    assert figures["baselines"]["logistic regression on 8 steps"] > 0.98
