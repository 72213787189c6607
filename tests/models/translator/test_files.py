"""Translators in files, and trainings that are interrupted and taken up again."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nabi import Translator, cells
from nabi.callbacks import Callback
from nabi.errors import ArgumentError, FileFormatError, MissingFileError
from nabi.interchange import read_model_file, write_model_file
from nabi.models import load_model
from nabi.training._loop._interrupt import FinishBatch

SOURCES = [f"{a} {b} {c}" for a in ("one", "two", "six") for b in ("red", "big") for c in ("cats", "dogs")]
TARGETS = [" ".join(reversed(source.split())) for source in SOURCES]


def small(**options: Any) -> Translator:
    chosen = {"units": 6, "embedding_size": 5, "batch_size": 3, "epochs": 4, "dropout": 0.2}
    return Translator(**{**chosen, **options})


def fitted(**options: Any) -> Translator:
    translator = small(**options)
    translator.fit(SOURCES, TARGETS, validation_share=0.2, verbose=0)
    return translator


class StopAfter(Callback):
    """Asks for an end after some batches, as Ctrl-C does."""

    def __init__(self, batches: int, monkeypatch: pytest.MonkeyPatch) -> None:
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
    "options",
    [
        {},
        {"cell": "lstm", "attention": "bahdanau", "layers": 2, "tied": False, "unit": "words"},
        {"input_feeding": True, "bidirectional": False},
        {"cell": cells.LSTM(7, recurrent_dropout=0.2), "attention": None},
    ],
)
def test_a_translator_comes_back_from_its_file(tmp_path: Path, options: dict[str, Any]) -> None:
    translator = fitted(**options)
    translator.save(tmp_path / "model.nabi")
    again = Translator.load(tmp_path / "model.nabi")
    assert again.report == translator.report
    assert again.history == translator.history
    assert again.settings == translator.settings
    assert again.cell == translator.cell
    assert again.translate(SOURCES, best=2) == translator.translate(SOURCES, best=2)
    if translator.settings.attention:
        looked = [one.attention("six big dogs", "dogs big six") for one in (translator, again)]
        np.testing.assert_array_equal(looked[0].weights, looked[1].weights)
    again.save(tmp_path / "again.nabi")
    assert (tmp_path / "model.nabi").read_bytes() == (tmp_path / "again.nabi").read_bytes()


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    translator = fitted(epochs=1)
    path = tmp_path / "model.nabi"
    translator.save(path)
    with pytest.raises(MissingFileError):
        Translator.load(tmp_path / "none.nabi")
    with pytest.raises(FileFormatError, match=r"read it with nabi\.Translator\.load"):
        load_model(path)
    (tmp_path / "cut.nabi").write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FileFormatError, match="cut short"):
        Translator.load(tmp_path / "cut.nabi")
    file = read_model_file(path)
    plain = {name: value for name, value in file.header.items() if name not in ("format", "layout", "kind")}
    tensors = file.tensors

    def damaged(kept: dict[str, torch.Tensor], **changes: Any) -> Path:
        header = json.loads(json.dumps({**plain, **changes}))
        write_model_file(tmp_path / "damaged.nabi", "translator", header, kept)
        return tmp_path / "damaged.nabi"

    for changes in (
        {"settings": {**plain["settings"], "units": 10**9}},
        {"settings": {**plain["settings"], "units": 11}, "cell": {**plain["cell"], "config": {"units": 11}}},
        {"settings": {**plain["settings"], "layers": 10**6}},
        {"settings": {**plain["settings"], "embedding_size": 7}},
        {"settings": {**plain["settings"], "attention": "bahdanau"}},
        {"settings": {**plain["settings"], "bidirectional": False}},
        {"settings": None},
        {"source": {**plain["source"], "words": []}},
        {"target": {**plain["target"], "words": plain["target"]["words"][:-1]}},
        {"source": {**plain["source"], "words": [*plain["source"]["words"], "more"]}},
        {"report": {}},
        {"room": None},
        {"history": 3},
        {"cell": {**plain["cell"], "config": {"units": 10**9}}},
    ):
        with pytest.raises(FileFormatError, match="damaged"):
            Translator.load(damaged(tensors, **changes))
    for lost in tensors:
        with pytest.raises(FileFormatError, match="damaged"):
            Translator.load(damaged({name: value for name, value in tensors.items() if name != lost}))
    with pytest.raises(ArgumentError, match="custom_objects"):
        Translator.load(damaged(tensors, cell={**plain["cell"], "class_name": "Nowhere"}))


@pytest.mark.parametrize("options", [{}, {"averaging": 0.9, "scheduled_sampling": 0.5}])
@pytest.mark.parametrize("batches", [1, 4, 6, 12])
def test_a_training_that_was_interrupted_ends_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batches: int, options: dict[str, Any]
) -> None:
    """An epoch has 4 batches: within one, at its end, and at the beginning of the next."""
    whole = fitted(**options)
    checkpoint = tmp_path / "training.nabi"
    stopped, resumed = small(**options), small(**options)
    arguments: dict[str, Any] = {"validation_share": 0.2, "verbose": 0, "checkpoint": checkpoint}
    report = stopped.fit(SOURCES, TARGETS, **arguments, callbacks=StopAfter(batches, monkeypatch))
    assert report.interrupted
    assert report.validation is not None
    assert len(stopped.translate(SOURCES[:2])) == 2
    report = resumed.fit(SOURCES, TARGETS, **arguments)
    assert not report.interrupted
    assert not checkpoint.exists()
    assert resumed.history == whole.history
    for name, weight in whole.network.state_dict().items():
        assert torch.equal(weight, resumed.network.state_dict()[name]), name


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = tmp_path / "training.nabi"
    small().fit(SOURCES, TARGETS, verbose=0, checkpoint=checkpoint, callbacks=StopAfter(3, monkeypatch))
    with pytest.raises(ArgumentError, match="is of a training with other settings"):
        small(seed=1).fit(SOURCES, TARGETS, verbose=0, checkpoint=checkpoint)
    with pytest.raises(ArgumentError, match="is of a training with other texts"):
        small().fit(SOURCES, TARGETS[::-1], verbose=0, checkpoint=checkpoint)
    with pytest.raises(FileFormatError, match=r"read it with checkpoint= of nabi\.Translator\.fit"):
        load_model(checkpoint)
