"""Weights of PyTorch and safetensors files, loaded by name, and stacks made from nothing but weights."""

import copy
import io
import pickle
import tarfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

import nabi.nn
from nabi import layers, models
from nabi.cells import Cell
from nabi.errors import ArgumentError, FileFormatError, MissingFileError
from nabi.interchange import load_torch_weights, read_torch_stack
from nabi.ir.functions import sigmoid, tanh

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


class Tagger(nn.Module):
    def __init__(self, layers: int = 2, library: Any = nn) -> None:
        super().__init__()
        self.table = nn.Embedding(7, 3)
        self.rnn = library.LSTM(3, 4, num_layers=layers, bidirectional=True, batch_first=True)
        self.norm = nn.BatchNorm1d(8)
        self.read_out = nn.Linear(8, 2)

    def forward(self, words: Tensor) -> Tensor:
        return self.read_out(self.norm(self.rnn(self.table(words))[0][:, -1]))


WORDS = torch.arange(10).reshape(2, 5) % 7


def trained() -> Tagger:
    torch.manual_seed(0)
    model = Tagger()
    model(WORDS)  # the statistics of the normalisation are no longer their first ones
    return model.eval()


def save(model: nn.Module, path: Path, how: str) -> None:
    state = model.state_dict()
    if how == "safetensors":
        save_file(state, path)
    elif how == "before 1.6":
        torch.save(state, path, _use_new_zipfile_serialization=False)
    elif how == "checkpoint":
        optimizer = torch.optim.Adam(model.parameters())
        model(WORDS).sum().backward()
        optimizer.step()
        model.zero_grad()
        state = model.state_dict()
        torch.save({"epoch": 3, "model_state_dict": state, "optimizer": optimizer.state_dict()}, path)
    else:
        torch.save(state, path)


@pytest.mark.parametrize("how", ["plain", "safetensors", "before 1.6", "checkpoint"])
def test_a_file_is_loaded_into_a_model_with_drop_ins(how: str, tmp_path: Path) -> None:
    theirs = trained()
    path = tmp_path / "weights"
    save(theirs, path, how)
    ours = Tagger(library=nabi.nn).eval()
    report = load_torch_weights(ours, path)
    torch.testing.assert_close(ours(WORDS), theirs(WORDS), rtol=1e-5, atol=1e-6)
    assert report.is_complete
    assert sorted(report.loaded) == sorted(theirs.state_dict())
    assert report.inside == ("model_state_dict" if how == "checkpoint" else "")
    assert (report.removed, report.added) == ("", "")


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.", "model.module."])
@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_prefixes_of_wrappers_are_found_and_said(prefix: str, suffix: str, tmp_path: Path) -> None:
    theirs = trained()
    state = {prefix + name: tensor for name, tensor in theirs.state_dict().items()}
    path = tmp_path / f"a.{suffix}"
    save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    ours = Tagger(library=nabi.nn).eval()
    report = load_torch_weights(ours, path)
    assert report.removed == prefix
    assert f"{prefix!r} was taken from the front" in str(report)
    assert report.is_complete
    torch.testing.assert_close(ours(WORDS), theirs(WORDS), rtol=1e-5, atol=1e-6)


def test_a_wrapped_model_takes_a_plain_file(tmp_path: Path) -> None:
    theirs = trained()
    torch.save(theirs.state_dict(), tmp_path / "a.pt")
    ours = nn.DataParallel(Tagger(library=nabi.nn))
    report = load_torch_weights(ours, tmp_path / "a.pt")
    assert (report.removed, report.added, report.is_complete) == ("", "module.", True)
    assert torch.equal(ours.module.rnn.weight_hh_l1_reverse, theirs.rnn.weight_hh_l1_reverse)


def test_a_deeper_stack_is_never_loaded_in_part_without_a_word(tmp_path: Path) -> None:
    torch.save(trained().state_dict(), tmp_path / "a.pt")
    ours = Tagger(layers=1, library=nabi.nn)
    before = [weight.clone() for weight in ours.parameters()]
    with pytest.raises(FileFormatError, match="does not fit Tagger; strict=False loads what fits") as caught:
        load_torch_weights(ours, tmp_path / "a.pt")
    assert "rnn.weight_ih_l1  " in str(caught.value) or "rnn.weight_ih_l1" in str(caught.value)
    assert all(torch.equal(one, other) for one, other in zip(ours.parameters(), before, strict=True))
    report = load_torch_weights(ours, tmp_path / "a.pt", strict=False)
    assert len(report.left_over) == 8
    assert all("_l1" in name for name in report.left_over)
    assert not report.missing


