"""Whatever in torch looks on while a module runs sees the right numbers, gradients too."""

import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

import nabi.nn
from nabi import cells, layers
from nabi.errors import ArgumentError
from nabi.scan import PreparedStep

from .conftest import EVERY, LAYERS, MAKERS, data, gradients, leaves, make, same, total

pytestmark = [
    pytest.mark.rotates(days=5),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning"),
]


class SeeOperations(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


class SeeFunctions(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


@EVERY
def test_a_trace_holds_for_other_sizes(name: str) -> None:
    module = make(name)
    traced = torch.jit.trace(module, data(name))
    for batch, steps in ((4, 6), (2, 9), (1, 1)):
        x = data(name, batch, steps, seed=1)
        same(traced(x), module(x))
        same(torch.autograd.grad(total(traced(x)), list(module.parameters())), gradients(module, x))


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_a_trace_without_gradients(kind: str) -> None:
    module = getattr(nabi.nn, kind)(3, 4).eval().requires_grad_(False)
    x = torch.randn(5, 2, 3)
    torch.testing.assert_close(torch.jit.trace(module, x)(x + 1), module(x + 1))


def test_a_trace_reads_lengths_when_it_runs() -> None:
    module = nabi.nn.GRU(3, 4, batch_first=True)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = module

        def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
            return self.rnn(x, lengths=lengths)[0]

    x = torch.randn(3, 5, 3)
    traced = torch.jit.trace(Model(), (x, torch.tensor([5, 4, 3])))
    for lengths in ([1, 2, 5], [0, 5, 5]):
        given = torch.tensor(lengths)
        torch.testing.assert_close(traced(x, given), module(x, lengths=given)[0])


def test_a_trace_of_layers() -> None:
    model = nn.Sequential(layers.LSTM(4, return_sequences=True), layers.Bidirectional(layers.GRU(3)))
    x = torch.randn(2, 5, 3)
    model(x)
    traced = torch.jit.trace(model, x)
    x = torch.randn(3, 7, 3)
    torch.testing.assert_close(traced(x), model(x))


@EVERY
@pytest.mark.parametrize("mode", [SeeOperations, SeeFunctions])
def test_modes(name: str, mode: Any) -> None:
    module, x = make(name), data(name)
    wanted, wanted_gradients = module(x), gradients(module, x)
    with mode():
        same(module(x), wanted)
        same(gradients(module, x), wanted_gradients)
    found = module(x)
    with mode():  # looks at the way back only
        same(torch.autograd.grad(total(found), list(module.parameters())), wanted_gradients)


def test_operations_are_counted() -> None:
    ours, theirs = nabi.nn.LSTM(3, 4), nn.LSTMCell(3, 4)
    with FlopCounterMode(display=False) as found:
        ours(torch.randn(5, 2, 3))
    with FlopCounterMode(display=False) as wanted:
        for _ in range(5):
            theirs(torch.randn(2, 3))
    assert found.get_total_flops() == wanted.get_total_flops() > 0


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        *(("symbolic", name) for name in MAKERS),
        *(("real", name) for name in ("GRU", "cell LSTM", "LSTMCell")),
    ],
)
def test_make_fx_with_gradients(name: str, mode: str) -> None:
    module = make(name)
    weights = dict(module.named_parameters())

    def run(weights: dict[str, Tensor], x: Tensor) -> Any:
        return torch.autograd.grad(
            total(torch.func.functional_call(module, weights, (x,))), list(weights.values())
        )

    # Few steps, since the graph has the operations of each one.
    graph = make_fx(run, tracing_mode=mode)(weights, data(name, steps=2))
    x = data(name, 2 if mode == "symbolic" else 4, steps=2, seed=1)
    same(graph(weights, x), run(weights, x))


@LAYERS
def test_fake_tensors(name: str) -> None:
    with FakeTensorMode():
        module = make(name)
        x = torch.randn(4, 6, 3, dtype=torch.float64)
        found = module(x)
        total(found).backward()
        module(x, lengths=torch.tensor([1, 2, 3, 0]))
    assert [tuple(leaf.shape) for leaf in leaves(found)] == [
        tuple(leaf.shape) for leaf in leaves(make(name)(data(name)))
    ]
    assert all(weight.grad.shape == weight.shape for weight in module.parameters())


@EVERY
def test_batched_gradients(name: str) -> None:
    module, x = make(name), data(name, 2, 3)

    def run(x: Tensor) -> Tensor:
        return leaves(module(x))[0]

    wanted = torch.autograd.functional.jacobian(run, x)
    same(torch.autograd.functional.jacobian(run, x, vectorize=True), wanted)
    x.requires_grad_()
    output = run(x)
    each = torch.eye(output.numel(), dtype=x.dtype).view(-1, *output.shape)
    (found,) = torch.autograd.grad(output, x, each, is_grads_batched=True)
    same(found.view_as(wanted), wanted)


@EVERY
def test_views_that_are_still_to_be_negated(name: str) -> None:
    module, x = make(name), data(name)
    same(module(torch._neg_view(x)), module(-x))
    conjugate = torch.complex(x, x).conj().imag
    same(module(conjugate), module(-x))
    wanted = torch.autograd.grad(
        leaves(module(x))[0], list(module.parameters()), -leaves(module(x))[0].detach()
    )
    output = leaves(module(x))[0]
    same(torch.autograd.grad(output, list(module.parameters()), torch._neg_view(output.detach())), wanted)


