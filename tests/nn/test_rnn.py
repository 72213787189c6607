"""RNN(cell): any cell in layers and directions, with lengths, masks, resets, states and streaming."""

import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import nabi.nn
from nabi import cells
from nabi.errors import ArgumentError, ShapeError, UnknownNameError

from ..forked import Forked

ALL = [
    cells.SimpleRNN(5),
    cells.LSTM(5),
    cells.PeepholeLSTM(5),
    cells.PeepholeLSTM(5, full=True),
    cells.CoupledLSTM(5),
    cells.GRULecture(5),
    cells.GRU2014(5),
    cells.GRU(5),
    cells.LayerNormLSTM(5),
    cells.IndRNN(5),
    cells.ProjectedLSTM(5, projection=3),
    cells.ZoneoutLSTM(5),
    cells.LSTM(5, recurrent_dropout=0.3),
]
EVERY_CELL = pytest.mark.parametrize("cell", ALL, ids=repr)


def make(cell: Any, *arguments: Any, **named: Any) -> Any:
    torch.manual_seed(0)
    return nabi.nn.RNN(cell, 3, *arguments, dtype=torch.float64, **named).eval()


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.rotates(days=4)
@EVERY_CELL
@pytest.mark.parametrize("initializer", ["torch", "keras"])
def test_every_cell_trains(cell: Any, initializer: str) -> None:
    rnn = make(cell, 2, bidirectional=True, dropout=0.1, initializer=initializer).train()
    output, state = rnn(random(4, 6, 3), lengths=torch.tensor([6, 0, 2, 5]))
    assert output.shape == (4, 6, rnn.output_size)
    assert state._fields == cell.states
    assert all(value.shape == (4, 4, cell.state_width(name)) for name, value in state._asdict().items())
    (output.sum() + sum(value.sum() for value in state)).backward()
    for name, parameter in rnn.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.isfinite().all()), name


@EVERY_CELL
def test_layers_and_directions_are_runs_of_one_layer(cell: Any) -> None:
    rnn = make(cell, 2, bidirectional=True)
    x = random(4, 6, 3)
    lengths = torch.tensor([6, 1, 2, 5])
    output, state = rnn(x, lengths=lengths)
    below, finals = x, []
    for layer in range(2):
        outputs = []
        for suffix in ("", "_reverse"):
            one = nabi.nn.RNN(cell, below.shape[-1], dtype=torch.float64).eval()
            one.load_state_dict(
                {
                    name.replace("_reverse", "").replace("_l1", "_l0"): value
                    for name, value in rnn.state_dict().items()
                    if name.endswith(f"_l{layer}{suffix}")
                }
            )
            turn = torch.arange(6).expand(4, 6)
            if suffix:
                turn = torch.where(turn < lengths[:, None], lengths[:, None] - 1 - turn, turn)
            turned = below.gather(1, turn[..., None].expand_as(below))
            value, final = one(turned, lengths=lengths)
            outputs.append(value.gather(1, turn[..., None].expand_as(value)))
            finals.append(final)
        below = torch.cat(outputs, -1)
    torch.testing.assert_close(output, below)
    for index, name in enumerate(cell.states):
        torch.testing.assert_close(getattr(state, name), torch.cat([final[index] for final in finals]))


@pytest.mark.rotates(days=3)
@EVERY_CELL
def test_step_by_step_is_the_whole(cell: Any) -> None:
    rnn = make(cell, 2)
    x = random(4, 6, 3)
    output, final, every = rnn(x, return_all_states=True)
    state = None
    for t in range(6):
        step_output, state = rnn.step(x[:, t], state)
        torch.testing.assert_close(step_output, output[:, t])
        for now, each in zip(state, every, strict=True):
            assert each.shape[:3] == (2, 4, 6)
            torch.testing.assert_close(now, each[:, :, t])
    torch.testing.assert_close(tuple(state), tuple(final))
    one, _ = rnn.step(x[1, 0])
    torch.testing.assert_close(one, output[1, 0])


