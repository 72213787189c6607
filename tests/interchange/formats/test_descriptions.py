"""What is said of a file: its layers, its tensors, its settings."""

import os
import random
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from nabi import layers, models
from nabi.cells import Cell
from nabi.errors import FileFormatError
from nabi.files import write_model_file
from nabi.interchange import Description, describe, write_model
from nabi.ir.functions import sigmoid, tanh
from nabi.utils import set_random_seed

from ..damage import damaged, forget_peak, peak
from .test_formats import CHECKPOINTS, make_model, write_hdf5, write_onnx_like

COUNT = int(os.environ.get("NABI_ALTERED_FILES", "40"))


class Gated(Cell):
    """A cell that no file can bring along."""

    states = ("h",)

    def step(self, x: Any, h: Any) -> Any:
        f = sigmoid(self.affine("f", x, h))
        return f * h + (1 - f) * tanh(self.affine("h", x, h))


def table(description: Description, title: str) -> dict[str, tuple[str, ...]]:
    found = next(one for one in description.tables if one.title.startswith(title))
    return {row[0]: row[1:] for row in found.rows}


def test_a_model(tmp_path: Path) -> None:
    model = make_model()
    model.compile(optimizer="adam", loss="mse")
    model.save(tmp_path / "model.nabi")
    found = describe(tmp_path / "model.nabi")
    facts = dict(found.facts)
    assert found.format == "nabi model file"
    assert facts["kind"] == "model"
    assert facts["input shape"] == "? × ? × 2"
    assert facts["parameters"] == f"{model.count_params():,}"
    assert facts["optimizer"] == "Adam"
    rows = table(found, "3 layers")
    assert rows["bidirectional"] == ("Bidirectional of GRU", "? × ? × 6", str(model.layers[0].count_params()))
    assert rows["lstm"] == ("LSTM", "? × 4", str(model.layers[1].count_params()))
    assert set(found.equations) == {"GRU", "LSTM"}
    assert found.equations["LSTM"][-1] == "h_t = o_t ∘ tanh(c_t)"


def test_the_text_has_everything(tmp_path: Path) -> None:
    make_model().save(tmp_path / "model.nabi")
    found = describe(tmp_path / "model.nabi")
    text = str(found)
    assert text.startswith(f"{tmp_path / 'model.nabi'}: nabi model file\n")
    for label, value in found.facts:
        assert f"{label} " in text
        assert value in text
    for one in found.tables:
        for row in one.rows:
            assert all(cell in text for cell in row)
    assert "h_t = o_t ∘ tanh(c_t)" in text


def test_a_model_with_a_cell_of_its_own(tmp_path: Path) -> None:
    set_random_seed(1)
    model = models.Sequential([layers.RNN(Gated(3), input_shape=(None, 2), name="rnn"), layers.Dense(1)])
    model.save(tmp_path / "model.nabi")
    known = describe(tmp_path / "model.nabi", {"Gated": Gated})
    assert table(known, "2 layers")["rnn"][0] == "RNN of Gated"
    assert list(known.equations) == ["Gated"]
    content = (tmp_path / "model.nabi").read_bytes()  # a class that is nowhere in this process
    (tmp_path / "model.nabi").write_bytes(content.replace(b'\\"Gated\\"', b'\\"Gatex\\"'))
    unknown = describe(tmp_path / "model.nabi")
    assert "Gatex" in dict(unknown.facts)["not known"]
    assert table(unknown, "tensors")["stack.1.kernel"] == ("3 × 1", "float32")
    assert unknown.equations == {}


def test_a_system(tmp_path: Path) -> None:
    header = {
        "cell": {"class_name": "LSTM", "config": {"units": 4}, "module": "nabi.cells"},
        "settings": {"cell": "lstm", "units": 4, "lowercase": True, "patience": None, "channels": [2, 3]},
        "vocabulary": {"unit": "characters", "words": list("abcde")},
        "labels": [f"class {number}" for number in range(12)],
        "report": {"validation": 2.888888, "interrupted": False},
    }
    tensors = {
        "recurrent.0.kernel": torch.zeros(3, 16),
        "recurrent.0.recurrent_kernel": torch.zeros(4, 16),
        "readout.kernel": torch.zeros(4, 5),
    }
    write_model_file(tmp_path / "model.nabi", "language model", header, tensors)
    found = describe(tmp_path / "model.nabi")
    facts = dict(found.facts)
    assert facts["kind"] == "language model"
    assert facts["read with"] == "nabi.LanguageModel.load"
    assert facts["vocabulary"] == "5 characters"
    assert facts["labels"].startswith("12: class 0, class 1")
    assert facts["labels"].endswith("class 9, ...")
    assert facts["report, validation"] == "2.889"
    assert facts["parameters"] == str(3 * 16 + 4 * 16 + 4 * 5)
    assert table(found, "settings") == {
        "cell": ("lstm",),
        "units": ("4",),
        "lowercase": ("yes",),
        "patience": ("none",),
        "channels": ("2, 3",),
    }
    assert table(found, "recurrent layers")["recurrent.0"] == ("LSTM", "3", "4", "1", "1", "")
    assert found.equations["LSTM"][-1] == "h_t = o_t ∘ tanh(c_t)"


