"""Calls that torch refuses are refused with the same exception and the same words."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence

import nabi.nn

LAYERS, CELLS = ("RNN", "LSTM", "GRU"), ("RNNCell", "LSTMCell", "GRUCell")

CONSTRUCTIONS: dict[str, tuple[tuple[str, ...], Callable[[Any], Any]]] = {
    "dropout above 1": (LAYERS, lambda cls: cls(3, 5, dropout=1.5)),
    "dropout true": (LAYERS, lambda cls: cls(3, 5, dropout=True)),
    "no layers": (LAYERS, lambda cls: cls(3, 5, 0)),
    "no units": (LAYERS, lambda cls: cls(3, 0)),
    "projection": (("RNN", "GRU"), lambda cls: cls(3, 5, proj_size=2)),
    "wide projection": (("LSTM",), lambda cls: cls(3, 5, proj_size=5)),
    "negative projection": (("LSTM",), lambda cls: cls(3, 5, proj_size=-1)),
    "nonlinearity": (("RNN",), lambda cls: cls(3, 5, nonlinearity="sine")),
    "bias": (LAYERS, lambda cls: cls(3, 5, bias=1)),
    "batch_first": (LAYERS, lambda cls: cls(3, 5, batch_first="yes")),
}


def state(name: str, *shape: int) -> Any:
    value = torch.zeros(*shape)
    return (value, value) if name.startswith("LSTM") else value


def packed(width: int = 3) -> Any:
    return pack_padded_sequence(torch.zeros(4, 2, width), [4, 2])


# torch.nn.LSTM does not check packed input; it fails somewhere inside.
FORWARDS: dict[str, tuple[tuple[str, ...], Callable[[str, Any], Any]]] = {
    "1-D": (LAYERS, lambda name, m: m(torch.zeros(3))),
    "4-D": (LAYERS, lambda name, m: m(torch.zeros(2, 2, 2, 3))),
    "width": (LAYERS, lambda name, m: m(torch.zeros(4, 2, 7))),
    "width unbatched": (LAYERS, lambda name, m: m(torch.zeros(4, 7))),
    "width packed": (("RNN", "GRU"), lambda name, m: m(packed(7))),
    "dtype": (LAYERS, lambda name, m: m(torch.zeros(4, 2, 3).double())),
    "state layers": (LAYERS, lambda name, m: m(torch.zeros(4, 2, 3), state(name, 1, 2, 5))),
    "state batch": (LAYERS, lambda name, m: m(torch.zeros(4, 2, 3), state(name, 2, 3, 5))),
    "state width": (LAYERS, lambda name, m: m(torch.zeros(4, 2, 3), state(name, 2, 2, 6))),
    "state unbatched": (LAYERS, lambda name, m: m(torch.zeros(4, 2, 3), state(name, 2, 5))),
    "state batched": (LAYERS, lambda name, m: m(torch.zeros(4, 3), state(name, 2, 1, 5))),
    "state packed": (("RNN", "GRU"), lambda name, m: m(packed(), state(name, 2, 3, 5))),
    "cell width": (
        ("LSTM",),
        lambda name, m: m(torch.zeros(4, 2, 3), (torch.zeros(2, 2, 5), torch.zeros(2, 2, 4))),
    ),
    "cell batch": (CELLS, lambda name, m: m(torch.zeros(2, 3), state(name, 3, 5))),
    "cell input": (CELLS, lambda name, m: m(torch.zeros(2, 4))),
    "cell state": (CELLS, lambda name, m: m(torch.zeros(2, 3), state(name, 2, 6))),
    "cell state 3-D": (CELLS, lambda name, m: m(torch.zeros(2, 3), state(name, 1, 2, 5))),
    "cell 3-D": (CELLS, lambda name, m: m(torch.zeros(1, 2, 3))),
    "cell unbatched": (CELLS, lambda name, m: m(torch.zeros(3), state(name, 2, 5))),
}


def refusal(call: Callable[[], Any]) -> tuple[type[Exception], str]:
    with pytest.raises(Exception) as caught:
        call()
    return type(caught.value), str(caught.value)


@pytest.mark.parametrize(("case", "name"), [(c, n) for c, (names, _) in CONSTRUCTIONS.items() for n in names])
def test_construction(case: str, name: str) -> None:
    make = CONSTRUCTIONS[case][1]
    theirs = refusal(lambda: make(getattr(torch.nn, name)))
    assert refusal(lambda: make(getattr(nabi.nn, name))) == theirs


@pytest.mark.parametrize(("case", "name"), [(c, n) for c, (names, _) in FORWARDS.items() for n in names])
def test_forward(case: str, name: str) -> None:
    call = FORWARDS[case][1]
    layers = () if name.endswith("Cell") else (2,)
    theirs = refusal(lambda: call(name, getattr(torch.nn, name)(3, 5, *layers)))
    assert refusal(lambda: call(name, getattr(nabi.nn, name)(3, 5, *layers))) == theirs


@pytest.mark.parametrize("name", CELLS)
def test_cells_refuse_another_dtype(name: str) -> None:
    # torch fails inside a matrix product; the words are ours, the type is torch's.
    for module in (getattr(torch.nn, name)(3, 5), getattr(nabi.nn, name)(3, 5)):
        with pytest.raises(RuntimeError, match=r"dtype"):
            module(torch.zeros(2, 3).double())


@pytest.mark.parametrize("name", LAYERS)
def test_dropout_on_one_layer_warns_as_torch(name: str) -> None:
    for package in (torch.nn, nabi.nn):
        with pytest.warns(UserWarning, match="dropout option adds dropout after all but last"):
            getattr(package, name)(3, 5, dropout=0.5)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"lengths": torch.tensor([5, 1])}, "lengths"),
        ({"lengths": torch.tensor([1])}, "lengths"),
        ({"mask": torch.ones(4, 2, dtype=torch.bool)}, "mask"),
        ({"resets": torch.ones(4, 2, dtype=torch.bool)}, "resets"),
    ],
)
def test_what_torch_does_not_have(name: str, arguments: dict[str, Tensor], words: str) -> None:
    module = getattr(nabi.nn, name)(3, 5)
    with pytest.raises(nabi.errors.ArgumentError, match=words):
        module(torch.zeros(4, 2, 3), **arguments)
    with pytest.raises(nabi.errors.ArgumentError, match="PackedSequence"):
        module(packed(), **arguments)
