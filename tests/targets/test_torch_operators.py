"""Torch's own operators in the place of nabi's kernels, as on a graphics card: same numbers and gradients.

There is no card here. A setting for tests lets the operators run on the CPU; everything but cuDNN is then the
same.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import nabi.nn
from nabi import cells, layers
from nabi.cells import Cell
from nabi.ir.functions import sigmoid, tanh
from nabi.scan import scan
from nabi.targets import torch_operators
from nabi.targets.torch_operators import _running, torch_form, torch_weights

# torch says so for a projected LSTM, once a process.
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
DOUBLE = torch.float64


class OwnLSTM(Cell):
    """An LSTM as a user writes it: other names, other order of terms, forget gate without a bias."""

    states = ("out", "memory")

    def step(self, x: Any, out: Any, memory: Any) -> Any:
        keep = sigmoid(self.linear("keep", "a", x) + self.linear("keep", "u", out))
        new = tanh(self.affine("new", out, x)) * sigmoid(self.affine("write", x, out))
        memory_t = new + memory * keep
        return tanh(memory_t) * sigmoid(self.affine("read", x, out)), memory_t


class OwnGRU(Cell):
    """A GRU with the bias of the candidate on one side only."""

    def step(self, x: Any, h: Any) -> Any:
        u, r = sigmoid(self.affine("u", h, x)), sigmoid(self.affine("r", x, h))
        n = tanh(self.linear("n", "h", h) * r + self.affine("n", x))
        return n * (1 - u) + h * u


class HalfGRU(Cell):
    """Nearly a GRU: the share of the new value is 2 - u."""

    def step(self, x: Any, h: Any) -> Any:
        u, r = sigmoid(self.affine("u", h, x)), sigmoid(self.affine("r", x, h))
        n = tanh(self.linear("n", "h", h) * r + self.affine("n", x))
        return n * (2 - u) + h * u


FITTING: dict[str, Callable[[], Cell]] = {
    "LSTM": lambda: cells.LSTM(4),
    "LSTM without biases": lambda: cells.LSTM(4, use_bias=False),
    "projected LSTM": lambda: cells.ProjectedLSTM(4, projection=2),
    "GRU": lambda: cells.GRU(4),
    "GRU without biases": lambda: cells.GRU(4, use_bias=False),
    "RNN": lambda: cells.SimpleRNN(4),
    "RNN with relu": lambda: cells.SimpleRNN(4, activation="relu"),
    "own LSTM": lambda: OwnLSTM(4),
    "own GRU": lambda: OwnGRU(4),
}
OTHERS = (
    cells.GRU2014(4), cells.GRULecture(4), cells.PeepholeLSTM(4), cells.CoupledLSTM(4),
    cells.LayerNormLSTM(4),
    cells.LSTM(4, activation="relu"), cells.LSTM(4, recurrent_activation="hard_sigmoid"),
    cells.GRU(4, activation="relu"), cells.SimpleRNN(4, activation="linear"), HalfGRU(4),
    cells.ProjectedLSTM(4, projection=2, cell_clip=1.0),
    cells.ProjectedLSTM(4, projection=2, projection_clip=1.0),
)  # fmt: skip


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Run as on a card, and collect what torch's operators are called for."""
    found: list[str] = []
    before = _running._call

    def call(form: Any, *arguments: Any) -> Any:
        found.append(form.mode)
        return before(form, *arguments)

    monkeypatch.setattr(_running, "_call", call)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NABI_NATIVE", "0")
        patch.setenv("NABI_TORCH_OPERATORS", "1")
        yield found


