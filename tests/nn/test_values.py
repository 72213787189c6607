"""`return_values`: named quantities of a step at every step, on every path, with gradients."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import nabi.nn
from nabi import cells, layers, models
from nabi.errors import ArgumentError, UnknownNameError
from nabi.explain import gates
from nabi.ir import find_program, value_names
from nabi.scan import scan, static_scan
from nabi.targets import _run

from ..cells.sampling import CLASSIC, cells_of_today

INPUTS, UNITS = 3, 5
SOME = ["lstm", *cells_of_today([name for name in cells.names() if name not in CLASSIC], 24)]


@pytest.fixture(params=["0", "1"], ids=["torch", "native"])
def target(request, monkeypatch):
    monkeypatch.setenv("NABI_NATIVE", request.param)
    return request.param


def made(cell, **arguments):
    torch.manual_seed(0)
    return nabi.nn.RNN(cell, INPUTS, dtype=torch.float64, **arguments)


def batch(time: int = 7) -> torch.Tensor:
    return torch.randn(4, time, INPUTS, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def further(program, size: int, time: int) -> dict[str, torch.Tensor]:
    found = {}
    for one in program.inputs[1:]:
        shape = (size,) if one.per_sequence else (size, time)
        if one.name != "position":
            found[one.name] = torch.rand(*shape, *([one.width or 1] * (one.width is not None)))
    return {name: value.double() for name, value in found.items()}


@pytest.mark.parametrize(
    "name", ["lstm", *cells_of_today([n for n in cells.names() if n not in CLASSIC], 24)]
)
def test_the_values_are_those_of_the_equations(name: str) -> None:
    """The other way to them computes each from the states before it, by the definition."""
    kind = cells.get(name)
    rnn = made(kind(6, **kind.needed_settings(6, INPUTS))).eval()
    program, x = rnn.cell.program(INPUTS), batch()
    names, extra = value_names(program), further(rnn.cell.program(INPUTS), 4, 7)
    output, state = rnn(x, **extra)
    again, states, values = rnn(x, return_values=names, **extra)
    torch.testing.assert_close(again, output)
    for one, other in zip(states, state, strict=True):
        torch.testing.assert_close(one, other)
    assert list(values) == list(names)
    for name, value in gates(rnn, x, extra=extra).items():
        torch.testing.assert_close(values[name], value, msg=name)


def test_gradients_through_values(target) -> None:
    rnn, x = made(cells.LSTM(UNITS)), batch().requires_grad_()
    sources = [x, *rnn.parameters()]
    output, state, values = rnn(x, return_values=["f", "i", "c"], lengths=[7, 3, 0, 5])
    loss = (values["f"] * values["i"].square()).sum() + values["c"].sum() + output.sum() + state.c.sum()
    found = torch.autograd.grad(loss, sources)

    # The same with the step written out.
    h = c = x.new_zeros(4, UNITS)
    loss = x.new_zeros(())
    lengths = torch.tensor([7, 3, 0, 5])
    for t in range(7):
        gates = x[:, t] @ rnn.W_x_l0.T + h @ rnn.W_h_l0.T + rnn.b_l0
        i, f, g, o = gates.chunk(4, 1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        counts = (t < lengths)[:, None]
        c = torch.where(counts, f * c + i * g, c)
        h = torch.where(counts, o * c.tanh(), h)
        loss = loss + torch.where(counts, f * i.square() + c + h, 0.0).sum()
    for one, right in zip(found, torch.autograd.grad(loss + c.sum(), sources), strict=True):
        torch.testing.assert_close(one, right)


def test_a_program_with_values_runs_natively_and_has_a_key_of_its_own() -> None:
    cell = cells.LSTM(UNITS)
    plain, program = cell.program(INPUTS), cell.program(INPUTS, values=["f", "i"])
    weights = [torch.zeros(family.shape) for family in program.families]
    assert program.state_names == ("h", "c", "f", "i")
    assert program.families == plain.families
    assert program.key != plain.key != cell.program(INPUTS, values=["i", "f"]).key
    x = torch.zeros(2, 4, INPUTS, requires_grad=True)
    _, _, every = scan(program, x, None, weights, return_all_states=True)
    every[2].sum().backward()
    assert _run.is_native(program, (x, *weights)) == _run.is_native(plain, (x, *weights))
    assert pickle.loads(pickle.dumps(program)) is find_program(program.recipe) is program
    with pytest.raises(UnknownNameError, match=r"values: 'h' is not known. Known are: f, g, i, o"):
        cell.program(INPUTS, values=["h"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_data_types(dtype: torch.dtype) -> None:
    rnn = nabi.nn.RNN(cells.GRU(UNITS), INPUTS, dtype=dtype)
    *_, values = rnn(torch.ones(2, 4, INPUTS, dtype=dtype), return_values=["z", "r"])
    assert {value.dtype for value in values.values()} == {dtype}
    *_, exact = rnn.double()(torch.ones(2, 4, INPUTS, dtype=torch.float64), return_values=["z", "r"])
    torch.testing.assert_close(values["z"].double(), exact["z"], atol=2e-2, rtol=2e-2)


@given(lengths=st.lists(st.integers(0, 6), min_size=4, max_size=4))
def test_steps_that_do_not_count_are_zero_and_never_read(lengths: list[int]) -> None:
    rnn, x = made(cells.GRU(UNITS), bidirectional=True), batch(6)
    mask = torch.arange(6) < torch.tensor(lengths)[:, None]
    x[~mask] = torch.nan
    output, _, values = rnn(x, lengths=lengths, return_values=["z", "h"])
    assert all((value[~mask] == 0).all() and value.isfinite().all() for value in values.values())
    torch.testing.assert_close(torch.cat([values["h_l0"], values["h_l0_reverse"]], -1), output)
    *_, masked = rnn(x, mask=mask, return_values=["z"])
    torch.testing.assert_close(masked["z_l0_reverse"], values["z_l0_reverse"])


def test_layers_and_directions(target) -> None:
    rnn = made(cells.GRU(UNITS), num_layers=2, bidirectional=True)
    x = batch()
    output, _state, every, values = rnn(x, return_values=["h", "r_l1"], return_all_states=True)
    assert list(values) == ["h_l0", "h_l0_reverse", "h_l1", "h_l1_reverse", "r_l1"]
    for number, name in enumerate(list(values)[:4]):
        torch.testing.assert_close(values[name], every.h[number])
    torch.testing.assert_close(torch.cat([values["h_l1"], values["h_l1_reverse"]], -1), output)
    *_, alone = rnn(x[0], return_values=["r_l1"])
    torch.testing.assert_close(alone["r_l1"], values["r_l1"][0])
    turned = made(cells.GRU(UNITS), num_layers=2, bidirectional=True, batch_first=False)
    *_, values_turned = turned(x.transpose(0, 1), return_values=["r_l1"])
    torch.testing.assert_close(values_turned["r_l1"].transpose(0, 1), values["r_l1"])


def test_packed_sequences() -> None:
    rnn, x, lengths = made(cells.LSTM(UNITS)), batch(), torch.tensor([3, 7, 1, 5])
    *_, padded = rnn(x, lengths=lengths, return_values=["f"])
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    *_, values = rnn(packed, return_values=["f"])
    assert isinstance(values["f"], PackedSequence)
    found, _ = torch.nn.utils.rnn.pad_packed_sequence(values["f"], batch_first=True)
    torch.testing.assert_close(found, padded["f"])


def test_a_sequence_in_two_parts_and_outputs_that_are_no_states() -> None:
    rnn, x = made(cells.get("lru")(UNITS)), batch()
    *_, whole = rnn(x, return_values=["modulus", "y"])
    _, state = rnn(x[:, :3])
    output, _, values = rnn(x[:, 3:], state, return_values=["modulus", "y"], truncate=2)
    torch.testing.assert_close(values["y"], whole["y"][:, 3:])
    torch.testing.assert_close(values["y"], output)
    # What depends on weights alone is the same at every step.
    torch.testing.assert_close(values["modulus"], whole["modulus"][:, :1].expand(4, 4, UNITS))


def test_the_definition_has_them_too() -> None:
    program = cells.LSTM(UNITS).program(INPUTS, values=["f"])
    weights = [torch.randn(family.shape, dtype=torch.float64) for family in program.families]
    x = batch()
    _, final, every = scan(program, x, None, weights, return_all_states=True)
    _, static = static_scan(program, list(x.unbind(1)), None, weights)
    torch.testing.assert_close(every[2][:, -1], static[2])
    torch.testing.assert_close(final[2], static[2])

    def forget(x):
        return scan(program, x, None, weights, return_all_states=True)[2][2]

    mapped = torch.func.vmap(lambda row: forget(row[None])[0])(x)
    torch.testing.assert_close(mapped, every[2])
    _, tangent = torch.func.jvp(forget, (x,), (torch.ones_like(x),))
    assert tangent.abs().sum() > 0
    assert torch.autograd.gradcheck(forget, (x[:1, :2].clone().requires_grad_(),))


def test_training_draws_as_without_values() -> None:
    rnn = made(cells.ZoneoutLSTM(UNITS))
    torch.manual_seed(3)
    output, _ = rnn(batch())
    torch.manual_seed(3)
    again, *_ = rnn(batch(), return_values=["f"])
    torch.testing.assert_close(again, output)


class Shows(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nabi.nn.RNN(cells.LSTM(UNITS), INPUTS)

    def forward(self, x):
        return self.rnn(x, return_values=["f", "i"])[-1]["f"]


def test_compile_export_and_fx() -> None:
    module, x = Shows(), torch.randn(2, 4, INPUTS)
    wanted = module(x)
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), wanted)
    torch.testing.assert_close(torch.export.export(module, (x,)).module()(x), wanted)
    torch.testing.assert_close(torch.fx.symbolic_trace(module)(x), wanted)


def test_what_cannot_be_asked_for() -> None:
    rnn = made(cells.GRU(UNITS), num_layers=2)
    with pytest.raises(UnknownNameError, match=r"return_values: 'f' is not known. Known are: h, n, r, z"):
        rnn(batch(), return_values=["f"])
    with pytest.raises(UnknownNameError, match=r"return_values: 'z_l2' is not known; did you mean 'z_l"):
        rnn(batch(), return_values=["z_l2"])
    with pytest.raises(
        ArgumentError, match=r"return_values: expected a list of names of quantities .* got 3"
    ):
        rnn(batch(), return_values=3)

    class Step(torch.nn.Module):
        state_widths = {"h": INPUTS}  # noqa: RUF012

        def forward(self, x, h):
            return x + h

    with pytest.raises(
        ArgumentError, match=r"return_values: expected None for a step that is a torch module"
    ):
        nabi.nn.RNN(Step())(batch(), return_values=["h"])


def test_layers_of_keras(target) -> None:
    x = torch.randn(2, 6, INPUTS)
    mask = torch.tensor([[1, 1, 1, 0, 0, 0], [0, 1, 1, 1, 1, 1]]).bool()
    layer = layers.LSTM(UNITS, return_sequences=True, return_state=True)
    _, h, c, values = layer(x, mask=mask, return_values=["f", "c"])
    assert (values["f"][~mask] == 0).all()
    torch.testing.assert_close(values["c"][1, -1], c[1])
    torch.testing.assert_close(layer(x, mask=mask)[1], h)
    back = layers.GRU(UNITS, return_sequences=True, go_backwards=True)
    outputs, values = back(x, return_values=["h"])
    torch.testing.assert_close(values["h"], outputs.flip(1))  # values stay at their own steps
    both = layers.Bidirectional(layers.GRU(UNITS, return_sequences=True))
    outputs, values = both(x, return_values=["h", "z"])
    assert list(values) == ["h_forward", "z_forward", "h_backward", "z_backward"]
    torch.testing.assert_close(torch.cat([values["h_forward"], values["h_backward"]], -1), outputs)


def test_a_penalty_on_a_gate_opens_it() -> None:
    class Open(models.Model):
        def __init__(self):
            super().__init__()
            self.lstm, self.out = layers.LSTM(UNITS, unit_forget_bias=False), layers.Dense(1)

        def call(self, inputs):
            last, values = self.lstm(inputs, return_values=["f"])
            self.add_loss((1 - values["f"]).mean())
            return self.out(last)

    torch.manual_seed(0)
    model, x = Open(), np.random.default_rng(0).normal(size=(32, 4, INPUTS)).astype(np.float32)
    model.compile(nabi.optimizers.Adam(0.1), "mse")
    before = model.lstm(torch.zeros(1, 1, INPUTS), return_values=["f"])[1]["f"].mean()
    model.fit(x, np.zeros((32, 1)), epochs=5, verbose=0)
    after = model.lstm(torch.zeros(1, 1, INPUTS), return_values=["f"])[1]["f"].mean()
    assert after > before + 0.05


def test_layers_that_have_no_names_for_them() -> None:
    two = layers.RNN([layers.LSTMCell(UNITS), layers.LSTMCell(UNITS)])
    with pytest.raises(ArgumentError, match=r"return_values: expected None, got .*; only a layer over"):
        two(torch.zeros(1, 2, INPUTS), return_values=["f"])
    with pytest.raises(ArgumentError, match=r"return_values: lstm.* takes it only with numbers"):
        layers.LSTM(UNITS)(layers.Input((4, INPUTS)), return_values=["f"])
