"""The drop-ins against torch.nn over a seeded sweep: outputs, final states and all gradients."""

import copy
import itertools
import os
import random
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import nabi.nn

# torch says that it has no oneDNN kernel for projections.
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")

KINDS = ("RNN_TANH", "RNN_RELU", "LSTM", "LSTM_PROJECTED", "GRU")
STEPS, WIDTHS, BATCHES, LAYERS = (1, 15, 63), (1, 7, 33), (1, 5), (1, 2, 3)
INPUTS = {1: 9, 7: 1, 33: 4}
"""For each width: a pair of them is compiled anew, with and without bias, so few of them."""

ALL = os.environ.get("NABI_TEST_AGREEMENT") == "all"
COUNT = 96 if ALL else 36


def make(kind: str, input_size: int, width: int, **arguments: Any) -> tuple[torch.nn.Module, torch.nn.Module]:
    name = kind.split("_")[0]
    if name == "RNN":
        arguments["nonlinearity"] = kind.removeprefix("RNN_").lower()
    if kind == "LSTM_PROJECTED" and width > 1:
        arguments["proj_size"] = (width + 1) // 2
    theirs = getattr(torch.nn, name)(input_size, width, dtype=torch.float64, **arguments)
    ours = getattr(nabi.nn, name)(input_size, width, dtype=torch.float64, **arguments)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def configurations(kind: str) -> list[tuple[Any, ...]]:
    """Draw from the whole grid so that every value of every axis occurs.

    A layer of another width, with another input or without bias is compiled anew, in both data types, and
    that takes most of the time. So only layers of 7 units are stacked in every way, and the width decides
    about the bias; with NABI_TEST_AGREEMENT=all nothing is left out.
    """
    orders = ("padded", "sorted", "unsorted")
    grid = list(itertools.product(STEPS, WIDTHS, BATCHES, LAYERS, (False, True), orders, (False, True)))
    if not ALL:
        grid = [one for one in grid if is_drawn_from(*one)]
    return random.Random(kind).sample(grid, COUNT)


def is_drawn_from(
    steps: int, width: int, batch: int, layers: int, bidirectional: bool, order: str, bias: bool
) -> bool:
    alike = bidirectional is (width == 33) and layers < 3
    return bias is (width != 1) and (width == 7 or alike)


def run(
    module: torch.nn.Module,
    x: Tensor,
    lengths: Tensor | None,
    states: tuple[Tensor, ...] | None,
    order: str,
    dtype: torch.dtype,
    seed: int,
) -> dict[str, Tensor]:
    """Outputs, final states and the gradients of all of them under random cotangents."""
    module = copy.deepcopy(module).to(dtype)
    x = x.to(dtype).requires_grad_()
    initial = None if states is None else tuple(state.to(dtype).requires_grad_() for state in states)
    given: Any = initial if initial is None or len(initial) == 2 else initial[0]
    value: Any = x
    if lengths is not None:
        value = pack_padded_sequence(
            x, lengths, batch_first=module.batch_first, enforce_sorted=order == "sorted"
        )
    output, final = module(value, given)
    if isinstance(output, PackedSequence):
        output = output.data
    finals = final if isinstance(final, tuple) else (final,)
    results = {"output": output} | {f"final {i}": state for i, state in enumerate(finals)}
    generator = torch.Generator().manual_seed(seed)
    cotangents = [
        torch.randn(value.shape, generator=generator, dtype=torch.float64).to(dtype)
        for value in results.values()
    ]
    sources = {"x": x} | {f"initial {i}": state for i, state in enumerate(initial or ())}
    sources |= dict(module.named_parameters())
    gradients = torch.autograd.grad(list(results.values()), list(sources.values()), cotangents)
    results |= {f"gradient of {name}": gradient for name, gradient in zip(sources, gradients, strict=True)}
    return {name: result.detach() for name, result in results.items()}


def worst(found: dict[str, Tensor], truth: dict[str, Tensor]) -> dict[str, float]:
    assert {name: value.shape for name, value in found.items()} == {
        name: value.shape for name, value in truth.items()
    }
    return {
        name: float((found[name].double() - value.double()).abs().max()) if value.numel() else 0.0
        for name, value in truth.items()
    }


