"""Programs of torch.export run again with nabi's modules, from known operators only."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import nabi.nn
from benchmarks.torch_programs import PROGRAMS, Program, Size
from nabi.errors import ArgumentError, FileFormatError
from nabi.interchange import read_torch_export

pytestmark = pytest.mark.filterwarnings(
    "ignore:LSTM with projections is not supported with oneDNN",
    # Of torch.export, for every recurrent module of torch's.
    "ignore:The tensor attributes .* were assigned during export",
    "ignore:.*isinstance\\(treespec, LeafSpec\\)",
)
# The others pack their sequences, which torch.export does not take.
PACKED = ("tagger", "speech, packed frames", "forecaster, own output")
EVERY = pytest.mark.parametrize(
    "program", [one for one in PROGRAMS if one.name not in PACKED], ids=lambda program: program.name
)


def exported(module: nn.Module, batch: tuple[Any, ...], path: Path, **options: Any) -> Path:
    torch.export.save(torch.export.export(module, batch, **options), path)
    return path


def change(path: Path, name: str, how: Callable[[Any], Any]) -> None:
    """Change a JSON file in an archive."""
    stored = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(stored, "w") as new:
        for member in old.namelist():
            content = old.read(member)
            if member.endswith(name):
                data = json.loads(content)
                how(data)
                content = json.dumps(data).encode()
            new.writestr(member, content)
    path.write_bytes(stored.getvalue())


@pytest.mark.rotates(days=2)
@EVERY
def test_exported_programs_compute_the_same(program: Program, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = program.make(Size()).eval()
    batch = program.batch(Size())
    ours = read_torch_export(exported(module, batch, tmp_path / "a.pt2"))
    torch.testing.assert_close(ours(*batch), module(*batch), rtol=1e-5, atol=1e-6)
    assert ours.state_dict().keys() == module.state_dict().keys()
    assert any(isinstance(one, nabi.nn.DropIn) for one in ours.modules())
    ours.load_state_dict(module.state_dict())


class Mixed(nn.Module):
    """Cells, layers and other operators, with a size that is not fixed and nested results."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.gru = nn.LSTMCell(3, 5), nn.GRU(3, 5, batch_first=True)
        self.rnn = nn.RNN(10, 4, 2, nonlinearity="relu", bidirectional=True, dropout=0.2)
        self.convolve, self.norm, self.batch = (
            nn.Conv1d(3, 3, 3, padding=1),
            nn.LayerNorm(5),
            nn.BatchNorm1d(5),
        )
        self.register_buffer("scale", torch.tensor([2.0]))

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> dict[str, Any]:
        x = self.convolve(x.transpose(1, 2)).transpose(1, 2)
        h, c = state
        for step in x.unbind(1):
            h, c = self.cell(step, (h, c))
        y, last = self.gru(x)
        both = torch.cat([y, y.flip(1)], -1)
        z = nn.functional.dropout(both.reshape(x.shape[0] * 2, -1), 0.3, self.training) * 2 + 1
        r, _ = self.rnn(both.transpose(0, 1))
        return {
            "a": self.norm(h) + self.batch(c) * self.scale + torch.tensor([1.5]),
            "b": [y[:, -1:], (z, y.max(1).values, r.mean(dim=0)), last.squeeze(0)],
        }