def without(run: Callable[[], Any]) -> Any:
    """Run by the kernel made of torch operations, as on a card before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NABI_NATIVE", "0")
        patch.delenv("NABI_TORCH_OPERATORS", raising=False)
        return run()


def by_operator(run: Callable[[], Any]) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NABI_NATIVE", "0")
        patch.setenv("NABI_TORCH_OPERATORS", "1")
        return run()


def leaves(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [leaf for part in value or () if part is not None for leaf in leaves(part)]


def total(value: Any) -> Tensor:
    found = torch.zeros((), dtype=DOUBLE)
    for part in leaves(value):
        found = found + (part * torch.linspace(0.5, 1.5, part.numel(), dtype=part.dtype).view_as(part)).sum()
    return found


def with_gradients(run: Callable[..., Any], learned: list[Tensor]) -> list[Any]:
    output = run()
    gradients = torch.autograd.grad(total(output), learned, allow_unused=True)
    return [*leaves(output), *gradients]


def assert_same(found: Any, expected: Any, tolerance: float = 1e-10) -> None:
    for one, other in zip(found, expected, strict=True):
        if one is None or other is None:
            assert not any(tensor is not None and tensor.any() for tensor in (one, other))
        else:
            torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", FITTING)
@pytest.mark.parametrize("width", [3, 1])
def test_equations_of_torchs_are_found_and_weights_follow(name: str, width: int) -> None:
    program = FITTING[name]().program(width)
    form = torch_form(program)
    assert form is not None
    assert form == torch_form(FITTING[name]().program(width, training=True))  # nothing is drawn
    families = [torch.randn(family.shape, dtype=DOUBLE) for family in program.families]
    weights = torch_weights(form, families)
    kind = {"LSTM": nn.LSTM, "GRU": nn.GRU}.get(form.mode, nn.RNN)
    options: dict[str, Any] = {"nonlinearity": form.mode[4:].lower()} if kind is nn.RNN else {}
    options |= {"proj_size": form.projection} if form.projection else {}
    module = kind(width, form.units, bias=form.has_biases, batch_first=True, dtype=DOUBLE, **options)
    with torch.no_grad():
        for parameter, weight in zip(module.parameters(), weights, strict=True):
            parameter.copy_(weight)
    x = torch.randn(2, 5, width, dtype=DOUBLE)
    output, final, _ = scan(program, x, None, families)
    theirs, last = module(x)
    assert_same([output, *[state.unsqueeze(0) for state in final]], [theirs, *leaves(last)])


@pytest.mark.parametrize("cell", OTHERS, ids=repr)
def test_other_equations_are_not_taken_for_torchs(cell: Cell) -> None:
    assert torch_form(cell.program(3)) is None


def test_random_inputs_are_not_for_torch() -> None:
    cell = cells.LSTM(4, recurrent_dropout=0.5)
    assert torch_form(cell.program(3, training=True)) is None
    assert torch_form(cell.program(3)) is not None


@st.composite
def runs(draw: st.DrawFn) -> tuple[str, dict[str, Any], list[Tensor], bool]:
    name = draw(st.sampled_from(sorted(FITTING)))
    program = FITTING[name]().program(3)
    batch, steps = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    torch.manual_seed(draw(st.integers(0, 99)))
    given: dict[str, Any] = {"reverse": draw(st.booleans())}
    valid = draw(st.sampled_from(["all", "lengths", "mask", "holes"]))
    lengths = torch.randint(0, steps + 1, (batch,))
    if valid == "lengths":
        given["lengths"] = lengths
    elif valid == "mask":
        given["mask"] = torch.arange(steps) < lengths[:, None]
    elif valid == "holes":
        given["mask"] = torch.rand(batch, steps) < 0.6
    x = torch.randn(batch, steps, 3, dtype=DOUBLE, requires_grad=True)
    learned = [x]
    states = None
    if draw(st.booleans()):
        states = [
            torch.randn(batch, width, dtype=DOUBLE, requires_grad=True) for width in program.state_widths
        ]
        learned += states
    families = [torch.randn(family.shape, dtype=DOUBLE, requires_grad=True) for family in program.families]
    some_frozen = draw(st.booleans())
    if some_frozen:
        families[0].requires_grad_(False)
    learned += [family for family in families if family.requires_grad]
    given |= {"x": x, "states": states, "parameters": families}
    counts = given.get("mask", torch.ones(batch, steps)).sum(1) if valid != "lengths" else lengths
    return name, given, learned, bool((counts > 0).any())


@settings(max_examples=80)
@given(runs())
def test_outputs_states_and_gradients_are_the_same(
    run: tuple[str, dict[str, Any], list[Tensor], bool],
) -> None:
    name, given, learned, _ = run
    program = FITTING[name]().program(3)
    expected = without(lambda: with_gradients(lambda: scan(program, **given), learned))
    found = by_operator(lambda: with_gradients(lambda: scan(program, **given), learned))
    assert_same(found, expected)
    with torch.no_grad():
        assert_same(
            by_operator(lambda: leaves(scan(program, **given))), expected[: len(expected) - len(learned)]
        )


@pytest.mark.parametrize("name", FITTING)
def test_the_operator_runs_lengths_masks_and_both_directions(name: str, calls: list[str]) -> None:
    program = FITTING[name]().program(3)
    mode = torch_form(program).mode  # type: ignore[union-attr]
    weights = [torch.randn(family.shape) for family in program.families]
    x = torch.randn(2, 5, 3)
    scan(program, x, None, weights)
    scan(program, x, None, weights, lengths=[5, 2], reverse=True)
    scan(program, x, None, weights, mask=torch.tensor([[True, False, True, False, True], [False] * 5]))
    assert calls == [mode] * 3


def test_what_the_operator_lacks_runs_as_before(calls: list[str]) -> None:
    program = cells.LSTM(4).program(3)
    weights = [torch.randn(family.shape) for family in program.families]
    x = torch.randn(2, 5, 3)
    resets = torch.zeros(2, 5, dtype=torch.bool)
    resets[0, 2] = True
    scan(program, x, None, weights, resets=resets)
    scan(program, x, None, weights, return_all_states=True)
    scan(program, x, None, [weight.requires_grad_() for weight in weights], truncate=2)
    scan(program, x[:, :0], None, weights)
    scan(program, x, None, weights, lengths=[0, 0])
    scan(
        cells.GRU2014(4).program(3),
        x,
        None,
        [torch.randn(f.shape) for f in cells.GRU2014(4).program(3).families],
    )
    assert calls == []


MODULES: dict[str, Callable[[], nn.Module]] = {
    "nn.LSTM": lambda: nabi.nn.LSTM(3, 4, 2, bidirectional=True, batch_first=True, dtype=DOUBLE),
    "nn.LSTM projected": lambda: nabi.nn.LSTM(3, 4, 2, proj_size=2, batch_first=True, dtype=DOUBLE),
    "nn.GRU": lambda: nabi.nn.GRU(3, 4, 2, bidirectional=True, batch_first=True, dtype=DOUBLE),
    "nn.RNN": lambda: nabi.nn.RNN(3, 4, 2, nonlinearity="relu", batch_first=True, dtype=DOUBLE),
    "RNN of LSTM": lambda: nabi.nn.RNN(cells.LSTM(4), 3, 2, bidirectional=True, dtype=DOUBLE),
    "RNN of GRU": lambda: nabi.nn.RNN(cells.GRU(4), 3, dtype=DOUBLE),
}


@pytest.mark.parametrize("name", MODULES)
def test_modules_run_through_it_with_the_same_results(name: str, calls: list[str]) -> None:
    torch.manual_seed(0)
    module: Any = MODULES[name]()
    x = torch.randn(3, 6, 3, dtype=DOUBLE, requires_grad=True)
    packed = pack_padded_sequence(x.detach(), torch.tensor([2, 6, 3]), batch_first=True, enforce_sorted=False)
    learned = [x, *module.parameters()]
    for run in (
        lambda: module(x),
        lambda: module(x, lengths=torch.tensor([6, 0, 4])),
        lambda: [module(packed)[0].data, module(packed)[1], x * 1],
    ):
        expected = without(lambda run=run: with_gradients(run, learned))
        calls.clear()
        found = with_gradients(run, learned)
        assert len(calls) >= len(list(module.parameters())) // 5
        assert_same(found, expected)


@pytest.mark.parametrize("kind", [layers.LSTM, layers.GRU, layers.SimpleRNN])
@pytest.mark.parametrize("backwards", [False, True])
def test_layers_bring_their_weights_into_torchs_order(kind: Any, backwards: bool, calls: list[str]) -> None:
    torch.manual_seed(0)
    layer = kind(4, return_sequences=True, return_state=True, go_backwards=backwards)
    x = torch.randn(3, 6, 3, requires_grad=True)
    mask = torch.arange(6) < torch.tensor([6, 2, 0])[:, None]
    layer(x)
    learned = [x, *layer.parameters()]
    expected = without(lambda: with_gradients(lambda: layer(x, mask=mask), learned))
    calls.clear()
    assert_same(with_gradients(lambda: layer(x, mask=mask), learned), expected, 1e-5)
    assert len(calls) == 1
    before = layers.GRU(4, reset_after=False)
    before(x)
    assert len(calls) == 1


def test_a_model_is_trained_through_it(calls: list[str]) -> None:
    def train() -> list[Tensor]:
        nabi.utils.set_random_seed(0)
        model = nabi.models.Sequential([layers.GRU(4, input_shape=(5, 3)), layers.Dense(1)])
        model.compile("adam", "mse")
        model.fit(torch.randn(16, 5, 3), torch.randn(16, 1), epochs=2, batch_size=4, verbose=0)
        return [weight.detach() for weight in model.parameters()]

    expected = without(train)
    calls.clear()
    assert_same(train(), expected, 1e-5)
    assert len(calls) == 8


def _problem(name: str = "LSTM") -> tuple[Any, Tensor]:
    torch.manual_seed(0)
    module: Any = nabi.nn.RNN(FITTING[name](), 3, dtype=DOUBLE)
    return module, torch.randn(2, 5, 3, dtype=DOUBLE, requires_grad=True)


def test_second_derivatives_are_right(calls: list[str]) -> None:
    module, x = _problem()

    def second() -> list[Tensor]:
        (first,) = torch.autograd.grad(total(module(x)), x, create_graph=True)
        return list(torch.autograd.grad(first.square().sum(), [x, *module.parameters()]))

    expected = without(second)
    calls.clear()
    assert_same(second(), expected)
    assert calls == ["LSTM"]  # forward; derivatives of derivatives go through the definition


def test_a_second_pass_backward_and_a_changed_output(calls: list[str]) -> None:
    module, x = _problem("GRU")
    output, _ = module(x)
    loss = total(output)
    (one,) = torch.autograd.grad(loss, x, retain_graph=True)
    (other,) = torch.autograd.grad(loss, x)
    assert_same([other], [one], 0.0)
    output, _ = module(x)
    changed = torch.relu_(output)
    (found,) = torch.autograd.grad(total(changed), x)
    (expected,) = torch.autograd.grad(total(torch.relu(module(x)[0])), x)
    assert_same([found], [expected])
    assert len(calls) == 5


@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_pieces_that_are_computed_again(name: str, calls: list[str]) -> None:
    module, x = _problem(name)
    learned = [x, *module.parameters()]
    lengths = torch.tensor([5, 3])
    expected = with_gradients(lambda: module(x, lengths=lengths), learned)
    module.recompute = 2
    assert_same(with_gradients(lambda: module(x, lengths=lengths), learned), expected)


def test_checkpoints_and_hooks_on_saved_tensors(calls: list[str]) -> None:
    module, x = _problem()
    (expected,) = torch.autograd.grad(total(module(x)), x)
    (found,) = torch.autograd.grad(
        total(torch.utils.checkpoint.checkpoint(module, x, use_reentrant=False)), x
    )
    assert_same([found], [expected])
    with torch.autograd.graph.save_on_cpu():
        output = module(x)
    assert_same(torch.autograd.grad(total(output), x), [expected])
    assert calls


def test_a_compiled_module_computes_the_same(calls: list[str]) -> None:
    module, x = _problem()
    (expected,) = torch.autograd.grad(total(module(x)), x)
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    calls.clear()
    output = compiled(x)
    assert_same(torch.autograd.grad(total(output), x), [expected])
    assert calls == ["LSTM"]  # nothing records inside an operator: its derivative runs by the other kernel


def test_autocast_and_half_precision(calls: list[str]) -> None:
    torch.manual_seed(0)
    module: Any = nabi.nn.LSTM(3, 4, 2, batch_first=True)
    x = torch.randn(2, 5, 3)
    expected = module(x)[0]
    calls.clear()
    with torch.autocast("cpu", torch.bfloat16):
        output = module(x, lengths=torch.tensor([5, 3]))[0]
    assert output.dtype is torch.bfloat16
    total(output.double()).backward()
    assert module.weight_hh_l0.grad.dtype is torch.float32
    torch.testing.assert_close(output[0].float(), expected[0], rtol=0.05, atol=0.02)
    half = module.bfloat16()(x.bfloat16())[0]
    torch.testing.assert_close(half.float(), expected, rtol=0.05, atol=0.02)
    assert calls == ["LSTM"] * 4


def test_changing_a_weight_between_the_passes_is_noticed(calls: list[str]) -> None:
    module, x = _problem()
    loss = total(module(x))
    with torch.no_grad():
        module.W_h_l0.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_without_the_setting_nothing_changes_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **named: Any) -> Any:
        raise AssertionError("torch's operator ran on the CPU")

    monkeypatch.setenv("NABI_NATIVE", "0")
    monkeypatch.setattr(torch_operators, "run_forward", refuse)
    module, x = _problem()
    module(x)
