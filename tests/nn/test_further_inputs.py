"""Modules whose cell reads more than `x`: layouts, layers, directions, packed sequences, compilation."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from nabi import cells
from nabi.errors import ArgumentError, ShapeError
from nabi.ir import Cell
from nabi.ir.functions import sigmoid, tanh
from nabi.nn import RNN

B, T, D, S = 4, 6, 3, 2
LENGTHS = [3, 6, 1, 0]


class Reads(Cell):
    """Reads one input of each kind."""

    static_size: int = S

    def step(self, x: Any, h: Any, *, delta: Any = 1.0, observed: Any, static: Any, position: Any) -> Any:
        open_ = sigmoid(self.affine("o", x, h, static) * delta)
        return open_ * tanh(self.affine("h", x, h, observed)) + 0.01 * position


def inputs(seed: int = 0) -> tuple[Tensor, dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(B, T, D, generator=generator)
    more = {
        "delta": torch.rand(B, T, generator=generator),
        "observed": (torch.rand(B, T, D, generator=generator) < 0.5).float(),
        "static": torch.randn(B, S, generator=generator),
    }
    return x, more


@pytest.fixture
def both() -> RNN:
    torch.manual_seed(0)
    return RNN(Reads(5), D, num_layers=2, bidirectional=True)


def test_layers_and_directions_by_hand(both: RNN) -> None:
    """Each direction alone; the second layer reads that all of the first was observed."""
    x, more = inputs()
    value = x
    for layer in range(2):
        outputs = []
        for reverse in (False, True):
            end = f"l{layer}_reverse" if reverse else f"l{layer}"
            one = RNN(Reads(5), value.shape[-1])
            own = {k.replace(end, "l0"): v for k, v in both.state_dict().items() if k.endswith(end)}
            one.load_state_dict(own)
            given = {**more, "observed": more["observed"] if not layer else torch.ones(B, T)}
            turned = {k: v.flip(1) if reverse and k != "static" else v for k, v in given.items()}
            output, _ = one(value.flip(1) if reverse else value, **turned)
            outputs.append(output.flip(1) if reverse else output)
        value = torch.cat(outputs, -1)
    torch.testing.assert_close(both(x, **more)[0], value)


def test_layouts(both: RNN) -> None:
    x, more = inputs()
    expected, state = both(x, lengths=LENGTHS, **more)

    def pack(values: Tensor) -> PackedSequence:
        # A packed sequence has no sequences of length zero.
        return pack_padded_sequence(values[:3], torch.tensor(LENGTHS[:3]), True, enforce_sorted=False)

    packed, last = both(
        pack(x), delta=pack(more["delta"]), observed=pack(more["observed"]), static=more["static"][:3]
    )
    padded, _ = pad_packed_sequence(packed, batch_first=True)
    torch.testing.assert_close(padded, expected[:3])
    torch.testing.assert_close(last.h, state.h[:, :3])

    time_major = RNN(Reads(5), D, num_layers=2, bidirectional=True, batch_first=False)
    time_major.load_state_dict(both.state_dict())
    turned = {name: value if name == "static" else value.transpose(0, 1) for name, value in more.items()}
    output, _ = time_major(x.transpose(0, 1), lengths=LENGTHS, **turned)
    torch.testing.assert_close(output.transpose(0, 1), expected)

    alone, last = both(x[1], **{name: value[1] for name, value in more.items()})
    torch.testing.assert_close(alone, expected[1])
    torch.testing.assert_close(last.h, state.h[:, 1])


def test_a_pair_has_the_values_of_both_directions() -> None:
    rnn = RNN(cells.CTRNN(5), D, bidirectional=True)
    x, more = inputs()
    forward, backward = more["delta"], more["delta"].roll(-1, 1)
    one, other = rnn(x, delta=forward)[0], rnn(x, delta=backward)[0]
    found = rnn(x, delta=(forward, backward))[0]
    torch.testing.assert_close(found, torch.cat([one[..., :5], other[..., 5:]], -1))


def test_steps_and_split_sequences() -> None:
    rnn = RNN(Reads(5), D, num_layers=2)
    x, more = inputs()
    whole, final = rnn(x, **more)
    state = None
    for t in range(T):
        here = {name: value if name == "static" else value[:, t] for name, value in more.items()}
        output, state = rnn.step(x[:, t], state, position=t, **here)
        torch.testing.assert_close(output, whole[:, t])
    torch.testing.assert_close(state, final)
    first, state = rnn(x[:, :2], **{n: v if n == "static" else v[:, :2] for n, v in more.items()})
    rest = {n: v if n == "static" else v[:, 2:] for n, v in more.items()}
    second, state = rnn(x[:, 2:], state, position=2, **rest)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)
    single, _ = rnn.step(x[0, 0], None, position=0, delta=0.5, observed=torch.ones(D), static=torch.ones(S))
    batch, _ = rnn.step(
        x[:1, 0], None, position=0, delta=0.5, observed=torch.ones(1, D), static=torch.ones(1, S)
    )
    torch.testing.assert_close(single, batch[0])


@pytest.mark.parametrize("options", [{}, {"lengths": torch.tensor(LENGTHS)}], ids=["full", "lengths"])
def test_a_compiled_module_is_one_operator(both: RNN, options: dict[str, Any]) -> None:
    compiled = torch.compile(both, backend="aot_eager", fullgraph=True)
    x, more = inputs()
    leaves = [x.requires_grad_(), *(value.requires_grad_() for value in more.values())]
    results = []
    for module in (compiled, both):
        output, _ = module(x, **more, **options)
        results.append((output, torch.autograd.grad(output.square().sum(), [*leaves, *both.parameters()])))
    torch.testing.assert_close(results[0], results[1])


def test_a_compiled_step() -> None:
    rnn = RNN(Reads(5), D)
    step = torch.compile(rnn.step, backend="aot_eager", fullgraph=True)
    x, more = inputs()
    here = {name: value if name == "static" else value[:, 0] for name, value in more.items()}
    torch.testing.assert_close(
        step(x[:, 0], None, position=0, **here), rnn.step(x[:, 0], None, position=0, **here)
    )


def test_transforms_of_torch_go_through() -> None:
    rnn = RNN(Reads(5), D, dtype=torch.float64)
    x, more = inputs()
    x, more = x.double(), {name: value.double() for name, value in more.items()}

    def loss(delta: Tensor, one: Tensor, observed: Tensor, static: Tensor) -> Tensor:
        return rnn(one, delta=delta, observed=observed, static=static)[0].square().sum()

    each = torch.func.vmap(torch.func.grad(loss))(more["delta"], x, more["observed"], more["static"])
    delta = more["delta"].requires_grad_()
    whole = rnn(x, delta=delta, observed=more["observed"], static=more["static"])[0].square().sum()
    torch.testing.assert_close(each, torch.autograd.grad(whole, delta)[0])


def test_autocast_and_other_types() -> None:
    rnn = RNN(Reads(5), D)
    x, more = inputs()
    with torch.autocast("cpu", torch.bfloat16):
        output, _ = rnn(x, **more)
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output.float(), rnn(x, **more)[0], atol=0.05, rtol=0)
    whole = rnn(x, **{**more, "observed": more["observed"].bool(), "delta": more["delta"].double()})[0]
    torch.testing.assert_close(whole, rnn(x, **more)[0])


class Module(nn.Module):
    """A step in torch that takes the same inputs."""

    state_widths = {"h": 5}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(D + 5 + S, 5)

    def forward(self, x: Tensor, h: Tensor, *, delta: Tensor, static: Tensor) -> Tensor:
        return h + delta[:, None] * torch.tanh(self.inner(torch.cat([x, h, static], 1)))


def test_a_step_that_is_a_module() -> None:
    rnn = RNN(Module())
    x, more = inputs()
    output, final = rnn(x, lengths=LENGTHS, delta=more["delta"], static=more["static"])
    h = torch.zeros(1, 5)
    for t in range(3):
        h = rnn.cell(x[:1, t], h, delta=more["delta"][:1, t], static=more["static"][:1])
        torch.testing.assert_close(output[:1, t], h)
    torch.testing.assert_close(final.h[0, :1], h)
    one, _ = rnn.step(x[:, 0], delta=more["delta"][:, 0], static=more["static"])
    torch.testing.assert_close(one[:3], output[:3, 0])
    with pytest.raises(ShapeError, match=r"delta: expected shape \(4, 6\) \[batch, time steps\]"):
        rnn(x, delta=more["delta"][:, :2], static=more["static"])


def test_what_is_missing_or_wrong() -> None:
    x, more = inputs()
    rnn = RNN(Reads(5), D)
    without = {name: value for name, value in more.items() if name != "observed"}
    with pytest.raises(ArgumentError, match=r"observed: expected .* got none; Reads reads it for every step"):
        rnn(x, **without)
    with pytest.raises(
        ArgumentError, match="delta: expected nothing, since LSTM reads x and its states only"
    ):
        RNN(cells.LSTM(2), D)(x, delta=1.0)
    with pytest.raises(ArgumentError, match="delta: expected nothing, since LSTM"):
        RNN(cells.LSTM(2), D).step(x[:, 0], delta=1.0)
    packed = pack_padded_sequence(x, torch.tensor([6, 5, 4, 3]), True)
    with pytest.raises(ArgumentError, match="delta: expected a PackedSequence, as x is one, or one number"):
        RNN(cells.CfC(2), D)(packed, delta=more["delta"])
    other = pack_padded_sequence(more["delta"], torch.tensor([6, 5, 4, 2]), True)
    with pytest.raises(ShapeError, match="delta: expected it to be packed as x is"):
        RNN(cells.CfC(2), D)(packed, delta=other)
    stacked = RNN(cells.GRUD(D + 1, features=D), D)
    with pytest.raises(
        ShapeError, match=r"delta: expected shape \(4, 6, 3\) .* or \(4, 6\) for all features"
    ):
        stacked(x, observed=1, delta=torch.ones(B, T, 2))
