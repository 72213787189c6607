"""Derived weights, values computed once a call, and declared initial states: all ways of running agree.

The oracles are the same equations written in torch, and numeric differentiation.
"""

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies
from torch import Tensor

import nabi.nn
from nabi import layers
from nabi.errors import ArgumentError, CellError
from nabi.explain import gates
from nabi.ir import Cell, derived, initial
from nabi.ir.functions import exp, sigmoid, tanh
from nabi.models import Sequential, load_model
from nabi.scan import (
    PreparedStep,
    _lowering,
    initial_states,
    lowered,
    sample_noise,
    scan,
    scan_packed,
    static_scan,
    step,
)
from nabi.targets import latex, llvm, picture

pytestmark = pytest.mark.rotates(days=2)

B, T, D, H = 4, 7, 3, 5


@pytest.fixture(autouse=True)
def once(monkeypatch: Any) -> None:
    """Compute what can be computed once a call also where there are few rows."""
    monkeypatch.setattr(_lowering, "_WORTH", 0)


class Leaky(Cell):
    """Values of weights alone, and states that start learned, at a constant, and at fixed numbers."""

    states = ("h", "c", "n")

    def initial_state(self, name: str) -> Any:
        return {"h": initial.Learned(initial.Normal()), "c": -2.5, "n": initial.Linspace(0, 1)}[name]

    def step(self, x: Any, h: Any, c: Any, n: Any) -> Any:
        nu = self.parameter("nu", init=initial.Normal())
        alpha = self.parameter("alpha", (), init=0.5)
        a = exp(-exp(nu))
        c = a * c + (1 - a) * tanh(self.affine("c", x, h))
        n = sigmoid(alpha) * n + alpha * self.linear("n", "h", h)
        return tanh(c) + 0.5 * n, c, n


class Way(Cell):
    """A network with one derived matrix."""

    way: Any = derived.Antisymmetric(0.01)

    def step(self, x: Any, h: Any) -> Any:
        return 0.5 * h + tanh(self.affine("h", x, h, derived={"h": self.way}))


def leaky(weights: dict[str, Tensor], x: Tensor, states: list[Tensor], resets: Any = None) -> list[Tensor]:
    """The equations of `Leaky` once more, step after step, without anything of nabi."""
    first = [weights["h_0"].expand(len(x), H), torch.full((len(x), H), -2.5, dtype=x.dtype)]
    first.append(torch.linspace(0, 1, H, dtype=x.dtype).expand(len(x), H))
    h, c, n = first if states is None else states
    a = (-weights["nu"].exp()).exp()
    outputs = []
    for t in range(x.shape[1]):
        if resets is not None:
            h, c, n = (
                torch.where(resets[:, t, None], new, old) for new, old in zip(first, (h, c, n), strict=True)
            )
        new = (x[:, t] @ weights["W_x"].T + h @ weights["W_h"][:H].T + weights["b"]).tanh()
        c = a * c + (1 - a) * new
        n = weights["alpha"].sigmoid() * n + weights["alpha"] * (h @ weights["W_h"][H:].T)
        h = c.tanh() + 0.5 * n
        outputs.append(h)
    return [torch.stack(outputs, 1), h, c, n]


def module(cell: Cell, dtype: torch.dtype = torch.float64, **arguments: Any) -> nabi.nn.RNN:
    torch.manual_seed(0)
    return nabi.nn.RNN(cell, D, dtype=dtype, **arguments)


def named(rnn: nabi.nn.RNN) -> dict[str, Tensor]:
    return {
        name.removesuffix("_l0"): value for name, value in [*rnn.named_parameters(), *rnn.named_buffers()]
    }


def test_equations_say_what_is_computed_before(tmp_path: Any) -> None:
    assert Leaky(H).program(D).equations[:2] == ("c_0 = -2.5", "a = exp(-exp(nu))")
    assert Way(H).program(D).equations[0] == "W_hh = V_hh - V_hhᵀ - 0.01 I"
    text = latex.document(Way(H, way=derived.Masked(initial.Identity())).program(D))
    assert r"W_{hh} &= M_{hh} \circ V_{hh} \\" in text
    assert r"$M_{hh}$ & recurrent, fixed & $5 \times 5$ & $25$ \\" in text
    # In a picture weights of their own have arrows into the step.
    assert picture.unrolled(Leaky(H).program(D), 2, tmp_path / "leaky.svg").stat().st_size > 1000
    # The kernel has no function of weights in it: what is before the steps is another weight.
    assert "exp" not in llvm.listing(Leaky(H).program(D), "llvm").split("define")[0]