def test_sizes_that_are_not_fixed_and_nested_results(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = Mixed().eval()
    batch = torch.export.Dim("batch", min=2, max=64)
    sizes = ({0: batch}, ({0: batch}, {0: batch}))

    def arguments(count: int) -> tuple[Any, ...]:
        return torch.randn(count, 2, 3), (torch.randn(count, 5), torch.randn(count, 5))

    ours = read_torch_export(exported(module, arguments(4), tmp_path / "a.pt2", dynamic_shapes=sizes))
    for count in (4, 7):
        given = arguments(count)
        torch.testing.assert_close(ours(*given), module(*given), rtol=1e-5, atol=1e-6)
    with pytest.raises(ArgumentError, match="arguments: expected 3 tensors, got 1"):
        ours(torch.zeros(4, 2, 3))
    ours.train()
    first, second = (ours(*given)["b"][1][0] for _ in range(2))
    assert not torch.equal(first, second)  # dropout follows the mode of the module


def test_the_batch_of_the_example_does_not_matter_where_only_states_have_it(tmp_path: Path) -> None:
    module = nn.Sequential(nn.LSTM(3, 5, 2, batch_first=True))
    ours = read_torch_export(exported(module, (torch.zeros(2, 4, 3),), tmp_path / "a.pt2"))
    x = torch.randn(9, 6, 3)
    torch.testing.assert_close(ours(x), module(x), rtol=1e-5, atol=1e-6)


def test_a_model_that_is_one_layer_gets_a_name(tmp_path: Path) -> None:
    module = nn.LSTM(3, 5, proj_size=2, bidirectional=True)
    x = torch.randn(4, 2, 3)
    ours = read_torch_export(exported(module, (x,), tmp_path / "a.pt2"))
    assert type(ours.recurrent) is nabi.nn.LSTM
    torch.testing.assert_close(ours(x), module(x), rtol=1e-5, atol=1e-6)


class Computed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(3, 5)
        nn.utils.parametrizations.weight_norm(self.gru, "weight_hh_l0")

    def forward(self, x: Tensor) -> Tensor:
        weights = [self.gru.weight_ih_l0, self.gru.weight_hh_l0 * 2, self.gru.bias_ih_l0, self.gru.bias_hh_l0]
        output: Tensor = torch.gru(
            x, x.new_zeros(1, x.shape[1], 5), weights, True, 1, 0.0, False, False, False
        )[0]
        return output


def test_a_layer_whose_weights_are_computed_runs_by_torchs_operator_or_is_refused(tmp_path: Path) -> None:
    module, x = Computed().eval(), torch.randn(4, 2, 3)
    with pytest.raises(FileFormatError, match=r"not known: torch.ops.aten._weight_norm"):
        read_torch_export(exported(module, (x,), tmp_path / "a.pt2"))
    nn.utils.parametrize.remove_parametrizations(module.gru, "weight_hh_l0")
    ours = read_torch_export(exported(module, (x,), tmp_path / "a.pt2"))
    torch.testing.assert_close(ours(x), module(x), rtol=1e-5, atol=1e-6)


def test_unknown_operators_are_listed_all_at_once(tmp_path: Path) -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.linalg.det(torch.fft.fft(x).real) + torch.special.bessel_j0(x).sum((1, 2))

    with pytest.raises(FileFormatError) as caught:
        read_torch_export(exported(Odd(), (torch.randn(2, 3, 3),), tmp_path / "a.pt2"))
    for name in (
        "aten.linalg_det.default (1)",
        "aten.fft_fft.default (1)",
        "aten.special_bessel_j0.default (1)",
    ):
        assert name in str(caught.value)


def test_nothing_is_run_that_a_file_names(tmp_path: Path) -> None:
    path = exported(nn.Sequential(nn.Linear(3, 2), nn.Tanh()), (torch.zeros(2, 3),), tmp_path / "a.pt2")

    def rename(target: str) -> Callable[[Any], None]:
        def how(data: Any) -> None:
            data["graph_module"]["graph"]["nodes"][1]["target"] = target

        return how

    for target in (
        "os.system",
        "builtins.eval",
        "torch.ops.aten.tanh.__class__",
        "torch.ops.nabi.scan.default",
    ):
        change(path, "model.json", rename(target))
        with pytest.raises(FileFormatError, match=r"not known: " + target.replace(".", r"\.")):
            read_torch_export(path)


def _table(**changes: Any) -> Callable[[Any], None]:
    return lambda data: data["config"]["0.weight"].update(changes)


def _meta(**changes: Any) -> Callable[[Any], None]:
    return lambda data: data["config"]["0.weight"]["tensor_meta"].update(changes)


def _first_input(data: Any) -> None:
    data["graph_module"]["signature"]["input_specs"][0]["parameter"]["parameter_name"] = "w"


def _another_output(data: Any) -> None:
    data["graph_module"]["signature"]["output_specs"].append({"buffer_mutation": {}})


_TABLE, _GRAPH = "weights_config.json", "model.json"
_MANY, _NONE = [{"as_int": 10**6}, {"as_int": 10**6}], [{"as_int": 0}, {"as_int": 0}]


@pytest.mark.parametrize(
    ("name", "how", "message"),
    [
        (
            _GRAPH,
            lambda data: data["schema_version"].update(major=7),
            "expected version 8 of the format, got 7",
        ),
        (_GRAPH, lambda data: data["graph_module"]["graph"]["nodes"].reverse(), "linear: expected a value"),
        (_GRAPH, _first_input, "w: expected a tensor in the archive"),
        (_GRAPH, _another_output, r"export the model in \.eval\(\)"),
        (_TABLE, _table(use_pickle=True), "0.weight: expected plain"),
        (_TABLE, _table(path_name="../x"), "0.weight: expected plain"),
        (_TABLE, _meta(dtype=99), "data type: expected"),
        (_TABLE, _meta(sizes=[{"as_int": 10**9}, {"as_int": 3}]), "0.weight: expected at least"),
        (_TABLE, _meta(sizes=_MANY, strides=_NONE), "0.weight: expected at most the 6 numbers"),
        (_TABLE, _meta(sizes=[{"as_int": -1}, {"as_int": 3}]), "0.weight: expected sizes"),
    ],
)
def test_changed_files_are_refused_by_name(name: str, how: Any, message: str, tmp_path: Path) -> None:
    path = exported(nn.Sequential(nn.Linear(3, 2), nn.Tanh()), (torch.zeros(2, 3),), tmp_path / "a.pt2")
    change(path, name, how)
    with pytest.raises(FileFormatError, match=message) as caught:
        read_torch_export(path)
    assert str(path) in str(caught.value)


def test_other_files_are_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "a.pt")
    with pytest.raises(FileFormatError, match=r"it has no models/model\.json"):
        read_torch_export(tmp_path / "a.pt")
    (tmp_path / "b").write_bytes(b"hello")
    with pytest.raises(FileFormatError, match=r"is no \.pt2 file"):
        read_torch_export(tmp_path / "b")
    with zipfile.ZipFile(tmp_path / "old.pt2", "w") as old:
        old.writestr("serialized_exported_program.json", "{}")
    with pytest.raises(FileFormatError, match=r"older than 2\.7"):
        read_torch_export(tmp_path / "old.pt2")
