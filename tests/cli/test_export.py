"""`nabi export`: files for other programs."""

from pathlib import Path
from typing import Any

import onnx
import pytest

from nabi import cells, layers, models
from nabi.models import TextClassifier

CELL = """
from nabi.ir import Cell
from nabi.ir.functions import sigmoid, tanh

class Gated(Cell):
    def step(self, x, h):
        f = sigmoid(self.affine("f", x, h))
        return (1 - f) * h + f * tanh(self.affine("h", x, h=f * h))
"""


def test_a_model_and_a_system(nabi: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    models.Sequential([layers.RNN(cells.PeepholeLSTM(3), input_shape=(None, 2))]).save("model.nabi")
    done = nabi("export", "model.nabi", "--stateful", "--lengths")
    assert (done.status, done.out) == (0, "The model is in model.onnx\n")
    names = [one.name for one in onnx.load("model.onnx").graph.input]
    assert names[:2] == ["input", "lengths"]
    assert len(names) == 4
    assert nabi("export", "model.nabi").status == 0  # a file of nabi is replaced
    classifier = TextClassifier(units=3, embedding_size=3, epochs=1)
    classifier.fit(["good", "bad", "so good", "so bad"] * 3, ["a", "b"] * 6, verbose=0)
    classifier.save("texts.nabi")
    assert nabi("export", "texts.nabi", "--to", "onnx", "--out", "out/texts.onnx", "--opset", 20).status == 0
    assert '"written_by": "nabi export"' in Path("out/texts.json").read_text()
    assert nabi("export", "texts.nabi", "--to", "onnx", "--out", "out/texts.onnx").status == 0
    done = nabi("export", "texts.nabi", "--to", "c", "--out", "out/texts")
    assert "It is the network alone: word features" in done.out


def test_a_cell_of_a_file_and_errors(nabi: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(CELL)
    from nabi.cli._cell import find_class

    models.Sequential([layers.RNN(find_class("own.py:Gated")(3), input_shape=(None, 2))]).save("own.nabi")
    done = nabi("export", "own.nabi", "--cell", "own.py:Gated")
    assert done.status == 0
    assert [one.name for one in onnx.load("own.onnx").functions] == ["Gated"]
    model = models.Sequential([layers.Dense(1, input_shape=(2,))])
    model.save_weights("weights.nabi")
    done = nabi("export", "weights.nabi")
    assert done.status == 2
    assert "MODEL: expected a model, got a file of kind 'weights'" in done.err
    model.save("dense.nabi")
    done = nabi("export", "dense.nabi", "--opset", 12)
    assert done.status == 2
    assert "opset: expected a version from 17 to 22, got 12" in done.err


def test_both_files_of_a_translator_are_named(
    nabi: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = models.Translator(units=3, embedding_size=3, epochs=1, unit="words")
    model.fit(["a b", "b a", "b"] * 3, ["1 2", "2 1", "2"] * 3, validation_share=0, verbose=0)
    model.save("pairs.nabi")
    done = nabi("export", "pairs.nabi")
    assert (done.status, done.out) == (0, "The model is in pairs.onnx and pairs.step.onnx\n")
    assert nabi("export", "pairs.nabi", "--lengths").status == 0  # files of nabi are replaced
    done = nabi("convert", "pairs.nabi", "other.onnx")
    assert done.status == 0
    assert "Written to other.onnx: ONNX model and other.step.onnx, from" in done.out
    assert nabi("convert", "other.onnx", "again.nabi").status == 0
    assert models.Translator.load("again.nabi").translate(["a b"]) == model.translate(["a b"])
    Path("pairs.step.onnx").write_text("another program's")
    done = nabi("export", "pairs.nabi")
    assert done.status == 2
    assert "pairs.step.onnx exists and was not written by nabi" in done.err


def test_machine_code_and_c(nabi: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders with a header; what is of another format or unknown is refused before a folder is made."""
    monkeypatch.chdir(tmp_path)
    models.Sequential([layers.GRU(3, input_shape=(None, 2))]).save("my-gate.nabi")
    done = nabi("export", "my-gate.nabi", "--to", "object", "--target", "cortex-m7", "--separate-weights")
    assert (done.status, done.out.splitlines()[:2]) == (0, ["Written:", f"  {Path('my-gate/my_gate.o')}"])
    made = ["my_gate.h", "my_gate.o", "my_gate_example.c", "my_gate_weights.bin", "my_gate_weights.o"]
    assert sorted(path.name for path in Path("my-gate").iterdir()) == made
    assert nabi("export", "my-gate.nabi", "--to", "c", "--name", "g", "--out", "source").status == 0
    assert sorted(path.name for path in Path("source").iterdir()) == ["g.c", "g.h", "g_example.c"]
    before = sorted(tmp_path.iterdir())
    for options, problem in (
        (["--to", "object", "--opset", 18], "--opset: expected no such option with --to object"),
        (["--to", "c", "--target", "x86-64"], "--target: expected no such option with --to c"),
        (["--name", "g"], "--name: expected no such option with --to onnx"),
        (["--to", "object", "--target", "z80"], "target: 'z80' is not known"),
        (["--to", "object", "--cpu", "z80"], "cpu: expected one of x86-64-v3"),
    ):
        done = nabi("export", "my-gate.nabi", *options, "--out", "new")
        assert done.status == 2
        assert problem in done.err
    assert sorted(tmp_path.iterdir()) == before
    Path("new").mkdir()
    Path("new/g.h").write_text("mine")
    done = nabi("export", "my-gate.nabi", "--to", "c", "--name", "g", "--out", "new")
    assert done.status == 2
    assert "g.h exists and was not written by nabi export" in done.err
    assert (
        nabi("export", "my-gate.nabi", "--to", "c", "--name", "g", "--out", "new", "--overwrite").status == 0
    )
