"""The network: padding changes nothing, neighbours change nothing, and every way of making one works."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings as run, strategies as st

from nabi.cells import GRU2014, LSTM
from nabi.models._sequences._fronts import SeriesFront
from nabi.models._sequences._network import ANSWERS, OF_SEQUENCE, SequenceNetwork, TimeConvolution, pool
from nabi.models._sequences._settings import SequenceSettings

COMBINATIONS = st.fixed_dictionaries(
    {
        "answer": st.sampled_from(ANSWERS),
        "bidirectional": st.booleans(),
        "convolutions": st.sampled_from([None, (4,), (4, 5)]),
        "kernel": st.integers(1, 4),
        "stride": st.integers(1, 3),
        "layers": st.integers(1, 2),
    }
)


def network(answer: str, cell=None, **told) -> SequenceNetwork:
    torch.manual_seed(0)
    return SequenceNetwork(SeriesFront(2, True), cell or GRU2014(3), SequenceSettings(**told), 3, answer)


@run(max_examples=40)
@given(COMBINATIONS, st.lists(st.integers(1, 9), min_size=2, max_size=4), st.integers(0, 5))
def test_a_batch_gives_what_each_alone_gives(said, lengths, padding) -> None:
    made = network(**said)
    random = np.random.default_rng(0)
    rows = [random.normal(size=(length, 2)).astype(np.float32) for length in lengths]
    rows[0][0, 1] = np.nan
    batch = np.full((len(rows), max(lengths) + padding, 2), 77, np.float32)
    for line, row in zip(batch, rows, strict=True):
        line[: len(row)] = row
    with torch.no_grad():
        together, counts = made(torch.from_numpy(batch), torch.tensor(lengths))
        for number, row in enumerate(rows):
            alone, count = made(torch.from_numpy(row[None]), torch.tensor([len(row)]))
            assert count[0] == counts[number] == made.frames(torch.tensor([len(row)]))[0]
            found = together[number] if said["answer"] in OF_SEQUENCE else together[number, : count[0]]
            torch.testing.assert_close(found, alone[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("causal", [True, False])
def test_a_convolution_reads_the_steps_it_should(causal: bool) -> None:
    convolution = TimeConvolution(1, 1, 3, 2, causal)
    with torch.no_grad():
        convolution.convolution.weight.copy_(torch.tensor([[[1.0, 10.0, 100.0]]]))
        convolution.convolution.bias.zero_()
    convolution.normalization = torch.nn.Identity()
    x = torch.arange(1.0, 7.0)[None, :, None]
    found, lengths = convolution(x, torch.tensor([5]))
    wanted = [100, 321, 543] if causal else [210, 432, 54]
    assert found[0, : lengths[0], 0].tolist() == wanted


def test_summaries_are_of_the_steps_that_count() -> None:
    x = torch.tensor([[[1.0], [4.0], [99.0]], [[-5.0], [-2.0], [-2.0]]])
    found = pool(torch.tensor([[4.0], [-2.0]]), x, torch.tensor([2, 3]))
    assert found.tolist() == [[4.0, 2.5, 4.0], [-2.0, -3.0, -2.0]]


def test_dropout_is_there_in_training_only_and_comes_from_the_generator() -> None:
    made = network("class", LSTM(3), dropout=0.5)
    x, lengths = torch.randn(4, 6, 2), torch.tensor([6, 3, 2, 1])
    torch.testing.assert_close(made(x, lengths)[0], made(x, lengths)[0], rtol=0, atol=0)
    drawn = [made(x, lengths, torch.Generator().manual_seed(seed))[0] for seed in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_a_front_standardizes_what_was_observed() -> None:
    front = SeriesFront(3, True)
    nan = np.nan
    front.learn([np.array([[1.0, nan, 7.0], [3.0, nan, 7.0]]), np.array([[nan, nan, 7.0]])])
    found, _ = front(torch.tensor([[[3.0, nan, 8.0], [nan, 2.0, 7.0]]]), torch.tensor([2]))
    assert found[0].tolist() == [[1, 0, 1, 1, 0, 1], [0, 2, 0, 0, 1, 1]]
