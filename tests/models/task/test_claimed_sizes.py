"""A file that claims a larger network than it holds is refused before such a network is made."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nabi import Captioner, LanguageModel, NoteModel, Translator, cells
from nabi.errors import FileFormatError
from nabi.files import read_model_file, write_model_file
from nabi.models._captioner import _model as _caption_model
from nabi.models._language import _model as _language_model
from nabi.models._notes import _model as _note_model
from nabi.models._translator import _model as _translator_model

Model = Captioner | LanguageModel | NoteModel | Translator

UNITS, SIZE = 6, 5


def language(**options: Any) -> Model:
    model = LanguageModel(**{"embedding_size": SIZE, "window": 8, "epochs": 1, "units": UNITS, **options})
    model.fit(["the cat sat on the mat. " * 20], verbose=0)
    return model


def notes(**options: Any) -> Model:
    model = NoteModel(embedding_size=SIZE, epochs=1, **{"units": UNITS, **options})
    model.fit([[(60, 64), (62,), ()]] * 12, ["a", "b"] * 6, verbose=0)
    return model


def captions(**options: Any) -> Model:
    chosen = {"image_size": 8, "channels": (3, 4), "embedding_size": SIZE, "epochs": 1, "units": UNITS}
    model = Captioner(**{**chosen, **options})
    model.fit(list(np.zeros((6, 8, 8, 3), np.uint8)), ["a dot", "no dot"] * 3, validation_share=0, verbose=0)
    return model


def pairs(**options: Any) -> Model:
    model = Translator(**{"unit": "words", "embedding_size": SIZE, "epochs": 1, "units": UNITS, **options})
    model.fit(["one two", "two one"] * 3, ["1 2", "2 1"] * 3, validation_share=0, verbose=0)
    return model


KINDS: dict[str, tuple[Callable[[], Model], Any, str]] = {
    "language model": (language, _language_model, "LanguageNetwork"),
    "tied language model": (lambda: language(tied=True), _language_model, "LanguageNetwork"),
    "language model of words": (lambda: language(unit="words", layers=2), _language_model, "LanguageNetwork"),
    "note model": (notes, _note_model, "NoteNetwork"),
    "note model of two layers": (lambda: notes(layers=2, cell="gru"), _note_model, "NoteNetwork"),
    "captioner": (captions, _caption_model, "CaptionNetwork"),
    "captioner without attention": (
        lambda: captions(attention=None, layers=2, cell="lstm"),
        _caption_model,
        "CaptionNetwork",
    ),
    "translator": (pairs, _translator_model, "TranslatorNetwork"),
    "translator that looks first": (
        lambda: pairs(attention="bahdanau", layers=2, cell="lstm"),
        _translator_model,
        "TranslatorNetwork",
    ),
    "translator with input feeding": (
        lambda: pairs(input_feeding=True, bidirectional=False),
        _translator_model,
        "TranslatorNetwork",
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_no_network_is_made_of_a_size_that_the_file_does_not_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    make, module, network = KINDS[name]
    model, path = make(), tmp_path / "model.nabi"
    model.save(path)
    assert type(model).load(path).settings == model.settings
    file = read_model_file(path)
    plain = {key: value for key, value in file.header.items() if key not in ("format", "layout", "kind")}
    settings = plain["settings"]
    largest = max(size for tensor in file.tensors.values() for size in tensor.shape)
    make_network = getattr(module, network)

    def without_memory(*given: Any) -> Any:
        if torch.get_default_device().type != "meta":
            pytest.fail("a network was made")
        return make_network(*given)

    monkeypatch.setattr(module, network, without_memory)

    def units(number: int) -> dict[str, Any]:
        config = {**plain["cell"]["config"], "units": number}
        return {"settings": {**settings, "units": number}, "cell": {**plain["cell"], "config": config}}

    claims: list[dict[str, Any]] = [units(number) for number in (UNITS - 1, UNITS + 1, largest, 10**9)]
    claims += [{"settings": {**settings, "layers": number}} for number in (settings["layers"] + 1, 10**9)]
    claims += [{"settings": {**settings, "embedding_size": number}} for number in (SIZE + 1, largest, 10**9)]
    claims += [
        {key: {**plain[key], "words": [*plain[key]["words"], "more"]}}
        for key in ("vocabulary", "source", "target")
        if key in plain
    ]
    if "labels" in plain:
        claims.append({"labels": [*plain["labels"], "more"]})
    if "channels" in settings:
        claims += [
            {"settings": {**settings, "channels": found}} for found in ([largest, 4], [3, largest], [3])
        ]
    for claim in claims:
        header = json.loads(json.dumps({**plain, **claim}))
        write_model_file(tmp_path / "claims.nabi", file.kind, header, file.tensors)
        with pytest.raises(FileFormatError, match="is damaged: it cannot be made a"):
            type(model).load(tmp_path / "claims.nabi")


@pytest.mark.parametrize("make", [language, notes, captions, pairs])
def test_a_cell_whose_output_is_narrower_than_its_states_comes_back(
    tmp_path: Path, make: Callable[..., Model]
) -> None:
    model = make(cell=cells.ProjectedLSTM(UNITS, projection=4), layers=2)
    model.save(tmp_path / "model.nabi")
    again = type(model).load(tmp_path / "model.nabi")
    assert again.cell == model.cell
    again.save(tmp_path / "again.nabi")
    assert (tmp_path / "model.nabi").read_bytes() == (tmp_path / "again.nabi").read_bytes()
