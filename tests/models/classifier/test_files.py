"""Text classifiers in files: all of it is there, and damage is an error that says so."""

import json

import numpy as np
import pytest

from nabi.cells import Cell
from nabi.errors import ArgumentError, FileFormatError, MissingFileError, UnknownNameError
from nabi.files import read_model_file, write_model_file
from nabi.ir.functions import tanh
from nabi.models import TextClassifier, load_model

SMALL = {"units": 6, "embedding_size": 8, "epochs": 8, "learning_rate": 0.03, "batch_size": 16}


@pytest.fixture(scope="module")
def learnt(reviews):
    classifier = TextClassifier(**SMALL)
    classifier.fit(*reviews, verbose=0)
    return classifier


def test_a_file_holds_all_of_it(learnt, reviews, tmp_path):
    learnt.save(tmp_path / "model.nabi")
    again = TextClassifier.load(tmp_path / "model.nabi")
    assert np.array_equal(again.probabilities(reviews[0]), learnt.probabilities(reviews[0]))
    assert again.report == learnt.report
    assert again.validation_report == learnt.validation_report
    assert again.settings == learnt.settings
    assert again.history == learnt.history
    assert again.labels.names == learnt.labels.names
    assert again.vocabulary.words == learnt.vocabulary.words
    assert again.predict([""]) == learnt.predict([""])
    again.save(tmp_path / "again.nabi")
    assert (tmp_path / "again.nabi").read_bytes() == (tmp_path / "model.nabi").read_bytes()


def test_equal_classifiers_give_equal_files(reviews, tmp_path):
    for name in ("one", "two"):
        classifier = TextClassifier(**SMALL | {"epochs": 1})
        classifier.fit(*reviews, verbose=0)
        classifier.seconds = 0.0  # what differs from run to run
        classifier.save(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_other_kinds_of_files_say_what_they_are(learnt, tmp_path):
    learnt.save(tmp_path / "text.nabi")
    learnt.model.save(tmp_path / "model.nabi")
    learnt.model.save_weights(tmp_path / "weights.nabi")
    for kind, reader in (("model", "nabi.models.load_model"), ("weights", "load_weights of a model")):
        message = f"expected text classifier, got {kind}; read it with {reader}"
        with pytest.raises(FileFormatError, match=message):
            TextClassifier.load(tmp_path / f"{kind}.nabi")
    with pytest.raises(
        FileFormatError, match=r"expected model, got text classifier.*nabi\.TextClassifier\.load"
    ):
        load_model(tmp_path / "text.nabi")
    with pytest.raises(MissingFileError):
        TextClassifier.load(tmp_path / "none.nabi")
    (tmp_path / "text.csv").write_text("text,label\n")
    with pytest.raises(FileFormatError, match="not a nabi model file"):
        TextClassifier.load(tmp_path / "text.csv")


@pytest.fixture
def header(learnt, tmp_path):
    learnt.save(tmp_path / "model.nabi")
    return read_model_file(tmp_path / "model.nabi")


def damage(name, change):
    def apply(header):
        header["classifier"][name] = change(header["classifier"][name])

    return apply


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header.pop("classifier"),
        lambda header: header.pop("model"),
        lambda header: header.update(input_shape=None),
        lambda header: header.update(classifier=[]),
        lambda header: header["model"]["config"]["layers"].pop(),
        lambda header: header["model"]["config"]["layers"].pop(0),
        lambda header: header["model"]["config"].update(layers=None),
        damage("vocabulary", lambda it: it | {"words": it["words"][:-1]}),
        damage("vocabulary", lambda it: it | {"words": 3}),
        damage("vocabulary", lambda it: None),
        damage("labels", lambda it: it | {"names": ["bad", "good", "so so"]}),
        damage("labels", lambda it: {}),
        damage("settings", lambda it: it | {"units": "many"}),
        damage("settings", lambda it: it | {"more": 1}),
        damage("settings", lambda it: it | {"maxlen": None}),
        damage("settings", lambda it: []),
        damage("report", lambda it: it | {"accuracy": "high"}),
        damage("report", lambda it: it | {"confusion": [[1]]}),
        damage("columns", lambda it: [1, "label", None]),
        damage("shares", lambda it: [1.0]),
        damage("shares", lambda it: ["a", "b"]),
        damage("columns", lambda it: 5),
        damage("columns", lambda it: ["text"]),
        damage("history", lambda it: {"loss": "high"}),
        damage("reasons", lambda it: None),
        damage("report", lambda it: {}),
        damage("report", lambda it: it | {"by_label": 1}),
        damage("seconds", lambda it: None),
    ],
)
def test_a_damaged_file_is_an_error_of_nabis(header, change, tmp_path):
    described = json.loads(json.dumps(header.header))
    change(described)
    for name in ("format", "layout", "kind"):
        described.pop(name, None)
    write_model_file(tmp_path / "damaged.nabi", "text classifier", described, header.tensors)
    with pytest.raises((FileFormatError, ArgumentError), match=r"damaged\.nabi"):
        TextClassifier.load(tmp_path / "damaged.nabi")


@pytest.mark.parametrize("length", [0, 7, 100, 3000, -1])
def test_a_file_that_is_cut_short(learnt, length, tmp_path):
    learnt.save(tmp_path / "model.nabi")
    content = (tmp_path / "model.nabi").read_bytes()
    (tmp_path / "model.nabi").write_bytes(content[:length])
    with pytest.raises(FileFormatError, match=r"model\.nabi"):
        TextClassifier.load(tmp_path / "model.nabi")


def test_a_cell_of_ones_own_is_looked_up_never_stored(reviews, tmp_path):
    class Remembering(Cell):
        def step(self, x, h):
            return tanh(self.affine("h", x, h))

    classifier = TextClassifier(Remembering, **SMALL | {"epochs": 1})
    classifier.fit(*reviews, verbose=0)
    assert classifier.settings.cell == "Remembering"
    classifier.save(tmp_path / "model.nabi")
    again = TextClassifier.load(tmp_path / "model.nabi", {"Remembering": Remembering})
    assert np.array_equal(again.probabilities(["film"]), classifier.probabilities(["film"]))
    text = (tmp_path / "model.nabi").read_bytes().replace(b"Remembering", b"Forgettings")
    (tmp_path / "other.nabi").write_bytes(text)
    with pytest.raises(UnknownNameError, match=r"'Forgettings' is not known.*other\.nabi"):
        TextClassifier.load(tmp_path / "other.nabi")