def test_splitting_time_and_carrying_the_state() -> None:
    rnn = make(cells.PeepholeLSTM(5), 2)
    x = random(4, 6, 3)
    output, final = rnn(x)
    first, state = rnn(x[:, :2])
    second, state = rnn(x[:, 2:], state)
    torch.testing.assert_close(torch.cat((first, second), 1), output)
    torch.testing.assert_close(tuple(state), tuple(final))


@pytest.mark.parametrize("enforce_sorted", [True, False])
@pytest.mark.parametrize("given", [True, False])
def test_packed_sequence_is_lengths(enforce_sorted: bool, given: bool) -> None:
    rnn = make(cells.CoupledLSTM(5), 2, bidirectional=True)
    x = random(4, 6, 3)
    lengths = torch.tensor([6, 4, 4, 1] if enforce_sorted else [4, 1, 6, 4])
    state = (random(4, 4, 5), random(4, 4, 5)) if given else None
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=enforce_sorted)
    output, final, every = rnn(packed, state, return_all_states=True)
    expected, expected_final, expected_every = rnn(x, state, lengths=lengths, return_all_states=True)
    torch.testing.assert_close(pad_packed_sequence(output, batch_first=True)[0], expected)
    torch.testing.assert_close(tuple(final), tuple(expected_final))
    for each, wanted in zip(every, expected_every, strict=True):
        torch.testing.assert_close(pad_packed_sequence(each, batch_first=True)[0], wanted.permute(1, 2, 0, 3))


def test_layouts() -> None:
    rnn = make(cells.GRU(5), 2)
    turned = make(cells.GRU(5), 2, batch_first=False)
    x, mask, resets = random(4, 6, 3), random(4, 6) > 0, random(4, 6) > 1
    options = {"mask": mask, "resets": resets, "return_all_states": True, "truncate": 3}
    output, state, every = rnn(x, **options)
    other, other_state, other_every = turned(x.transpose(0, 1), **options)
    torch.testing.assert_close(other.transpose(0, 1), output)
    torch.testing.assert_close(other_state.h, state.h)
    torch.testing.assert_close(other_every.h.transpose(1, 2), every.h)
    row = {**options, "mask": mask[2], "resets": resets[2]}
    alone, alone_state, alone_every = turned(x[2], state.h[:, 0], **row)
    wanted, wanted_state, wanted_every = rnn(
        x[2:3], (state.h[:, :1],), **row | {"mask": mask[2:3], "resets": resets[2:3]}
    )
    torch.testing.assert_close(alone, wanted[0])
    torch.testing.assert_close(alone_state.h, wanted_state.h[:, 0])
    torch.testing.assert_close(alone_every.h, wanted_every.h[:, 0])


def test_truncation_cuts_gradients_and_nothing_else() -> None:
    rnn = make(cells.SimpleRNN(5))
    x = random(2, 6, 3).requires_grad_()
    whole, _ = rnn(x)
    output, _ = rnn(x, truncate=2)
    torch.testing.assert_close(output, whole)
    (gradient,) = torch.autograd.grad(output[:, -1].sum(), x)
    assert not gradient[:, :4].any()
    assert gradient[:, 4:].all()


def test_noise_is_drawn_in_training_only_and_follows_the_seed() -> None:
    for cell in (cells.ZoneoutLSTM(5, zoneout_h=0.4), cells.GRU(5, recurrent_dropout=0.4, dropout=0.2)):
        rnn = make(cell)
        x = random(4, 6, 3)
        packed = pack_padded_sequence(x, torch.tensor([6, 6, 4, 1]), batch_first=True)
        assert torch.equal(rnn(x)[0], rnn(x)[0])
        rnn.train()
        assert not torch.equal(rnn(x)[0], rnn(x)[0])
        assert not torch.equal(rnn(packed)[0].data, rnn(packed)[0].data)
        torch.manual_seed(5)
        first = rnn(x)[0]
        torch.manual_seed(5)
        assert torch.equal(first, rnn(x)[0])