def test_what_is_the_same_for_all_rows_is_computed_once() -> None:
    program = Leaky(H).program(D)
    inner = program.lowered.program
    assert all(node.has_rows or not node.arguments for node in inner.nodes)
    assert {one.name for one in inner.families} == {"W_x", "W_h", "b", "a", "once", "once1", "alpha1"}
    assert inner.lowered is None
    assert inner.is_plain
    from nabi.cells import LSTM

    assert LSTM(H).program(D).lowered is None


def test_few_rows_are_computed_with_their_own_values(monkeypatch: Any) -> None:
    rnn = module(Leaky(H), torch.float32)
    x = torch.randn(B, T, D)
    program = rnn._programs[0][0]
    assert program.once_size == 4 * H + 1
    output, state = rnn(x)
    # The learned state makes torch's help necessary anyway; without it the number of rows decides.
    monkeypatch.setattr(_lowering, "_WORTH", 1 << 20)
    assert _lowering.is_lowered(program, 1)

    class Plain(Leaky):
        def initial_state(self, name: str) -> float:
            return 1.0

    program = Plain(H).program(D)
    assert not _lowering.is_lowered(program, B * T)
    assert _lowering.is_lowered(program, 1 << 16)
    twin = module(Plain(H), torch.float32)
    few = twin(x)[0]
    monkeypatch.setattr(_lowering, "_WORTH", 0)
    torch.testing.assert_close(twin(x)[0], few, atol=1e-6, rtol=1e-5)
    assert output.shape == (B, T, H)
    assert len(state) == 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("time", [1, T])
def test_values_once_a_call_agree_with_plain_torch(dtype: torch.dtype, time: int) -> None:
    rnn = module(Leaky(H), dtype)
    x = torch.randn(B, time, D, dtype=dtype, requires_grad=True)
    output, state = rnn(x)
    expected = leaky(named(rnn), x, None)
    tolerance = {"atol": 1e-5, "rtol": 1e-5} if dtype == torch.float32 else {"atol": 1e-12, "rtol": 1e-10}
    torch.testing.assert_close([output, *(one[0] for one in state)], expected, **tolerance)
    cotangents = [torch.randn_like(value) for value in expected]
    leaves = [x, *rnn.parameters()]
    sums = [
        sum((a * b).sum() for a, b in zip(values, cotangents, strict=True))
        for values in ([output, *(one[0] for one in state)], expected)
    ]
    found, wanted = (torch.autograd.grad(total, leaves) for total in sums)
    torch.testing.assert_close(found, wanted, **tolerance)