def check(kind: str, number: int, configuration: tuple[Any, ...]) -> None:
    """Compare a layer of ours with torch's, in double and in single precision."""
    steps, width, batch, layers, bidirectional, order, bias = configuration
    chance = random.Random(number)
    torch.manual_seed(number)
    theirs, ours = make(
        kind,
        INPUTS[width],
        width,
        num_layers=layers,
        bidirectional=bidirectional,
        batch_first=chance.random() < 0.5,
        bias=bias,
    )
    shape = (batch, steps) if theirs.batch_first else (steps, batch)
    x = torch.randn(*shape, theirs.input_size, dtype=torch.float64)
    lengths = None
    if order != "padded":
        lengths = torch.tensor([chance.randint(1, steps) for _ in range(batch)])
        lengths[chance.randrange(batch)] = steps
        lengths = lengths.sort(descending=True).values if order == "sorted" else lengths
    states = None
    if chance.random() < 0.7:
        count = layers * (2 if bidirectional else 1)
        widths = [theirs.proj_size or width] + ([width] if kind.startswith("LSTM") else [])
        states = tuple(torch.randn(count, batch, each, dtype=torch.float64) for each in widths)
    arguments = (x, lengths, states, order)
    truth = run(theirs, *arguments, torch.float64, number)
    for name, error in worst(run(ours, *arguments, torch.float64, number), truth).items():
        limit = 1e-10 * max(1.0, float(truth[name].abs().max()))
        assert error <= limit, (configuration, name, error)
    own_error = worst(run(theirs, *arguments, torch.float32, number), truth)
    for name, error in worst(run(ours, *arguments, torch.float32, number), truth).items():
        # A gradient can be a small rest of large summands: it is measured by the largest of them all.
        alike = [value for other, value in truth.items() if other.split()[0] == name.split()[0]]
        largest = max(float(value.abs().max()) for value in alike)
        limit = max(3e-6 * largest, 2 * own_error[name])
        assert error <= limit, (configuration, name, error, limit)


@pytest.mark.rotates(days=5)
@pytest.mark.parametrize("kind", KINDS)
def test_agreement_over_the_sweep(kind: str) -> None:
    for number, configuration in enumerate(configurations(kind)):
        check(kind, number, configuration)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_lstm_and_gru_agree_on_every_day(kind: str) -> None:
    """In one layer of 7 units, which is compiled once."""
    sweep = enumerate(configurations(kind))
    some = [(number, one) for number, one in sweep if (one[1], one[3]) == (7, 1)]
    for number, configuration in some[:6]:
        check(kind, number, configuration)


def test_the_sweep_covers_every_value() -> None:
    for kind in KINDS:
        columns = list(zip(*configurations(kind), strict=True))
        for column, values in zip(columns, (STEPS, WIDTHS, BATCHES, LAYERS), strict=False):
            assert set(column) == set(values)
        assert set(columns[4]) == {False, True}
        assert set(columns[5]) == {"padded", "sorted", "unsorted"}
        assert set(columns[6]) == {False, True}


@pytest.mark.rotates(days=3)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_lengths_and_masks_are_a_packed_sequence(kind: str, bidirectional: bool) -> None:
    torch.manual_seed(0)
    theirs, ours = make(kind, 3, 7, num_layers=2, bidirectional=bidirectional, batch_first=True)
    x, lengths = torch.randn(4, 6, 3, dtype=torch.float64), torch.tensor([2, 6, 1, 4])
    packed, final = theirs(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
    expected = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0]
    mask = torch.arange(6) < lengths[:, None]
    x = torch.where(mask[..., None], x, torch.nan)
    for arguments in ({"lengths": lengths}, {"mask": mask}):
        x.requires_grad_()
        output, ours_final = ours(x, **arguments)
        torch.testing.assert_close(output, expected)
        torch.testing.assert_close(ours_final, final)
        gradients = torch.autograd.grad(output.sum(), [x, *ours.parameters()])
        assert all(bool(gradient.isfinite().all()) for gradient in gradients)
        assert not gradients[0][~mask].any()


@pytest.mark.parametrize("kind", KINDS)
def test_unbatched_input_with_lengths(kind: str) -> None:
    torch.manual_seed(0)
    _, ours = make(kind, 3, 5)
    x = torch.randn(6, 3, dtype=torch.float64)
    short, state = ours(x[:4])
    output, final = ours(x, lengths=4)
    assert torch.equal(output, ours(x, lengths=torch.tensor([4]))[0])
    torch.testing.assert_close(output[:4], short)
    assert not output[4:].any()
    torch.testing.assert_close(final, state)
    masked, final = ours(x, mask=torch.arange(6) < 4)
    torch.testing.assert_close(masked, output)
    torch.testing.assert_close(final, state)


