"""Language models in files, and trainings that are interrupted and taken up again."""

import json
from pathlib import Path
from typing import Any

import pytest

from nabi import LanguageModel, cells
from nabi.errors import ArgumentError, FileFormatError, MissingFileError
from nabi.files import read_model_file, write_model_file
from nabi.models import load_model

from ..task_checks import *  # noqa: F403
from ..task_checks import PressesCtrlC, Task, same_weights

TEXT = "the cat sat on the mat. the dog sat on the log. " * 8
WINDOWS = 5
"""Of an epoch."""


def small(**options: Any) -> LanguageModel:
    chosen = {"units": 10, "embedding_size": 6, "window": 16, "batch_size": 4, "epochs": 3, "dropout": 0.2}
    return LanguageModel(**{**chosen, "weight_drop": 0.1, **options})


def header_of(path: Path) -> dict[str, Any]:
    header = read_model_file(path).header
    return {name: value for name, value in header.items() if name not in ("format", "layout", "kind")}


TASK = Task(
    make=small,
    data=([TEXT],),
    other_data=([TEXT[5:]],),
    ask=lambda model: ("".join(model.write("the", 30, seed=1)), model.evaluate([TEXT[:50]])),
    material="texts",
    options={"validation_share": 0.1, "test_share": 0.1},
)


@pytest.fixture(scope="module")
def task() -> Task:
    return TASK


@pytest.mark.parametrize(
    "options",
    [
        {"unit": "words", "tied": True, "layers": 2, "cell": "gru"},
        {"cell": cells.LSTM(7, recurrent_dropout=0.2)},
    ],
)
def test_models_of_other_kinds_come_back_from_their_files(tmp_path: Path, options: dict[str, Any]) -> None:
    model = small(**options, epochs=1)
    TASK.fit(model)
    model.save(tmp_path / "model.nabi")
    again = LanguageModel.load(tmp_path / "model.nabi")
    assert TASK.ask(again) == TASK.ask(model)
    assert (again.cell, again.settings, again.ends) == (model.cell, model.settings, model.ends)


def test_files_that_cannot_be_read_are_refused(learnt: LanguageModel, tmp_path: Path) -> None:
    path = tmp_path / "model.nabi"
    learnt.save(path)
    with pytest.raises(MissingFileError):
        LanguageModel.load(tmp_path / "none.nabi")
    with pytest.raises(FileFormatError, match=r"read it with nabi\.LanguageModel\.load"):
        load_model(path)
    plain = header_of(path)

    def damaged(**changes: Any) -> Path:
        header = json.loads(json.dumps({**plain, **changes}))
        write_model_file(tmp_path / "damaged.nabi", "language model", header, read_model_file(path).tensors)
        return tmp_path / "damaged.nabi"

    for words in ([], plain["vocabulary"]["words"][:-1], None):
        with pytest.raises(FileFormatError, match="damaged"):
            LanguageModel.load(damaged(vocabulary={**plain["vocabulary"], "words": words}))
    with pytest.raises(ArgumentError, match="custom_objects"):
        LanguageModel.load(damaged(cell={**plain["cell"], "class_name": "Nowhere"}))


@pytest.mark.parametrize("batches", [WINDOWS + 1, 2 * WINDOWS - 1, 2 * WINDOWS, 3 * WINDOWS - 2])
def test_a_training_goes_on_where_windows_have_moved_and_states_gone_on(
    learnt: LanguageModel, tmp_path: Path, batches: int
) -> None:
    """Windows begin elsewhere after the first epoch: within the later ones, and at their ends."""
    checkpoint = tmp_path / "training.nabi"
    stopped = small()
    assert TASK.fit(stopped, checkpoint=checkpoint, callbacks=PressesCtrlC(batches)).interrupted
    # After the last batch of an epoch its validation is still to come.
    assert len(stopped.history["loss"]) == (batches - 1) // WINDOWS
    resumed = small()
    report = TASK.fit(resumed, checkpoint=checkpoint)
    assert same_weights(resumed, learnt)
    assert resumed.history == learnt.history
    assert (report.validation, report.test) == (learnt.report.validation, learnt.report.test)


def test_a_checkpoint_that_does_not_fit_is_refused(learnt: LanguageModel, tmp_path: Path) -> None:
    checkpoint = tmp_path / "training.nabi"
    learnt.save(checkpoint)
    with pytest.raises(FileFormatError, match="expected language model training, got language model"):
        TASK.fit(small(), checkpoint=checkpoint)
    checkpoint.unlink()
    TASK.fit(small(), checkpoint=checkpoint, callbacks=PressesCtrlC(3))
    file, header = read_model_file(checkpoint), header_of(checkpoint)
    tensors = {name: value for name, value in file.tensors.items() if not name.startswith("extra/states/0/1")}
    write_model_file(checkpoint, "language model training", header, tensors)
    with pytest.raises(FileFormatError, match=r"training cannot go on from it .*extra/states/0/1: expected"):
        TASK.fit(small(), checkpoint=checkpoint)
    for offset in (-1, 17, 10**9, 1.5, None):
        described = {**header["training"], "extra": {"offset": offset}}
        write_model_file(checkpoint, file.kind, {**header, "training": described}, file.tensors)
        with pytest.raises(
            FileFormatError, match=r"extra\.offset: expected a whole number from 0 to \d+, got"
        ):
            TASK.fit(small(), checkpoint=checkpoint)