class Attention(nn.Module):
    """A step that the language cannot express: it attends to its own memory slots."""

    def __init__(self) -> None:
        super().__init__()
        self.state_widths = {"h": 4, "memory": 8}
        self.mix = nn.Linear(3 + 4, 4, dtype=torch.float64)

    def forward(self, x: Tensor, h: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        slots = memory.unflatten(-1, (2, 4))
        weights = torch.softmax(torch.einsum("bsk,bk->bs", slots, h), -1)
        h = torch.tanh(self.mix(torch.cat((x, torch.einsum("bs,bsk->bk", weights, slots)), -1)))
        return h, torch.cat((h, memory[:, :4]), -1)


def test_a_torch_module_as_the_step() -> None:
    torch.manual_seed(0)
    rnn = nabi.nn.RNN(Attention())
    assert [name for name, _ in rnn.named_parameters()] == ["cell.mix.weight", "cell.mix.bias"]
    x = random(4, 6, 3)
    lengths = torch.tensor([6, 0, 2, 5])
    output, final, every = rnn(x, lengths=lengths, return_all_states=True)
    assert final._fields == ("h", "memory")
    assert every.memory.shape == (1, 4, 6, 8)
    state = None
    for t in range(5):
        step_output, state = rnn.step(x[:, t], state)
        valid = lengths > t
        torch.testing.assert_close(output[valid, t], step_output[valid])
        assert not output[~valid, t].any()
    torch.testing.assert_close(final.memory[:, 3], state.memory[:, 3])
    output.sum().backward()
    assert rnn.cell.mix.weight.grad.any()
    _, carried = rnn(x[:, :3])
    torch.testing.assert_close(tuple(rnn(x[:, 3:], carried)[1]), tuple(rnn(x)[1]))
    one_state = nn.GRUCell(3, 4)
    one_state.state_widths = {"h": 4}
    output, state = nabi.nn.RNN(one_state, 3)(torch.zeros(2, 5, 3))
    assert torch.equal(output[:, -1], state.h[0])


def test_the_name_of_a_cell_is_not_taken_for_torchs_input_size() -> None:
    with pytest.raises(ArgumentError, match=r"cell: expected a cell.*'lstm'"):
        nabi.nn.RNN("lstm", 3)


def test_called_like_torch_it_is_torchs_rnn() -> None:
    for rnn in (nabi.nn.RNN(3, 5, 2, "relu"), nabi.nn.RNN(input_size=3, hidden_size=5, num_layers=2)):
        assert type(rnn) is nabi.nn.ElmanRNN
        assert isinstance(rnn, nabi.nn.RNN)
    assert not isinstance(nabi.nn.GRU(3, 5), nabi.nn.RNN)
    assert not isinstance(make(cells.GRU(5)), nabi.nn.ElmanRNN)
    assert type(nabi.nn.RNN(cell=cells.GRU(5), input_size=3)) is nabi.nn.RNN


def test_initial_values() -> None:
    torch.manual_seed(0)
    keras = nabi.nn.RNN(cells.LSTM(16), 8, initializer="keras")
    identity = keras.W_h_l0.T @ keras.W_h_l0
    torch.testing.assert_close(identity, torch.eye(16))
    assert float(keras.W_x_l0.detach().abs().max()) <= (6 / (8 + 64)) ** 0.5
    assert keras.b_l0.view(4, 16).sum(1).tolist() == [0, 16, 0, 0]
    plain = nabi.nn.RNN(cells.LayerNormLSTM(16), 8)
    for name, parameter in plain.named_parameters():
        if name.startswith("g"):
            assert bool((parameter == 1).all())
        else:
            assert 0 < float(parameter.detach().abs().max()) <= 0.25


def test_state_pickles_also_into_another_process(forked: Forked) -> None:
    _, state = make(cells.LSTM(5))(random(2, 4, 3))
    assert torch.equal(pickle.loads(pickle.dumps(state)).c, state.c)
    program = "import pickle, sys; print(type(pickle.load(sys.stdin.buffer)).__name__, end='')"
    empty = pickle.dumps(type(state)(1, 2))
    done = forked.run(program, empty)
    assert done.stdout == b"State_h__c"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"cell": cells.LSTM}, ArgumentError, "cell: expected a cell.*the class LSTM"),
        ({"cell": nn.GRUCell(3, 4)}, ArgumentError, "state_widths"),
        ({"cell": Attention(), "num_layers": 2}, ArgumentError, "num_layers, bidirectional"),
        ({"cell": Attention(), "bidirectional": True}, ArgumentError, "num_layers, bidirectional"),
        ({"cell": cells.LSTM(5)}, ArgumentError, "input_size: expected the width of the input, got None"),
        ({"cell": cells.LSTM(5), "input_size": 0}, ArgumentError, "input_size.*0"),
        ({"cell": cells.LSTM(5), "input_size": 3, "num_layers": 0}, ArgumentError, "num_layers.*got 0"),
        ({"cell": cells.LSTM(5), "input_size": 3, "dropout": 1.5}, ArgumentError, "dropout.*got 1.5"),
        ({"cell": cells.LSTM(5), "input_size": 3, "initializer": "kears"}, UnknownNameError, "'keras'"),
    ],
)
def test_bad_construction(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        nabi.nn.RNN(**arguments)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda r, x: r(x[0, 0]), ShapeError, r"x: expected 2 or 3 dimensions, got shape \(3,\)"),
        (lambda r, x: r(x[..., :2]), ShapeError, r"x: expected 3 features .* \(4, 6, 2\)"),
        (
            lambda r, x: r(x.float()),
            ArgumentError,
            "x and states: expected torch.float64",
        ),
        (lambda r, x: r(x.tolist()), ArgumentError, "x: expected a tensor, got list"),
        (lambda r, x: r(x, (x, x, x)), ArgumentError, r"state: expected 2 tensors \(h, c\), got 3"),
        (
            lambda r, x: r(x, (random(1, 4, 5), random(1, 3, 5))),
            ShapeError,
            r"state.c: .*\(1, 4, 5\).*\(1, 3, 5\)",
        ),
        (lambda r, x: r(x[0], (random(1, 5), random(1, 4))), ShapeError, r"state.c: .*\(1, 5\).*\(1, 4\)"),
        (lambda r, x: r(x, lengths=torch.tensor([7, 1, 1, 1])), ArgumentError, "lengths"),
        (lambda r, x: r(x, lengths=torch.tensor([-1, 1, 1, 1])), ArgumentError, "lengths"),
        (lambda r, x: r(x, lengths=torch.tensor([1, 1])), ShapeError, "lengths"),
        (lambda r, x: r(x, mask=torch.ones(4, 5, dtype=torch.bool)), ShapeError, "mask"),
        (lambda r, x: r(x, resets=torch.ones(4, 5, dtype=torch.bool)), ShapeError, "resets"),
        (lambda r, x: r(x, truncate=0), ArgumentError, "truncate"),
        (
            lambda r, x: r(pack_padded_sequence(x, [6, 1, 1, 1], True), truncate=2),
            ArgumentError,
            "PackedSequence",
        ),
        (lambda r, x: r.step(x), ShapeError, "x: expected 1 or 2 dimensions"),
    ],
)
def test_bad_input(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(make(cells.LSTM(5)), random(4, 6, 3))


def test_no_step_in_two_directions() -> None:
    with pytest.raises(ArgumentError, match="bidirectional"):
        make(cells.LSTM(5), bidirectional=True).step(random(4, 3))


def test_module_lengths_are_checked() -> None:
    rnn = nabi.nn.RNN(Attention(), 3)
    x = random(4, 6, 3)
    for lengths in (torch.tensor([7, 1, 1, 1]), torch.tensor([-1, 1, 1, 1]), torch.tensor([1, 1])):
        with pytest.raises(ArgumentError, match="lengths"):
            rnn(x, lengths=lengths)
    with pytest.raises(ArgumentError, match="lengths and mask"):
        rnn(x, lengths=torch.tensor([1, 1, 1, 1]), mask=torch.ones(4, 6, dtype=torch.bool))
    with pytest.raises(ArgumentError, match="PackedSequence"):
        rnn(pack_padded_sequence(x, [6, 1, 1, 1], True))


def test_repr() -> None:
    rnn = nabi.nn.RNN(cells.GRU(5), 3, 2, bidirectional=True, initializer="keras")
    assert repr(rnn).startswith("RNN(GRU(units=5")
    assert repr(rnn).endswith("input_size=3, num_layers=2, bidirectional=True, initializer='keras')")
