"""The gradient against the distance: it vanishes in a plain RNN, and the gates cure it."""

import pytest
import torch

from nabi import cells
from nabi.errors import ArgumentError, OutputError, UnknownNameError
from nabi.explain import gradient_distance, gradient_distance_picture
from tests.cells.sampling import cells_of_today


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_plain_rnn_forgets_faster_than_an_lstm(seed):
    norms = gradient_distance(["simple-rnn", "lstm"], steps=60, seed=seed)
    kept = {name: float(norm[59] / norm[0]) for name, norm in norms.items()}
    assert kept["SimpleRNN"] < 1e-5
    assert kept["SimpleRNN"] < 1e-2 * kept["LSTM"]


@pytest.mark.parametrize("name", ["lstm", "gru", "gru-2014", "coupled-lstm"])
def test_gates_that_are_set_to_remember_do(name):
    (closed,) = gradient_distance([name], steps=80).values()
    (opened,) = gradient_distance([name], steps=80, remember=80).values()
    assert closed[79] / closed[0] < 1e-4
    assert opened[79] / opened[0] > 1e-2


def test_the_lectures_gru_opens_the_other_way_round():
    cell = cells.GRULecture(32, use_bias=True)
    (opened,) = gradient_distance([cell], steps=80, remember=80).values()
    assert opened[79] / opened[0] > 1e-2


def test_a_plain_rnn_has_no_gates_to_set():
    (one,) = gradient_distance(["simple-rnn"], steps=20).values()
    (two,) = gradient_distance(["simple-rnn"], steps=20, remember=20).values()
    assert torch.equal(one, two)


def test_it_is_the_gradient():
    """A cell without activation: the norm at distance k is that of (W_h^T)^k v times W_x."""
    cell = cells.SimpleRNN(4, activation="linear")
    (norms,) = gradient_distance([cell], steps=12, inputs=3, batch=5).values()
    # The recurrent weights are orthogonal: what comes back through them keeps its length.
    assert norms.max() / norms.min() < 10
    assert norms.shape == (12,)
    assert norms.dtype == torch.float64


@pytest.mark.parametrize("name", [n for n in cells_of_today() if not cells.get(n).needed_inputs()])
def test_every_cell(name):
    (norms,) = gradient_distance([name], steps=5, units=6).values()
    assert bool((norms > 0).all())


def test_the_same_for_the_same_seed_and_torchs_generator_left_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    one, two = (gradient_distance(["gru"], steps=10, seed=3)["GRU"] for _ in range(2))
    assert torch.equal(one, two)
    assert not torch.equal(one, gradient_distance(["gru"], steps=10, seed=4)["GRU"])
    assert torch.equal(torch.rand(3), expected)


def test_cells_of_one_class_are_told_apart():
    norms = gradient_distance([cells.SimpleRNN(4), cells.SimpleRNN(4, activation="relu")], steps=5)
    assert len(norms) == 2
    with pytest.raises(ArgumentError, match="different cells"):
        gradient_distance(["gru", "gru"], steps=5)


@pytest.mark.parametrize("argument", ["steps", "units", "inputs", "batch"])
@pytest.mark.parametrize("value", [0, -3, 2.5, True])
def test_sizes(argument, value):
    bound = "" if value in (2.5, True) else " of at least 1"
    with pytest.raises(ArgumentError, match=f"^{argument}: expected a whole number{bound}, got {value}$"):
        gradient_distance(**{argument: value})


def test_other_errors():
    with pytest.raises(ArgumentError, match="remember"):
        gradient_distance(remember=2)
    with pytest.raises(UnknownNameError, match="did you mean 'lstm'"):
        gradient_distance(["lstn"])


def test_picture(tmp_path):
    text = gradient_distance_picture(tmp_path / "gradient.svg", steps=20).read_text()
    for label in ["SimpleRNN", "LSTM", "GRU", "gates set to remember 20 steps"]:
        assert f"<!-- {label} -->" in text
    with pytest.raises(ArgumentError, match=r"\.svg or \.png"):
        gradient_distance_picture(tmp_path / "gradient.txt", steps=20)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="path: cannot write"):
        gradient_distance_picture(tmp_path / "file" / "a.png", steps=5)
