"""The recipe of Bach's chorales: on made-up chords here, on the real ones where they are."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from nabi import recipes
from nabi.data import read_midi_frames
from nabi.errors import FileFormatError, MissingFileError
from nabi.models import NoteModel
from nabi.recipes import chorales

CADENCE = [[48, 55, 60, 64], [53, 57, 60, 65], [55, 59, 62, 67], [48, 55, 60, 64]]

SMALL = {"UNITS": 16, "EMBEDDING": 8, "BARS": 4, "LEARNING_RATE": 0.03}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**SMALL, "DROPOUT": 0.0, "TRANSPOSE": 0}.items():
        monkeypatch.setattr(chorales, name, value)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    pieces = {"train": [CADENCE * 3] * 12, "valid": [CADENCE * 3] * 2, "test": [CADENCE * 2]}
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / chorales.FILE).write_text(json.dumps(pieces), encoding="utf-8")
    return tmp_path / "data"


@pytest.mark.usefixtures("small")
def test_it_learns_composes_and_leaves_its_figures(tmp_path: Path, data: Path) -> None:
    out = tmp_path / "out"
    result = recipes.get("chorales").run(out, epochs=4, data=data)
    figures = result.figures
    for output in ("keys", "chords"):
        model = NoteModel.load(out / f"{output}.nabi")
        assert model.settings.output == output
        assert model.evaluate([CADENCE * 2]) == pytest.approx(figures[f"{output}.test"])
        assert figures[f"{output}.history"]["val_loss"][-1] < figures[f"{output}.history"]["val_loss"][0]
        assert figures[f"{output}.validation"] == min(figures[f"{output}.history"]["val_loss"])
        assert (out / f"{output}_learning_curves.png").exists()
        assert not (out / f"{output}.training").exists()
    assert json.loads((out / "result.json").read_text(encoding="utf-8"))["figures"] == figures
    continued = read_midi_frames(out / "continued.mid").frames
    assert continued[:8] == tuple(map(tuple, CADENCE * 2))
    assert all(len(frame) <= 4 for frame in continued)
    for name in ("from_nothing", "continued"):
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("small")
def test_a_run_that_is_continued_does_not_train_the_first_network_again(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    whole = recipes.get("chorales").run(tmp_path / "whole", epochs=2, data=data).figures
    fit, trained = NoteModel.fit, []

    def killed(self: NoteModel, *arguments: Any, **options: Any) -> Any:
        trained.append(self.settings.output)
        if trained == ["keys", "chords"]:
            options["checkpoint"].touch()
            raise MemoryError
        options["checkpoint"].unlink(missing_ok=True)
        return fit(self, *arguments, **options)

    monkeypatch.setattr(NoteModel, "fit", killed)
    with pytest.raises(MemoryError):
        recipes.get("chorales").run(out, epochs=2, data=data)
    again = recipes.get("chorales").run(out, epochs=2, data=data).figures
    assert trained == ["keys", "chords", "chords"]
    for output in ("keys", "chords"):
        assert again[f"{output}.test"] == whole[f"{output}.test"]


def test_chorales_that_are_not_there_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NABI_DATA", raising=False)
    with pytest.raises(MissingFileError, match=r"the recipe chorales reads jsb_chorales_quarter\.json"):
        recipes.get("chorales").run(tmp_path / "out")
    with pytest.raises(MissingFileError, match=r"expected jsb_chorales_quarter\.json or its folder"):
        recipes.get("chorales").run(tmp_path / "out", data=tmp_path)
    (tmp_path / chorales.FILE).write_text('{"train": []}')
    with pytest.raises(FileFormatError, match="has no pieces for train, valid, test"):
        recipes.get("chorales").run(tmp_path / "out", data=tmp_path)


@pytest.mark.usefixtures("small")
def test_the_real_chorales(tmp_path: Path) -> None:
    if not os.environ.get("NABI_DATA"):
        pytest.skip("NABI_DATA is not set, the folder with the real data")
    figures = recipes.get("chorales").run(tmp_path / "out", epochs=2).figures
    assert figures["keys.validation"] < 11
    report = NoteModel.load(tmp_path / "out" / "keys.nabi").report
    assert (report.train_pieces, report.validation_pieces, report.test_pieces) == (229, 76, 77)
    assert (report.train_frames, report.validation_frames, report.test_frames) == (13_807, 4_602, 4_725)
