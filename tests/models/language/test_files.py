"""Language models in files, and trainings that are interrupted and taken up again."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from nabi import LanguageModel, cells
from nabi.callbacks import Callback
from nabi.errors import ArgumentError, FileFormatError, MissingFileError
from nabi.interchange import read_model_file, write_model_file
from nabi.models import load_model
from nabi.training._loop import _resumable_training as training
from nabi.training._loop._interrupt import FinishBatch

TEXT = "the cat sat on the mat. the dog sat on the log. " * 30


def small(**options: Any) -> LanguageModel:
    chosen = {"units": 10, "embedding_size": 6, "window": 16, "batch_size": 4, "epochs": 4, "dropout": 0.2}
    return LanguageModel(**{**chosen, **options})


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


@pytest.mark.parametrize("options", [{}, {"unit": "words", "tied": True, "layers": 2, "cell": "gru"}])
def test_a_model_comes_back_from_its_file(tmp_path: Path, options: dict[str, Any]) -> None:
    model = small(**options)
    model.fit([TEXT], verbose=0)
    model.save(tmp_path / "model.nabi")
    again = LanguageModel.load(tmp_path / "model.nabi")
    assert again.report == model.report
    assert again.history == model.history
    assert again.settings == model.settings
    written = [list(one.write("the", 30, seed=1)) for one in (model, again)]
    assert written[0] == written[1]
    again.save(tmp_path / "again.nabi")
    assert (tmp_path / "model.nabi").read_bytes() == (tmp_path / "again.nabi").read_bytes()


def test_a_cell_of_ones_own_comes_back(tmp_path: Path) -> None:
    model = small(cell=cells.LSTM(7, recurrent_dropout=0.2))
    model.fit([TEXT], verbose=0)
    model.save(tmp_path / "model.nabi")
    assert LanguageModel.load(tmp_path / "model.nabi").cell == model.cell


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    model = small(epochs=1)
    model.fit([TEXT], verbose=0)
    path = tmp_path / "model.nabi"
    model.save(path)
    with pytest.raises(MissingFileError):
        LanguageModel.load(tmp_path / "none.nabi")
    with pytest.raises(FileFormatError, match=r"read it with nabi\.LanguageModel\.load"):
        load_model(path)
    (tmp_path / "cut.nabi").write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FileFormatError, match="cut short"):
        LanguageModel.load(tmp_path / "cut.nabi")
    file = read_model_file(path)
    plain = {name: value for name, value in file.header.items() if name not in ("format", "layout", "kind")}

    def damaged(**changes: Any) -> Path:
        header = json.loads(json.dumps({**plain, **changes}))
        write_model_file(tmp_path / "damaged.nabi", "language model", header, file.tensors)
        return tmp_path / "damaged.nabi"

    for changes in (
        {"settings": {**plain["settings"], "units": 10**9}},
        {"settings": {**plain["settings"], "layers": 10**6}},
        {"settings": {**plain["settings"], "embedding_size": 7}},
        {"settings": None},
        {"vocabulary": {**plain["vocabulary"], "words": []}},
        {"report": {}},
        {"history": 3},
        {"cell": {**plain["cell"], "config": {"units": 10**9}}},
    ):
        with pytest.raises(FileFormatError, match="damaged"):
            LanguageModel.load(damaged(**changes))
    with pytest.raises(ArgumentError, match="custom_objects"):
        LanguageModel.load(damaged(cell={**plain["cell"], "class_name": "Nowhere"}))


@pytest.mark.parametrize("batches", [1, 20, 21, 40, 50])
def test_a_training_that_was_interrupted_ends_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batches: int
) -> None:
    """An epoch has 21 windows: within one, at its end, and at the beginning of the next."""
    whole = small()
    whole.fit([TEXT], verbose=0)
    checkpoint = tmp_path / "training.nabi"
    stopped = small()
    report = stopped.fit([TEXT], verbose=0, checkpoint=checkpoint, callbacks=StopAfter(batches, monkeypatch))
    assert report.interrupted
    assert checkpoint.exists()
    assert report.validation is not None
    assert len("".join(stopped.write("the", 5))) == 5
    resumed = small()
    report = resumed.fit([TEXT], verbose=0, checkpoint=checkpoint)
    assert not report.interrupted
    assert not checkpoint.exists()
    assert resumed.history == whole.history
    assert report.validation == whole.report.validation
    for name, weight in whole.network.state_dict().items():
        assert torch.equal(weight, resumed.network.state_dict()[name]), name


def test_checkpoints_are_written_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is killed goes on from the last one."""
    monkeypatch.setattr(training, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)

    class Killed(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if self.model is not None and batch == 7:
                raise MemoryError

    checkpoint = tmp_path / "training.nabi"
    with pytest.raises(MemoryError):
        small().fit([TEXT], verbose=0, checkpoint=checkpoint, callbacks=Killed())
    file = read_model_file(checkpoint)
    assert file.header["training"]["position"]["batch"] == 7
    whole, resumed = small(), small()
    whole.fit([TEXT], verbose=0)
    resumed.fit([TEXT], verbose=0, checkpoint=checkpoint)
    assert resumed.report.test == whole.report.test


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = tmp_path / "training.nabi"
    small().fit([TEXT], verbose=0, checkpoint=checkpoint, callbacks=StopAfter(3, monkeypatch))
    with pytest.raises(ArgumentError, match="is of a training with other settings"):
        small(seed=1).fit([TEXT], verbose=0, checkpoint=checkpoint)
    with pytest.raises(ArgumentError, match="is of a training with other texts"):
        small().fit([TEXT[5:]], verbose=0, checkpoint=checkpoint)
    model = small(epochs=1)
    model.fit([TEXT], verbose=0)
    model.save(tmp_path / "model.nabi")
    with pytest.raises(FileFormatError, match="expected language model training, got language model"):
        small().fit([TEXT], verbose=0, checkpoint=tmp_path / "model.nabi")
    file = read_model_file(checkpoint)
    header = {name: value for name, value in file.header.items() if name not in ("format", "layout", "kind")}
    tensors = {name: value for name, value in file.tensors.items() if not name.startswith("extra/states/0/1")}
    write_model_file(checkpoint, "language model training", header, tensors)
    with pytest.raises(FileFormatError, match=r"training cannot go on from it .*extra/states/0/1: expected"):
        small().fit([TEXT], verbose=0, checkpoint=checkpoint)
    for offset in (-1, 17, 10**9, 1.5, None):
        described = {**header["training"], "extra": {"offset": offset}}
        write_model_file(checkpoint, file.kind, {**header, "training": described}, file.tensors)
        with pytest.raises(
            FileFormatError, match=r"extra\.offset: expected a whole number from 0 to 16, got"
        ):
            small().fit([TEXT], verbose=0, checkpoint=checkpoint)