def test_a_training(tmp_path: Path) -> None:
    tensors = {
        "weights/a": torch.zeros(2, 3),
        "optimizer/0/step": torch.zeros(1),
        "random/cpu": torch.zeros(4),
    }
    header = {"settings": {"units": 4}, "training": {"completed_epoch": 3}}
    write_model_file(tmp_path / "run.nabi", "language model training", header, tensors)
    found = describe(tmp_path / "run.nabi")
    facts = dict(found.facts)
    assert (facts["tensors"], facts["parameters"]) == ("1", "6")
    assert facts["other tensors"] == "2: optimizer, random"
    assert facts["completed epochs"] == "3"
    assert table(found, "tensors") == {"a": ("2 × 3", "float32")}


@pytest.mark.parametrize(
    "header",
    [
        {"model": 3},
        {"settings": {"a": [[]] * 9}, "labels": {"names": {"a": 1}}, "vocabulary": {"words": [None]}},
        {"cell": {"class_name": "LSTM", "config": {"units": -1}}, "report": [], "training": []},
        {"cell": {"class_name": 3}, "classifier": [], "labels": "abc", "report": {"test": "x"}},
    ],
)
@pytest.mark.parametrize("kind", ["language model", "text classifier", "something new"])
def test_headers_that_say_anything(tmp_path: Path, header: dict[str, Any], kind: str) -> None:
    write_model_file(tmp_path / "model.nabi", kind, header, {})
    assert dict(describe(tmp_path / "model.nabi").facts)["kind"] == kind
    write_model_file(tmp_path / "model.nabi", "model", header, {})
    with pytest.raises(FileFormatError, match="is damaged"):
        describe(tmp_path / "model.nabi")


def test_a_checkpoint() -> None:
    found = describe(CHECKPOINTS / "stack")
    assert found.format == "TensorFlow checkpoint"
    rows = table(found, "recurrent layers")
    assert rows["rnn/multi_rnn_cell"] == ("LSTM, GRU, RNN", "2", "3, 2, 4", "3", "1", "reset before")
    both = table(describe(CHECKPOINTS / "two-directions"), "recurrent layers")
    assert both == {"bidirectional_rnn": ("LSTM", "2", "3, 2", "1", "2", "")}
    peepholes = table(describe(CHECKPOINTS / "peepholes"), "recurrent layers")
    assert peepholes["rnn/lstm_cell"][-1] == "peepholes, projection to 3"
    facts = dict(describe(CHECKPOINTS / "basic-lstm").facts)
    assert facts["of an optimizer"] == "10 tensors, not listed"


def test_weights_in_hdf5(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "model.weights.h5", False)
    found = describe(tmp_path / "model.weights.h5")
    assert table(found, "recurrent layers") == {"layers/lstm": ("LSTM", "2", "3", "1", "1", "")}
    assert table(found, "tensors")["layers/lstm/cell/vars/2"] == ("12", "float32")


def test_links_in_hdf5_are_refused(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    for name, link in {
        "soft": h5py.SoftLink("/a"),
        "external": h5py.ExternalLink("/etc/passwd", "/"),
    }.items():
        with h5py.File(tmp_path / f"{name}.weights.h5", "w") as file:
            file["b"] = link
        with pytest.raises(FileFormatError, match="b is a link to elsewhere"):
            describe(tmp_path / f"{name}.weights.h5")
    with h5py.File(tmp_path / "circle.weights.h5", "w") as file:
        group = file.create_group("a")
        group["b"] = group
    with pytest.raises(
        FileFormatError, match=r"nested more than 40 deep|more objects than there are bytes for"
    ):
        describe(tmp_path / "circle.weights.h5")


def test_a_name_that_says_something_else(tmp_path: Path) -> None:
    write_model(make_model(), tmp_path / "x.safetensors")
    (tmp_path / "x.safetensors").rename(tmp_path / "x.onnx")
    found = describe(tmp_path / "x.onnx")
    assert found.format == "safetensors file"
    assert dict(found.facts)["name"] == "ends in none of .safetensors, but the content is a safetensors file"


def test_damaged_files_end_in_an_error_of_the_file(tmp_path: Path) -> None:
    """Cut at any place, each kind of file says so or is described."""
    make_model().save(tmp_path / "model.nabi")
    write_model(make_model(), tmp_path / "weights.safetensors")
    write_hdf5(tmp_path / "keras.weights.h5", False)
    write_onnx_like(tmp_path / "graph.onnx")
    refused = 0
    for path in sorted(tmp_path.iterdir()):
        content = path.read_bytes()
        for end in range(0, len(content), max(len(content) // 20, 1)):
            path.write_bytes(content[:end])
            with pytest.raises(FileFormatError, match=str(path)):
                describe(path)
            refused += 1
    assert refused > 60


@pytest.mark.parametrize("name", ["model.nabi", "weights.safetensors", "keras.weights.h5"])
def test_damaged_files_end_in_an_error_or_a_description(tmp_path: Path, name: str) -> None:
    """`NABI_ALTERED_FILES=1000` tries so many of each kind."""
    path = tmp_path / name
    if name.endswith("h5"):
        write_hdf5(path, False)
    else:
        write_model(make_model(), path)
    content = path.read_bytes()
    describe(path)  # what is loaded for the first time takes time
    outcomes = {"refused": 0, "described": 0}
    for seed in range(COUNT):
        path.write_bytes(damaged(content, random.Random(seed)))
        forget_peak()
        before, begun = peak(), time.process_time()
        try:
            describe(path)
            outcomes["described"] += 1
        except FileFormatError:
            outcomes["refused"] += 1
        assert time.process_time() - begun < 1, seed
        assert peak() - before < 200 << 20, seed
    assert min(outcomes.values()) > 0, outcomes