def test_the_report_is_a_table_of_what_fitted(tmp_path: Path) -> None:
    file = {"a.weight": torch.zeros(2, 3), "a.bias": torch.zeros(3), "c.weight": torch.zeros(1)}
    torch.save(file, tmp_path / "a.pt")
    module = nn.ModuleDict({"a": nn.Linear(3, 2), "b": nn.Linear(1, 1, bias=False)})
    report = load_torch_weights(module, tmp_path / "a.pt", strict=False)
    assert str(report) == (
        f"{tmp_path / 'a.pt'}: 1 loaded\n"
        "  a.weight  loaded\n"
        "  a.bias    shape (2,) in the model, (3,) in the file\n"
        "  b.weight  not in the file\n"
        "  c.weight  not in the model"
    )
    with pytest.raises(FileFormatError, match=r"does not fit LSTM:"):
        load_torch_weights(nn.LSTM(3, 2), tmp_path / "a.pt", strict=False)


def test_whole_numbers_do_not_become_weights(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2, 3, dtype=torch.int64), "bias": torch.zeros(2)}, tmp_path / "a.pt")
    with pytest.raises(
        FileFormatError, match=r"weight  type torch\.float32 in the model, torch\.int64 in the file"
    ):
        load_torch_weights(nn.Linear(3, 2), tmp_path / "a.pt")
    report = load_torch_weights(nn.Linear(3, 2), tmp_path / "a.pt", strict=False)
    assert report.loaded == {"bias": "bias"}
    assert "loaded" not in report.misfits().partition("\n")[2]


def test_a_half_precision_file_is_converted(tmp_path: Path) -> None:
    theirs = trained()
    save_file(copy.deepcopy(theirs).bfloat16().state_dict(), tmp_path / "a")
    ours = Tagger(library=nabi.nn)
    load_torch_weights(ours, tmp_path / "a")
    assert ours.rnn.weight_hh_l0.dtype is torch.float32
    torch.testing.assert_close(ours.rnn.weight_hh_l0, theirs.rnn.weight_hh_l0, rtol=1e-2, atol=1e-2)


class Trap:
    """Would run a program when it is unpickled without care."""

    ran = False

    def __reduce__(self) -> Any:
        return _spring, ()


def _spring() -> None:
    Trap.ran = True


def refused(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    for read in (lambda: read_torch_stack(path), lambda: load_torch_weights(nn.LSTM(3, 5), path)):
        with pytest.raises(FileFormatError) as caught:
            read()
        assert str(path) in str(caught.value)
    return str(caught.value)


def bytes_of(write: Any) -> bytes:
    stored = io.BytesIO()
    write(stored)
    return stored.getvalue()


def test_what_could_run_something_is_refused_with_a_way_out(tmp_path: Path) -> None:
    assert "torch.save(model.state_dict(), path)" in refused(
        tmp_path, bytes_of(lambda f: torch.save(nn.LSTM(3, 5), f))
    )
    assert "a pickle" in refused(tmp_path, pickle.dumps({"weight_ih_l0": Trap()}))
    for zipped in (True, False):
        content = bytes_of(
            lambda f, zipped=zipped: torch.save(
                {"weight_ih_l0": Trap()}, f, _use_new_zipfile_serialization=zipped
            )
        )
        assert "more than weights" in refused(tmp_path, content)
    assert not Trap.ran
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        script = torch.jit.script(nn.LSTM(3, 5))
        content = bytes_of(lambda f: torch.jit.save(script, f))
    assert "torch.jit.load" in refused(tmp_path, content)
    program = torch.export.export(nn.Linear(2, 2), (torch.zeros(1, 2),))
    assert "read_torch_export" in refused(tmp_path, bytes_of(lambda f: torch.export.save(program, f)))
    stored = io.BytesIO()
    with tarfile.open(fileobj=stored, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("pickle"))
    assert "tar archive" in refused(tmp_path, stored.getvalue())
    assert "HDF5" in refused(tmp_path, b"\x89HDF\r\n\x1a\n" + bytes(99))
    assert "neither" in refused(tmp_path, b"hello")
    assert "neither" in refused(tmp_path, b"")


def test_archives_that_unpack_to_more_than_they_are_and_views_of_no_memory_are_refused(
    tmp_path: Path,
) -> None:
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(10**6))
    assert "stored as they are" in refused(tmp_path, stored.getvalue())
    huge = torch.zeros(1).expand(10**6, 10**6)
    assert "memory of its own" in refused(tmp_path, bytes_of(lambda f: torch.save({"weight_ih_l0": huge}, f)))
    sparse = torch.eye(3).to_sparse()
    assert "memory of its own" in refused(
        tmp_path, bytes_of(lambda f: torch.save({"weight_ih_l0": sparse}, f))
    )
    assert "a tensor alone" in refused(tmp_path, bytes_of(lambda f: torch.save(torch.zeros(2), f)))
    assert "a dict without any" in refused(tmp_path, bytes_of(lambda f: torch.save({"epoch": 3}, f)))


