"""`nabi convert`, and `nabi show` for model files."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from nabi import layers, models
from nabi.utils import set_random_seed

CHECKPOINTS = Path(__file__).parents[1] / "interchange" / "tensorflow" / "files"

CELL = """
from nabi.cells import Cell
from nabi.ir.functions import tanh

class Mine(Cell):
    states = ("h",)

    def step(self, x, h):
        return tanh(self.affine("h", x, h))
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    set_random_seed(2)
    made = models.Sequential([layers.LSTM(3, input_shape=(None, 2), name="lstm"), layers.Dense(1)])
    made.save(tmp_path / "model.nabi")
    return tmp_path / "model.nabi"


def test_a_model_becomes_its_weights(nabi: Any, model: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    done = nabi("convert", model, tmp_path / "weights.safetensors")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"Written to {tmp_path / 'weights.safetensors'}: safetensors file, from nabi")
    own = models.load_model(model).state_dict()
    written = load_file(tmp_path / "weights.safetensors")
    assert set(own) == set(written)
    assert all(torch.equal(own[name], written[name]) for name in own)


def test_a_model_becomes_a_model(nabi: Any, model: Path, tmp_path: Path) -> None:
    assert nabi("convert", model, tmp_path / "again.nabi").status == 0
    x = torch.randn(2, 4, 2)
    assert torch.equal(models.load_model(tmp_path / "again.nabi")(x), models.load_model(model)(x))


def test_a_cell_of_the_users_own_comes_from_the_command_line(nabi: Any, tmp_path: Path) -> None:
    from nabi.cli._cell import find_class

    (tmp_path / "mine.py").write_text(CELL)
    named = f"{tmp_path / 'mine.py'}:Mine"
    made = models.Sequential([layers.RNN(find_class(named)(3), input_shape=(None, 2))])
    made.save(tmp_path / "model.nabi")
    content = (tmp_path / "model.nabi").read_bytes()  # a class that is nowhere in this process
    (tmp_path / "other.nabi").write_bytes(content.replace(b'\\"Mine\\"', b'\\"Myne\\"'))
    refused = nabi("convert", tmp_path / "other.nabi", tmp_path / "again.nabi")
    assert refused.status == 2
    assert "Myne" in refused.err
    assert "pass a custom cell as --cell FILE.py:Class" in refused.err
    assert nabi("convert", tmp_path / "model.nabi", tmp_path / "again.nabi", "--cell", named).status == 0
    assert "equations of Mine" in nabi("show", tmp_path / "again.nabi", "--cell", named).out


def test_a_checkpoint_of_tensorflow_becomes_safetensors(nabi: Any, tmp_path: Path) -> None:
    done = nabi("convert", CHECKPOINTS / "gru.index", tmp_path / "gru.safetensors")
    assert done.status == 0
    shown = nabi("show", tmp_path / "gru.safetensors").out
    assert "rnn/gru_cell  GRU   2       3      1       1           reset before" in shown


def test_weights_of_keras_become_pytorchs(nabi: Any, tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    source = CHECKPOINTS.parents[1] / "keras" / "files" / "keras3_states.weights.h5"
    assert nabi("convert", source, tmp_path / "weights.pt").status == 0
    weights = torch.load(tmp_path / "weights.pt", weights_only=True)
    assert weights["layers/dense/vars/0"].shape == (3, 2)
    assert "layers/lstm    LSTM  2       2      1       1" in nabi("show", tmp_path / "weights.pt").out


def test_an_existing_file_is_kept_unless_told_otherwise(nabi: Any, model: Path, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_text("mine")
    refused = nabi("convert", model, tmp_path / "x.safetensors")
    assert refused.status == 2
    assert "exists and was not written by nabi" in refused.err
    assert (tmp_path / "x.safetensors").read_text() == "mine"
    assert nabi("convert", model, tmp_path / "x.safetensors", "--overwrite").status == 0
    assert (tmp_path / "x.safetensors").read_bytes()[8:9] == b"{"


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("model.nabi", "model.txt", "expected a name that ends in one of .nabi"),
        ("none.nabi", "model.safetensors", "there is no file"),
        ("text.onnx", "new.nabi", "is not an ONNX model, although its name says so, or it is damaged"),
        ("weights.safetensors", "new.nabi", "cannot become a nabi model file"),
    ],
)
def test_what_cannot_be_converted_is_said_in_one_line(
    nabi: Any, model: Path, tmp_path: Path, source: str, target: str, message: str
) -> None:
    (tmp_path / "text.onnx").write_text("hello")
    nabi("convert", model, tmp_path / "weights.safetensors")
    before = sorted(tmp_path.iterdir())
    done = nabi("convert", tmp_path / source, tmp_path / target)
    assert (done.status, done.out) == (2, "")
    assert message in done.err
    assert done.err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_show_says_what_is_in_a_file(nabi: Any, model: Path) -> None:
    done = nabi("show", model)
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == f"{model}: nabi model file"
    assert any(line.split() == ["lstm", "LSTM", "?", "×", "3", "72"] for line in lines)
    assert "  h_t = o_t ∘ tanh(c_t)" in lines


def test_show_into_a_file(nabi: Any, model: Path, tmp_path: Path) -> None:
    assert nabi("show", model, "--out", tmp_path / "said.txt").status == 0
    assert (tmp_path / "said.txt").read_text() == nabi("show", model).out


def test_forms_of_a_cell_are_not_of_a_file(nabi: Any, model: Path) -> None:
    done = nabi("show", model, "--as", "latex")
    assert done.status == 2
    assert "--as: expected a cell for --as latex" in done.err


def test_a_file_with_the_name_of_a_cell_does_not_hide_it(
    nabi: Any, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.rename(model, "lstm")
    assert "nabi model file" not in nabi("show", "lstm").out
    assert "nabi model file" in nabi("show", "./lstm").out
    os.rename("lstm", "lstn")
    assert "nabi model file" in nabi("show", "lstn").out


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are Unix'")
def test_a_terminal_gets_the_same_in_a_table(model: Path) -> None:
    import pty
    import subprocess

    ours, theirs = pty.openpty()
    program = "from nabi.cli import main; main()"
    subprocess.run(
        [sys.executable, "-c", program, "show", str(model)],
        stdout=theirs,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
        check=True,
    )
    os.close(theirs)
    said = b""
    while chunk := _read(ours):
        said += chunk
    os.close(ours)
    assert b"\x1b[1m" in said
    assert "h_t = o_t ∘ tanh(c_t)" in said.decode()
    assert "? × 3" in said.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:  # Linux reports the other end closed like this
        return b""