@settings(deadline=None, max_examples=25)
@given(strategies.data())
def test_resets_begin_as_declared(data: Any) -> None:
    rnn = module(Leaky(H))
    flags = strategies.lists(strategies.booleans(), min_size=B * T, max_size=B * T)
    resets, mask = (torch.tensor(data.draw(flags)).reshape(B, T) for _ in range(2))
    x = torch.randn(B, T, D, dtype=torch.float64, requires_grad=True)
    states = [torch.randn(1, B, H, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    output, state = rnn(x, tuple(states), resets=resets)
    expected = leaky(named(rnn), x, [one[0] for one in states], resets)
    torch.testing.assert_close([output, *(one[0] for one in state)], expected)
    leaves = [x, *states, *rnn.parameters()]
    found, wanted = (
        torch.autograd.grad(sum(v.sin().sum() for v in values), leaves)
        for values in ([output, *state], expected)
    )
    torch.testing.assert_close(found, wanted)
    # A mask and the other direction: truncation to all steps goes through the definition.
    for options in ({"mask": mask}, {"mask": mask, "reverse": True}, {"reverse": True}):
        program, weights = rnn._programs[0][0], rnn._own_weights(0)
        given = [one[0] for one in states]
        arguments: dict[str, Any] = {"resets": resets, "return_all_states": True, **options}
        one = scan(program, x, given, weights, **arguments)
        two = scan(program, x, given, weights, truncate=T, **arguments)
        torch.testing.assert_close(one, two)
        again = scan(program, x, given, weights, recompute=2, **arguments)
        torch.testing.assert_close(one, again)


def test_a_reset_of_one_step_and_of_a_stream() -> None:
    rnn = module(Leaky(H))
    x, resets = torch.randn(B, T, D, dtype=torch.float64), torch.zeros(B, T, dtype=torch.bool)
    resets[1, 3] = resets[2, 0] = resets[3] = True
    output, last = rnn(x, resets=resets)
    state, outputs = None, []
    for t in range(T):
        now, state = rnn.step(x[:, t], state, resets=resets[:, t])
        outputs.append(now)
    torch.testing.assert_close(torch.stack(outputs, 1), output)
    torch.testing.assert_close(state, last)
    one, _ = rnn(x[:, :1], tuple(torch.ones_like(s) for s in last), resets=resets[:, :1])
    torch.testing.assert_close(one[2], output[2, :1])


@pytest.mark.parametrize("cell", [Leaky(H), Way(H), Way(H, way=derived.LowRank(2))], ids=repr)
def test_every_way_of_running_agrees(cell: Cell) -> None:
    rnn = module(cell)
    x = torch.randn(B, T, D, dtype=torch.float64)
    output, _state = rnn(x)
    program, weights = rnn._programs[0][0], [one.detach() for one in rnn._own_weights(0)]
    torch.testing.assert_close(scan(program, x, None, weights)[0], output)
    outputs, _ = static_scan(program, list(x.unbind(1)), None, weights)
    torch.testing.assert_close(torch.stack(outputs, 1), output)
    prepared = PreparedStep(program, weights)
    now, states = prepared.start(B), None
    for t in range(T):
        now, states = prepared(x[:, t], now), step(program, x[:, t], states, weights)
        torch.testing.assert_close(now[0], output[:, t])
        torch.testing.assert_close(states[0], output[:, t])
    lengths = torch.tensor([7, 4, 4, 0])
    short, last = rnn(x, lengths=lengths)
    torch.testing.assert_close(short[1, :4], output[1, :4])
    first = initial_states(program, weights, B, x)
    torch.testing.assert_close([one[0, 3] for one in last], [one[3] for one in first])
    packed = torch.nn.utils.rnn.pack_padded_sequence(x[:3], lengths[:3], batch_first=True)
    data = scan_packed(program, packed.data, packed.batch_sizes, None, weights)[0]
    torch.testing.assert_close(data, rnn(packed)[0].data)
    vmapped = torch.func.vmap(lambda a: rnn(a)[0])(torch.stack([x, 2 * x]))
    torch.testing.assert_close(vmapped[0], output)
    torch.testing.assert_close(pickle.loads(pickle.dumps(rnn))(x)[0], output)
    torch.testing.assert_close(copy.deepcopy(rnn)(x)[0], output)
    assert pickle.loads(pickle.dumps(program.lowered.program)) is program.lowered.program
    values = gates(rnn, x)
    torch.testing.assert_close(values["h"], output)
    layer = layers.RNN(cell, return_sequences=True, unroll=True, dtype="float64")
    layer.build((None, T, D))
    for own, given_weight in zip(layer.cell_parameters(), weights, strict=True):
        own.data.copy_(given_weight)
    torch.testing.assert_close(layer(x), output)


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        (derived.Antisymmetric(0.1), lambda v: v - v.T - 0.1 * np.eye(H)),
        (derived.Antisymmetric(), lambda v: v - v.T),
        (derived.Cayley(), lambda v: np.linalg.inv(np.eye(H) + v - v.T) @ (np.eye(H) - v + v.T)),
        (
            derived.Cayley(2),
            lambda v: np.linalg.inv(np.eye(H) + v - v.T) @ (np.eye(H) - v + v.T) @ np.diag([-1, -1, 1, 1, 1]),
        ),
        (derived.Exponential(), lambda v: _series(v - v.T)),
        (derived.LowRank(2), lambda p, q: p @ q),
        (derived.Masked(initial.Values(tuple(map(tuple, np.tri(H).tolist())))), lambda v, m: np.tril(v)),
        (derived.SpectralRadius(0.9), lambda v: 0.9 * v / abs(np.linalg.eigvals(v)).max()),
        (derived.Dropped(0.5), lambda v: v),
        (derived.Computed(lambda v: (v + v.T) / 2), lambda v: (v + v.T) / 2),
        (
            derived.Computed(
                torch.kron, (derived.Source("A", (1, H)), derived.Source("B", (H, 1), initial.Constant(1)))
            ),
            np.kron,
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_derived_matrices_are_what_numpy_computes(way: derived.Derived, expected: Any) -> None:
    rnn = module(Way(H, way=way)).eval()
    program = rnn._programs[0][0]
    _, weights, _ = lowered(program, [one.detach() for one in rnn._own_weights(0)])
    names = [family.name for family in program.lowered.program.families]
    sources = [named(rnn)[f"{one.letter}_h"].detach().numpy() for one in way.sources((H, H))]
    torch.testing.assert_close(
        weights[names.index("W_h")], torch.from_numpy(expected(*sources)), atol=1e-12, rtol=1e-10
    )
    x = torch.randn(2, 3, D, dtype=torch.float64, requires_grad=True)
    leaves = [x, *(one.detach().requires_grad_() for one in rnn.parameters())]
    keys = [name for name, _ in rnn.named_parameters()]

    def run(x: Tensor, *given: Tensor) -> Tensor:
        return torch.func.functional_call(rnn, dict(zip(keys, given, strict=True)), (x,))[0]

    assert torch.autograd.gradcheck(run, leaves)


def _series(a: Any) -> Any:
    total = term = np.eye(len(a))
    for n in range(1, 60):
        term = term @ a / n
        total = total + term
    return total


def test_second_derivatives_go_through_what_is_computed_once() -> None:
    rnn = module(Way(2))
    x = torch.randn(1, 2, D, dtype=torch.float64, requires_grad=True)
    weight = rnn.V_h_l0.detach().requires_grad_()
    run = lambda w: torch.func.functional_call(rnn, {"V_h_l0": w}, (x,))[0]  # noqa: E731
    assert torch.autograd.gradgradcheck(run, (weight,))


def test_weights_are_dropped_in_training_with_one_mask_for_a_call() -> None:
    rnn = module(Way(H, way=derived.Dropped(0.5)))
    program, weights = rnn._programs[0][True], rnn._own_weights(0)
    (mask,) = sample_noise(program, B, T, dtype=torch.float64)
    assert mask.shape == (H, H)
    assert set(mask.unique().tolist()) == {0.0, 2.0}
    x = torch.randn(B, T, D, dtype=torch.float64)
    dropped = dict(zip([one.name for one in program.families], weights, strict=True))
    dropped["V_h"] = dropped["V_h"] * mask
    expected = scan(rnn._programs[0][False], x, None, list(dropped.values()))[0]
    torch.testing.assert_close(scan(program, x, None, weights, noise=[mask])[0], expected)
    rnn.train()
    assert not torch.equal(rnn(x)[0], rnn(x)[0])
    rnn.eval()
    assert torch.equal(rnn(x)[0], rnn(x)[0])


def test_a_matrix_that_is_not_finite_is_named() -> None:
    rnn = module(Way(H, way=derived.SpectralRadius(1)), initial_values={"V_h": 0})
    with pytest.raises(ArgumentError, match=r"W_hh: SpectralRadius\(radius=1.0\) of V_hh is not finite"):
        rnn(torch.zeros(1, 2, D, dtype=torch.float64))
    wrong = module(Way(H, way=derived.Computed(lambda v: v[:2])))
    with pytest.raises(ArgumentError, match=r"W_hh: .* gives .*expected shape \(5, 5\)"):
        wrong(torch.zeros(1, 2, D, dtype=torch.float64))


@pytest.mark.parametrize(
    ("way", "message"),
    [
        (3, "derived: expected an object of nabi.ir.derived, got 3"),
        (derived.Masked(1), "derived: expected letters"),
    ],
)
def test_wrong_declarations_quote_the_line(way: Any, message: str) -> None:
    class Wrong(Cell):
        def step(self, x: Any, h: Any) -> Any:
            return tanh(self.affine("h", x, h, derived={"h" if way == 3 else "z": way}))

    class NotSquare(Cell):
        def step(self, x: Any, h: Any) -> Any:
            return tanh(self.affine("h", x, h, derived={"x": derived.Exponential()}))

    class Twice(Cell):
        def step(self, x: Any, h: Any) -> Any:
            first = self.linear("h", "h", h, derived=derived.Cayley())
            return tanh(first + self.linear("h", "h", h))

    class NoState(Way):
        def initial_state(self, name: str) -> Any:
            return {}

    with pytest.raises(CellError, match=message):
        Wrong(H).program(D)
    with pytest.raises(CellError, match="W_xh: derived: Exponential needs a square matrix"):
        NotSquare(H).program(D)
    with pytest.raises(CellError, match="W_hh is computed as Cayley"):
        Twice(H).program(D)
    with pytest.raises(CellError, match=r"initial_state\('h'\): expected an initial value"):
        NoState(H).program(D)


@pytest.mark.parametrize("cell", [Leaky(H), Way(H), Way(H, way=derived.Dropped(0.3))], ids=repr)
def test_layers_fit_save_and_keep_states(cell: Cell, tmp_path: Any) -> None:
    torch.manual_seed(0)
    model = Sequential([layers.Input((T, D)), layers.RNN(cell), layers.Dense(1)])
    before = [weight.copy() for weight in model.get_weights()]
    model.compile("adam", "mse")
    x, y = torch.randn(32, T, D), torch.randn(32, 1)
    model.fit(x, y, epochs=2, verbose=0)
    trained = [weight.requires_grad for weight in model.weights]
    changed = [bool((a != b).any()) for a, b in zip(before, model.get_weights(), strict=True)]
    assert changed == trained
    model.save(tmp_path / "model.nabi")
    assert np.array_equal(load_model(tmp_path / "model.nabi").predict(x), model.predict(x))
    stateful = Sequential(
        [layers.Input((None, D), batch_size=2), layers.RNN(cell, stateful=True, return_sequences=True)]
    )
    whole, first = stateful.predict(x[:2], batch_size=2), stateful.layers[0].states
    stateful.reset_states()
    parts = np.concatenate([stateful.predict(part, batch_size=2) for part in (x[:2, :3], x[:2, 3:])], 1)
    np.testing.assert_allclose(parts, whole, atol=1e-6)
    begun = stateful.layers[0].get_initial_state(2)
    stateful.reset_states()
    for one, kept in zip(begun, stateful.layers[0].states, strict=True):
        torch.testing.assert_close(kept, one.detach())
    assert first is not None


def test_infinite_initial_states() -> None:
    from nabi.ir.functions import maximum

    class Largest(Cell):
        states = ("m",)

        def initial_state(self, name: str) -> float:
            return float("-inf")

        def step(self, x: Any, m: Any) -> Any:
            return maximum(m, self.linear("m", "x", x))

    rnn = module(Largest(H))
    x = torch.randn(B, T, D, dtype=torch.float64)
    expected = (x @ rnn.W_x_l0.T).cummax(1).values
    torch.testing.assert_close(rnn(x)[0], expected)
    assert (rnn(x, lengths=torch.zeros(B, dtype=torch.int64))[1].m == float("-inf")).all()


def test_compiled_code_computes_what_is_computed_once() -> None:
    rnn = module(Leaky(H))
    compiled = torch.compile(rnn, backend="aot_eager", fullgraph=True)
    x, resets = torch.randn(B, 3, D, dtype=torch.float64), torch.zeros(B, 3, dtype=torch.bool)
    resets[0, 1] = True
    expected, found = rnn(x)[0], compiled(x)[0]
    torch.testing.assert_close(found, expected)
    parameters = list(rnn.parameters())
    torch.testing.assert_close(
        torch.autograd.grad(found.sum(), parameters), torch.autograd.grad(expected.sum(), parameters)
    )
    torch.testing.assert_close(compiled(x, resets=resets)[0], rnn(x, resets=resets)[0])
    torch.testing.assert_close(torch.export.export(rnn, (x,)).module()(x)[0], expected)


@pytest.mark.parametrize("cell", [Leaky(H), Way(H, way=derived.Cayley())], ids=repr)
def test_onnx_stores_what_is_computed_once(cell: Cell, tmp_path: Any) -> None:
    runtime = pytest.importorskip("onnxruntime")
    from nabi.interchange import write_onnx

    model = Sequential([layers.Input((T, D)), layers.Bidirectional(layers.RNN(cell)), layers.Dense(1)])
    write_onnx(model, tmp_path / "model.onnx")
    session = runtime.InferenceSession(str(tmp_path / "model.onnx"))
    x = torch.randn(B, T, D).numpy()
    (found,) = session.run(None, {session.get_inputs()[0].name: x})
    np.testing.assert_allclose(found, model.predict(x), atol=1e-5)


@pytest.mark.parametrize("name", ["retnet", "gla", "mamba-2", "rwkv-6"])
def test_values_of_weights_with_axes_are_computed_once(name: str) -> None:
    from nabi import cells

    layer = layers.RNN(cells.get(name)(8))
    layer.build((None, None, D))
    program, weights, _ = lowered(layer.program(), layer.cell_parameters())
    assert [tuple(one.shape) for one in weights] == [family.shape for family in program.families]
