"""Models of notes in files, and trainings that are interrupted and taken up again."""

import json
from pathlib import Path
from typing import Any

import pytest

from nabi import NoteModel, cells
from nabi.errors import ArgumentError, FileFormatError, MissingFileError
from nabi.files import read_model_file, write_model_file
from nabi.models import load_model

from ..task_checks import *  # noqa: F403
from ..task_checks import PressesCtrlC, Task, same_weights

PIECES = [[(60, 64), (62,), (59, 67), ()] * (number % 3 + 1) for number in range(20)]
LABELS = ["a", "b"] * 10


def small(**options: Any) -> NoteModel:
    chosen = {"units": 10, "embedding_size": 6, "batch_size": 4, "epochs": 3, "dropout": 0.2, "window": 6}
    return NoteModel(**{**chosen, "transpose": 3, "weight_drop": 0.1, **options})


def header_of(path: Path) -> dict[str, Any]:
    header = read_model_file(path).header
    return {name: value for name, value in header.items() if name not in ("format", "layout", "kind")}


TASK = Task(
    make=small,
    data=(PIECES, LABELS),
    other_data=([*PIECES[1:], PIECES[1]], LABELS),
    ask=lambda model: (list(model.write(label="a", ends=False, seed=1)), model.evaluate(PIECES, LABELS)),
    material="pieces",
)


@pytest.fixture(scope="module")
def task() -> Task:
    return TASK


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ({}, None),
        ({"output": "chords", "layers": 2, "cell": "gru"}, [1, 2] * 10),
        ({"cell": cells.LSTM(7, recurrent_dropout=0.2)}, None),
    ],
)
def test_models_of_other_kinds_come_back_from_their_files(
    tmp_path: Path, options: dict[str, Any], labels: Any
) -> None:
    model = small(**options, epochs=1)
    model.fit(PIECES, labels, verbose=0)
    model.save(tmp_path / "model.nabi")
    again = NoteModel.load(tmp_path / "model.nabi")
    assert (again.labels, again.cell, again.settings) == (model.labels, model.cell, model.settings)
    label = labels[0] if labels else None
    composed = [list(one.write(label=label, ends=False, seed=1)) for one in (model, again)]
    assert composed[0] == composed[1]


def test_files_that_cannot_be_read_are_refused(learnt: NoteModel, tmp_path: Path) -> None:
    path = tmp_path / "model.nabi"
    learnt.save(path)
    with pytest.raises(MissingFileError):
        NoteModel.load(tmp_path / "none.nabi")
    with pytest.raises(FileFormatError, match=r"read it with nabi\.NoteModel\.load"):
        load_model(path)
    plain = header_of(path)

    def damaged(**changes: Any) -> Path:
        header = json.loads(json.dumps({**plain, **changes}))
        write_model_file(tmp_path / "damaged.nabi", "note model", header, read_model_file(path).tensors)
        return tmp_path / "damaged.nabi"

    for changes in (
        {"settings": {**plain["settings"], "output": "chords"}},
        {"labels": ["a"]},
        {"labels": ["a", "a"]},
        {"labels": [1.5, None]},
        {"labels": None},
    ):
        with pytest.raises(FileFormatError, match="damaged"):
            NoteModel.load(damaged(**changes))
    with pytest.raises(ArgumentError, match="custom_objects"):
        NoteModel.load(damaged(cell={**plain["cell"], "class_name": "Nowhere"}))


@pytest.mark.parametrize("batches", [9, 16, 20])
def test_a_training_goes_on_in_a_later_epoch(learnt: NoteModel, tmp_path: Path, batches: int) -> None:
    """Pieces are cut, put in order and transposed otherwise in every epoch."""
    checkpoint = tmp_path / "training.nabi"
    stopped = small()
    assert TASK.fit(stopped, checkpoint=checkpoint, callbacks=PressesCtrlC(batches)).interrupted
    assert stopped.history["loss"]
    resumed = small()
    report = TASK.fit(resumed, checkpoint=checkpoint)
    assert same_weights(resumed, learnt)
    assert resumed.history == learnt.history
    assert report.test == learnt.report.test


def test_a_checkpoint_that_does_not_fit_is_refused(learnt: NoteModel, tmp_path: Path) -> None:
    checkpoint = tmp_path / "training.nabi"
    TASK.fit(small(), checkpoint=checkpoint, callbacks=PressesCtrlC(3))
    with pytest.raises(ArgumentError, match="is of a training with other pieces"):
        small().fit(PIECES, verbose=0, checkpoint=checkpoint)  # the same without labels
    learnt.save(checkpoint)
    with pytest.raises(FileFormatError, match="expected note model training, got note model"):
        TASK.fit(small(), checkpoint=checkpoint)