@LAYERS
def test_what_is_not_dense_is_refused(name: str) -> None:
    for given in (data(name).to_sparse(), data(name).float().to_mkldnn()):
        with pytest.raises(ArgumentError, match="dense"):
            make(name).to(given.dtype)(given)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_default_device(device: str) -> None:
    module, x = nabi.nn.LSTM(3, 4), torch.randn(5, 2, 3)
    wanted = module(x)
    with torch.device(device):
        torch.testing.assert_close(module(x), wanted)


def test_a_prepared_step_is_traced() -> None:
    program = cells.LSTM(4).program(3)
    prepared = PreparedStep(program, [torch.randn(family.shape) for family in program.families])

    def run(x: Tensor, h: Tensor, c: Tensor) -> Any:
        return prepared(x, (h, c))

    given = (torch.randn(2, 3), torch.randn(2, 4), torch.randn(2, 4))
    traced = torch.jit.trace(run, given, check_trace=False)
    other = tuple(value + 1 for value in given)
    torch.testing.assert_close(traced(*other), run(*other))


class Model(nn.Module):
    def __init__(self, inner: nn.Module, width: int) -> None:
        super().__init__()
        self.inner, self.read = inner, nn.Linear(width, 2, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        found = self.inner(x)
        return self.read(
            found[0] if isinstance(self.inner, nn.RNNBase | nabi.nn.RNN | nn.LSTMCell) else found
        )


@EVERY
def test_fx_leaves_modules_whole(name: str) -> None:
    module, x = make(name), data(name)
    model = Model(module, leaves(module(x))[0].shape[-1])
    graph = torch.fx.symbolic_trace(model)
    assert [node.target for node in graph.graph.nodes if node.op == "call_module"] == ["inner", "read"]
    same(graph(data(name, seed=1)), model(data(name, seed=1)))
    with pytest.raises(ArgumentError, match="alone"):
        torch.fx.symbolic_trace(module)


def test_fx_leaves_layers_whole() -> None:
    model = nn.Sequential(layers.LSTM(4, return_sequences=True), layers.Dense(3))
    x = torch.randn(2, 5, 3)
    wanted = model(x)
    graph = torch.fx.symbolic_trace(model)
    assert [node.target for node in graph.graph.nodes if node.op == "call_module"] == ["0", "1"]
    torch.testing.assert_close(graph(x), wanted)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell"])
def test_scripts_run_torch_s_module(kind: str) -> None:
    module = getattr(nabi.nn, kind)(3, 4)

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, x: Tensor) -> Any:
            return self.inner(x)

    x = torch.randn(2, 3) if kind.endswith("Cell") else torch.randn(5, 2, 3)
    torch.testing.assert_close(torch.jit.script(Outer())(x), module(x))


def test_what_cannot_be_scripted_is_refused() -> None:
    for module in (nabi.nn.RNN(cells.LSTM(4), 3), layers.LSTM(4), nn.Sequential(layers.Dense(3))):
        with pytest.raises(ArgumentError, match=r"torch\.jit\.script"):
            torch.jit.script(module)


READ = """
import sys
{first}
{second}
assert "nabi.scan" not in sys.modules
x, wanted = torch.load("{folder}/values.pt")
torch.testing.assert_close(torch.export.load("{folder}/graph.pt2").module()(x), wanted)
torch.testing.assert_close(torch.jit.load("{folder}/trace.pt")(x), wanted)
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the graphs of a module, and what they compute."""

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nabi.nn.RNN(cells.PeepholeLSTM(4), 3, 2, bidirectional=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.rnn(x)[0]

    model, x = Outer().eval(), torch.randn(2, 5, 3)
    folder = tmp_path_factory.mktemp("graphs")
    torch.save((x, model(x).detach()), folder / "values.pt")
    torch.export.save(torch.export.export(model, (x,)), folder / "graph.pt2")
    torch.jit.save(torch.jit.trace(model, x), str(folder / "trace.pt"))
    return folder


@pytest.mark.parametrize("order", [("import nabi", "import torch"), ("import torch", "import nabi")])
def test_saved_graphs_run_after_import_nabi(order: tuple[str, str], saved: Path) -> None:
    code = READ.format(first=order[0], second=order[1], folder=saved)
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    assert found.returncode == 0, found.stderr


@pytest.mark.rotates(days=5)
def test_a_package_of_aotinductor(tmp_path: Path) -> None:
    from torch._inductor.cpp_builder import get_cpp_compiler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compiler = get_cpp_compiler()
        except Exception as problem:  # torch has a type of its own for it
            pytest.skip(f"no C++ compiler: {problem}")
        assert compiler
        module, x = nabi.nn.LSTM(3, 4, batch_first=True).eval(), torch.randn(2, 5, 3)
        package = torch._inductor.aoti_compile_and_package(
            torch.export.export(module, (x,)), package_path=str(tmp_path / "model.pt2")
        )
        found = torch._inductor.aoti_load_package(package)(x)
    torch.testing.assert_close(leaves(found), leaves(module(x)))