@pytest.mark.parametrize("kind", ["RNNCell", "GRUCell", "LSTMCell"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("given", [False, True])
def test_cells(kind: str, bias: bool, batched: bool, given: bool) -> None:
    torch.manual_seed(0)
    theirs = getattr(torch.nn, kind)(3, 7, bias=bias, dtype=torch.float64)
    ours = getattr(nabi.nn, kind)(3, 7, bias=bias, dtype=torch.float64)
    assert isinstance(ours, type(theirs))
    ours.load_state_dict(theirs.state_dict())
    batch = (5,) if batched else ()
    results = []
    x = torch.randn(*batch, 3, dtype=torch.float64, requires_grad=True)
    h, c = (torch.randn(*batch, 7, dtype=torch.float64, requires_grad=True) for _ in range(2))
    cotangents = torch.randn(2, *batch, 7, dtype=torch.float64)
    for module in (theirs, ours):
        state: Any = None if not given else ((h, c) if kind == "LSTMCell" else h)
        new = module(x, state)
        new = new if isinstance(new, tuple) else (new,)
        sources = [x, *module.parameters(), *([] if state is None else [h, c][: len(new)])]
        results.append([*new, *torch.autograd.grad(new, sources, list(cotangents[: len(new)]))])
    for left, right in zip(*results, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-10, atol=1e-10)


def test_attributes_are_torchs() -> None:
    for kind in KINDS:
        theirs, ours = make(kind, 3, 7, num_layers=2, bidirectional=True, batch_first=True, dropout=0.25)
        for name in (
            "mode",
            "input_size",
            "hidden_size",
            "num_layers",
            "bias",
            "batch_first",
            "dropout",
            "bidirectional",
            "proj_size",
        ):
            assert getattr(ours, name) == getattr(theirs, name)
        assert repr(ours) == repr(theirs)
        assert [name for name, _ in ours.named_parameters()] == [
            name for name, _ in theirs.named_parameters()
        ]
        for ours_layer, theirs_layer in zip(ours.all_weights, theirs.all_weights, strict=True):
            for left, right in zip(ours_layer, theirs_layer, strict=True):
                assert torch.equal(left, right)
        assert ours.flatten_parameters() is None
        before = ours.weight_hh_l1_reverse.detach().clone()
        ours.reset_parameters()
        bound = 7**-0.5
        assert not torch.equal(before, ours.weight_hh_l1_reverse)
        assert all(bool((weight.abs() <= bound).all()) for weight in ours.parameters())


def test_the_same_seed_gives_the_same_weights_as_torch() -> None:
    for kind in ("RNN", "LSTM", "GRU", "LSTMCell"):
        torch.manual_seed(3)
        theirs = getattr(torch.nn, kind)(3, 5)
        torch.manual_seed(3)
        ours = getattr(nabi.nn, kind)(3, 5)
        for left, right in zip(theirs.parameters(), ours.parameters(), strict=True):
            assert torch.equal(left, right)


def test_dropout_between_layers() -> None:
    torch.manual_seed(0)
    ours = nabi.nn.GRU(3, 8, num_layers=2, dropout=1.0)
    x = torch.randn(6, 4, 3)
    above = nabi.nn.GRU(8, 8)
    above.load_state_dict(
        {name.replace("l1", "l0"): p for name, p in ours.state_dict().items() if "l1" in name}
    )
    torch.testing.assert_close(ours(x)[0], above(torch.zeros(6, 4, 8))[0])
    ours.dropout = 0.5
    assert not torch.equal(ours(x)[0], ours(x)[0])
    torch.manual_seed(1)
    first = ours(x)[0]
    torch.manual_seed(1)
    assert torch.equal(first, ours(x)[0])
    ours.eval()
    assert torch.equal(ours(x)[0], ours(x)[0])


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_bfloat16(kind: str) -> None:
    torch.manual_seed(0)
    theirs = getattr(torch.nn, kind)(3, 7, dtype=torch.bfloat16)
    ours = getattr(nabi.nn, kind)(3, 7, dtype=torch.bfloat16)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(9, 4, 3, dtype=torch.bfloat16)
    output, _ = ours(x)
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output, theirs(x)[0], rtol=0.05, atol=0.02)
    output.float().sum().backward()
    assert ours.weight_hh_l0.grad.dtype == torch.bfloat16


def test_more_than_torch_takes() -> None:
    lstm = nabi.nn.LSTM(3, 5, bidirectional=True)
    output, (h, _) = lstm(torch.zeros(0, 2, 3))
    assert output.shape == (0, 2, 10)
    assert not h.any()
    output, _ = lstm(torch.zeros(4, 0, 3))
    assert output.shape == (4, 0, 10)
    state = (torch.randn(2, 3, 5), torch.randn(2, 3, 5))
    _, final = lstm(torch.randn(4, 3, 3), state, lengths=torch.tensor([0, 4, 2]))
    assert torch.equal(final[0][:, 0], state[0][:, 0])
    assert torch.equal(final[1][:, 0], state[1][:, 0])
    x = torch.randn(6, 1, 3)
    resets = torch.tensor([[False, False, False, True, False, False]])
    one_way = nabi.nn.GRU(3, 5)
    torch.testing.assert_close(one_way(x, resets=resets)[0][3:], one_way(x[3:])[0])
