"""Translators in files: those of every kind, and damaged ones; `task_checks` has what all systems pass."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nabi import Translator, cells
from nabi.errors import ArgumentError, FileFormatError, MissingFileError
from nabi.files import read_model_file, write_model_file
from nabi.models import load_model

from ..task_checks import *  # noqa: F403
from ..task_checks import Task, test_an_interrupted_training_goes_on_as_if_nothing_had_been

SOURCES = [f"{a} {b} {c}" for a in ("one", "two", "six") for b in ("red", "big") for c in ("cats", "dogs")]
TARGETS = [" ".join(reversed(source.split())) for source in SOURCES]


def small(**options: Any) -> Translator:
    chosen = {"units": 6, "embedding_size": 5, "batch_size": 3, "epochs": 4, "dropout": 0.2}
    return Translator(**{**chosen, **options})


def fitted(**options: Any) -> Translator:
    translator = small(**options)
    translator.fit(SOURCES, TARGETS, validation_share=0.2, verbose=0)
    return translator


def task_with(**chosen: Any) -> Task:
    return Task(
        make=lambda **options: small(**{**chosen, **options}),
        data=(SOURCES, TARGETS),
        other_data=(SOURCES, TARGETS[::-1]),
        ask=lambda model: model.translate(SOURCES, best=2),
        material="texts",
        options={"validation_share": 0.2},
    )


TASK = task_with()


@pytest.fixture(scope="module")
def task() -> Task:
    return TASK


def test_averages_and_sampling_go_on_too(tmp_path: Path) -> None:
    """A checkpoint keeps the averages of the weights, and the state of the random numbers that sample."""
    chosen = task_with(averaging=0.9, scheduled_sampling=0.5)
    whole = chosen.make()
    chosen.fit(whole)
    test_an_interrupted_training_goes_on_as_if_nothing_had_been(chosen, whole, tmp_path, 5)


@pytest.mark.rotates(days=2)
@pytest.mark.parametrize(
    "options",
    [
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
