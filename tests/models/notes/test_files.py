"""Models of notes in files, and trainings that are interrupted and taken up again."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from nabi import NoteModel, cells
from nabi.callbacks import Callback
from nabi.errors import ArgumentError, FileFormatError, MissingFileError
from nabi.interchange import read_model_file, write_model_file
from nabi.models import load_model
from nabi.training._loop._interrupt import FinishBatch

PIECES = [[(60, 64), (62,), (59, 67), ()] * (number % 3 + 1) for number in range(20)]
LABELS = ["a", "b"] * 10


def small(**options: Any) -> NoteModel:
    chosen = {"units": 10, "embedding_size": 6, "batch_size": 4, "epochs": 4, "dropout": 0.2, "window": 6}
    return NoteModel(**{**chosen, "transpose": 3, **options})


def header_of(path: Path) -> dict[str, Any]:
    header = read_model_file(path).header
    return {name: value for name, value in header.items() if name not in ("format", "layout", "kind")}


class StopAfter(Callback):
    """Asks for an end after some batches, as Ctrl-C does."""

    def __init__(self, batches: int, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self._left = batches
        self._interrupts: list[FinishBatch] = []
        entered = FinishBatch.__enter__

        def enter(interrupt: FinishBatch) -> FinishBatch:
            self._interrupts.append(interrupt)
            return entered(interrupt)

        monkeypatch.setattr(FinishBatch, "__enter__", enter)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._left -= 1
        if not self._left:
            self._interrupts[-1].asked = True


@pytest.mark.parametrize(
    ("options", "labels"),
    [({}, None), ({"output": "chords", "layers": 2, "cell": "gru"}, LABELS), ({}, [1, 2] * 10)],
)
def test_a_model_comes_back_from_its_file(tmp_path: Path, options: dict[str, Any], labels: Any) -> None:
    model = small(**options)
    model.fit(PIECES, labels, verbose=0)
    model.save(tmp_path / "model.nabi")
    again = NoteModel.load(tmp_path / "model.nabi")
    for name in ("report", "history", "settings", "labels", "cell"):
        assert getattr(again, name) == getattr(model, name), name
    label = labels[0] if labels else None
    composed = [list(one.write(label=label, ends=False, seed=1)) for one in (model, again)]
    assert composed[0] == composed[1]
    again.save(tmp_path / "again.nabi")
    assert (tmp_path / "model.nabi").read_bytes() == (tmp_path / "again.nabi").read_bytes()


def test_a_cell_with_arguments_comes_back(tmp_path: Path) -> None:
    model = small(cell=cells.LSTM(7, recurrent_dropout=0.2), epochs=1)
    model.fit(PIECES, verbose=0)
    model.save(tmp_path / "model.nabi")
    assert NoteModel.load(tmp_path / "model.nabi").cell == model.cell


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    model = small(epochs=1)
    model.fit(PIECES, LABELS, verbose=0)
    path = tmp_path / "model.nabi"
    model.save(path)
    with pytest.raises(MissingFileError):
        NoteModel.load(tmp_path / "none.nabi")
    with pytest.raises(FileFormatError, match=r"read it with nabi\.NoteModel\.load"):
        load_model(path)
    (tmp_path / "cut.nabi").write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FileFormatError, match="cut short"):
        NoteModel.load(tmp_path / "cut.nabi")
    plain = header_of(path)

    def damaged(**changes: Any) -> Path:
        header = json.loads(json.dumps({**plain, **changes}))
        write_model_file(tmp_path / "damaged.nabi", "note model", header, read_model_file(path).tensors)
        return tmp_path / "damaged.nabi"

    for changes in (
        {"settings": {**plain["settings"], "units": 10**9}},
        {"settings": {**plain["settings"], "layers": 10**6}},
        {"settings": {**plain["settings"], "embedding_size": 7}},
        {"settings": {**plain["settings"], "output": "chords"}},
        {"settings": None},
        {"labels": ["a"]},
        {"labels": ["a", "a"]},
        {"labels": [1.5, None]},
        {"labels": None},
        {"report": {}},
        {"history": 3},
        {"cell": {**plain["cell"], "config": {"units": 10**9}}},
    ):
        with pytest.raises(FileFormatError, match="damaged"):
            NoteModel.load(damaged(**changes))
    with pytest.raises(ArgumentError, match="custom_objects"):
        NoteModel.load(damaged(cell={**plain["cell"], "class_name": "Nowhere"}))


@pytest.mark.parametrize("batches", [1, 7, 8, 12])
def test_a_training_that_was_interrupted_ends_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batches: int
) -> None:
    """Within an epoch, at its end, and at the beginning of the next."""
    whole = small()
    whole.fit(PIECES, verbose=0)
    checkpoint = tmp_path / "training.nabi"
    stopped = small()
    report = stopped.fit(PIECES, verbose=0, checkpoint=checkpoint, callbacks=StopAfter(batches, monkeypatch))
    assert report.interrupted
    assert checkpoint.exists()
    assert len(list(stopped.write(frames=5, ends=False))) == 5
    resumed = small()
    report = resumed.fit(PIECES, verbose=0, checkpoint=checkpoint)
    assert not report.interrupted
    assert not checkpoint.exists()
    assert resumed.history == whole.history
    assert report.test == whole.report.test
    for name, weight in whole.network.state_dict().items():
        assert torch.equal(weight, resumed.network.state_dict()[name]), name


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = tmp_path / "training.nabi"
    small().fit(PIECES, verbose=0, checkpoint=checkpoint, callbacks=StopAfter(3, monkeypatch))
    with pytest.raises(ArgumentError, match="is of a training with other settings"):
        small(learning_rate=0.1).fit(PIECES, verbose=0, checkpoint=checkpoint)
    with pytest.raises(ArgumentError, match="is of a training with other pieces"):
        small().fit([*PIECES[1:], PIECES[1]], verbose=0, checkpoint=checkpoint)
    with pytest.raises(ArgumentError, match="is of a training with other pieces"):
        small().fit(PIECES, LABELS, verbose=0, checkpoint=checkpoint)
    model = small(epochs=1)
    model.fit(PIECES, verbose=0)
    model.save(tmp_path / "model.nabi")
    with pytest.raises(FileFormatError, match="expected note model training, got note model"):
        small().fit(PIECES, verbose=0, checkpoint=tmp_path / "model.nabi")