def test_there_must_be_such_a_file(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="there is no file"):
        read_torch_stack(tmp_path / "none.pt")
    with pytest.raises(FileFormatError, match="expected a file, got the folder"):
        read_torch_stack(tmp_path)
    with pytest.raises(ArgumentError, match="module: expected a torch module, got"):
        load_torch_weights(nn.LSTM, tmp_path)


@st.composite
def stacks(draw: st.DrawFn) -> tuple[nn.Module, dict[str, Any]]:
    kind = draw(st.sampled_from([nn.RNN, nn.LSTM, nn.GRU, nn.RNNCell, nn.LSTMCell, nn.GRUCell]))
    options: dict[str, Any] = {"bias": draw(st.booleans())}
    asked: dict[str, Any] = {}
    if kind in (nn.RNN, nn.RNNCell):
        asked["nonlinearity"] = options["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    units = draw(st.integers(1, 6))
    if issubclass(kind, nn.RNNBase):
        asked["batch_first"] = options["batch_first"] = draw(st.booleans())
        options |= {"num_layers": draw(st.integers(1, 12)), "bidirectional": draw(st.booleans())}
        if kind is nn.LSTM:
            options["proj_size"] = draw(st.integers(0, units - 1))
    return kind(draw(st.integers(1, 5)), units, dtype=torch.float64, **options), asked


@settings(max_examples=20)
@given(stacks(), st.sampled_from(["", "encoder.rnn"]))
def test_a_stack_follows_from_its_weights(made: tuple[nn.Module, dict[str, Any]], name: str) -> None:
    theirs, asked = made
    state = {f"{name}.{key}" if name else key: value for key, value in theirs.state_dict().items()}
    ours = read_torch_stack({**state, "read_out.weight": torch.zeros(3)}, **asked)
    assert isinstance(ours, nabi.nn.DropIn)
    assert not ours.training
    assert repr(ours) == repr(theirs)
    x = torch.randn(3, 4, theirs.input_size, dtype=torch.float64)  # type: ignore[arg-type]
    x = x if isinstance(theirs, nn.RNNBase) else x[0]
    torch.testing.assert_close(ours(x), theirs.eval()(x), rtol=1e-10, atol=1e-12)
    assert all(
        value.data_ptr() != other.data_ptr()
        for value, other in zip(ours.parameters(), theirs.parameters(), strict=True)
    )


def test_several_stacks_are_asked_for_by_name(tmp_path: Path) -> None:
    state = nn.ModuleDict({"a": nn.GRU(2, 3), "b": nn.LSTMCell(2, 3)}).state_dict()
    torch.save({"state_dict": state}, tmp_path / "a.pt")
    with pytest.raises(
        ArgumentError, match=r"name: expected the name of a recurrent module .*several: 'a', 'b'"
    ):
        read_torch_stack(tmp_path / "a.pt")
    with pytest.raises(ArgumentError, match="got 'c'; there are: 'a', 'b'"):
        read_torch_stack(state, "c")
    with pytest.raises(ArgumentError, match="it has none"):
        read_torch_stack({"weight": torch.zeros(2)})
    assert type(read_torch_stack(tmp_path / "a.pt", "a")) is nabi.nn.GRU
    assert type(read_torch_stack(state, "b")) is nabi.nn.LSTMCell


LSTM = nn.LSTM(3, 4, num_layers=3, bidirectional=True, proj_size=2).state_dict()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight_ih_l1": None}, "weight_ih_l1: expected a tensor, got none"),
        ({"bias_hh_l2_reverse": None}, "bias_hh_l2_reverse: expected a tensor, got none"),
        ({"weight_ih_l0": torch.zeros(15, 3)}, "15 rows for 4 units"),
        ({"weight_ih_l0": torch.zeros(8, 3)}, "8 rows for 4 units"),
        ({"weight_ih_l1": torch.zeros(16, 3)}, r"weight_ih_l1: expected shape \(16, 4\), got \(16, 3\)"),
        ({"weight_hr_l2": torch.zeros(3, 4)}, r"weight_hr_l2: expected shape \(2, 4\), got \(3, 4\)"),
        ({"weight_ih_l0": torch.zeros(16)}, "expected matrices and vectors"),
        ({"weight_ih_l7": torch.zeros(16, 4)}, ".*_l3: expected a tensor, got none"),
        ({"weight_ih_l999999999999": torch.zeros(16, 4)}, "at most 1000 layers"),
        ({"weight_ih_l2": torch.zeros(16, 4).double()}, "weight_ih_l2: expected torch.float32"),
        ({"weight_ih_l0": torch.zeros(16, 3).int()}, "real numbers"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_together_are_named(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    state = {name: value for name, value in {**LSTM, **change}.items() if value is not None}
    with pytest.raises(ArgumentError, match=f"^source: .*({message})"):
        read_torch_stack(state)
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(FileFormatError, match=message):
        read_torch_stack(tmp_path / "a.pt")


class Reader(nn.Module):
    def __init__(self, kind: Any, bias: bool) -> None:
        super().__init__()
        self.words = nn.Embedding(7, 3)
        self.rnn = kind(3, 4, num_layers=2, bidirectional=True, batch_first=True, bias=bias)
        self.last = kind(8, 5, batch_first=True, bias=bias)
        self.read_out = nn.Linear(5, 2)

    def forward(self, words: Tensor) -> Tensor:
        output: Tensor = self.read_out(self.last(self.rnn(self.words(words))[0])[0][:, -1])
        return output


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_a_model_of_layers_takes_weights_of_pytorch(kind: str, bias: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = Reader(getattr(nn, kind), bias)
    layer = getattr(layers, "SimpleRNN" if kind == "RNN" else kind)

    def both(name: str) -> Any:
        return layers.Bidirectional(layer(4, return_sequences=True, use_bias=bias), name=name)

    model = models.Sequential(
        [
            layers.Embedding(7, 3, input_length=5, name="words"), both("rnn"), both("rnn_l1"),
            layer(5, use_bias=bias, name="last"), layers.Dense(2, name="read_out"),
        ]
    )  # fmt: skip
    torch.save({f"module.{name}": value for name, value in theirs.state_dict().items()}, tmp_path / "a.pt")
    with pytest.raises(ArgumentError, match="has no weights yet; build the model"):
        load_torch_weights(models.Sequential([layers.Dense(2)]), tmp_path / "a.pt")
    model.build((None, 5))
    report = load_torch_weights(model, tmp_path / "a.pt")
    assert report.is_complete
    assert sorted(report.loaded) == sorted(theirs.state_dict())
    torch.testing.assert_close(model(WORDS), theirs(WORDS), rtol=1e-5, atol=1e-6)


def test_layers_that_pytorch_does_not_have_are_missing_in_its_file(tmp_path: Path) -> None:
    torch.save(nn.ModuleDict({"g": nn.GRU(3, 4)}).state_dict(), tmp_path / "a.pt")
    model = models.Sequential([layers.GRU(4, reset_after=False, name="g", input_shape=(5, 3))])
    with pytest.raises(FileFormatError, match=r"stack\.0\.kernel +not in the file"):
        load_torch_weights(model, tmp_path / "a.pt", strict=False)


def test_a_cell_with_one_bias_takes_the_sum_of_two(tmp_path: Path) -> None:
    class OneBias(Cell):
        def step(self, x: Any, h: Any) -> Any:
            z, r = sigmoid(self.affine("z", x, h)), sigmoid(self.affine("r", x, h))
            n = tanh(self.linear("n", "h", h) * r + self.affine("n", x))
            return n * (1 - z) + h * z

    theirs = nn.GRU(3, 4, batch_first=True)
    layer = layers.RNN(OneBias(4), name="g", return_sequences=True)
    x = torch.randn(2, 5, 3)
    layer(x)
    save_file({f"g.{name}": value for name, value in theirs.state_dict().items()}, tmp_path / "a")
    before = [weight.clone() for weight in layer.parameters()]
    with pytest.raises(ArgumentError, match="g has fewer biases"):
        load_torch_weights(layer, tmp_path / "a")
    assert all(torch.equal(one, other) for one, other in zip(layer.parameters(), before, strict=True))
    with torch.no_grad():
        theirs.bias_hh_l0[8:] = 0
    save_file({f"g.{name}": value for name, value in theirs.state_dict().items()}, tmp_path / "a")
    load_torch_weights(layer, tmp_path / "a")
    torch.testing.assert_close(layer(x), theirs(x)[0], rtol=1e-5, atol=1e-6)
