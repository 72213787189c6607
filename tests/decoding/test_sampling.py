"""What temperature, top-k, top-p and the repetition penalty do to what is drawn."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from nabi.decoding import Greedy, Sampling, decode, stream

from .small_models import Table

PROBABILITIES = torch.tensor([0.5, 0.3, 0.15, 0.05, 0.0], dtype=torch.float64)


def shares(strategy: Sampling, draws: int = 4000) -> list[float]:
    """How often each code is drawn, when every draw has the same probabilities."""
    table = Table(PROBABILITIES.log().expand(1, 5, 5))
    codes = decode(table, table.start(1), [0], strategy, maxlen=draws)[0][0].codes
    counts = Counter(codes)
    return [counts[code] / draws for code in range(5)]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_codes_are_drawn_as_often_as_the_temperature_says(temperature: float) -> None:
    expected = PROBABILITIES ** (1 / temperature)
    # Four standard deviations of 4000 draws.
    assert shares(Sampling(temperature)) == pytest.approx((expected / expected.sum()).tolist(), abs=0.032)


def test_what_has_no_probability_is_never_drawn() -> None:
    assert shares(Sampling(temperature=50.0))[4] == 0


def test_top_k_draws_from_the_k_most_probable() -> None:
    assert shares(Sampling(top_k=2)) == pytest.approx([0.625, 0.375, 0, 0, 0], abs=0.032)
    assert shares(Sampling(top_k=1)) == [1, 0, 0, 0, 0]
    assert shares(Sampling(top_k=50)) == shares(Sampling())


def test_top_p_draws_from_as_few_as_have_that_probability() -> None:
    assert shares(Sampling(top_p=0.79)) == pytest.approx([0.625, 0.375, 0, 0, 0], abs=0.032)
    assert shares(Sampling(top_p=0.82))[2] > 0
    assert shares(Sampling(top_p=0.01)) == [1, 0, 0, 0, 0]


def test_a_temperature_of_zero_is_greedy() -> None:
    table = Table(torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(0)))
    cold = decode(table, table.start(3), [0, 1, 2], Sampling(temperature=0), maxlen=8)
    assert cold == decode(table, table.start(3), [0, 1, 2], Greedy(), maxlen=8)


def test_the_repetition_penalty_makes_what_was_written_rarer() -> None:
    # With a window of one code a chain, whose stationary distribution is known.
    found = shares(Sampling(repetition_penalty=2.0, repetition_window=1))
    assert found[0] == pytest.approx(0.4587, abs=0.025)
    assert found[0] < shares(Sampling())[0] - 0.01
    # After 0 (0.5), which becomes 0.5 / 2 = 0.25, comes 1 (0.3), and so on.
    table = Table(PROBABILITIES.log().expand(1, 5, 5))
    strategy = Sampling(temperature=0, repetition_penalty=2.0, repetition_window=1)
    assert decode(table, table.start(1), [0], strategy, maxlen=4)[0][0].codes == (0, 1, 0, 1)


@settings(max_examples=25)
@given(st.integers(0, 2**31), st.integers(1, 6), st.floats(0.05, 1), st.floats(0.1, 3))
def test_only_what_top_k_and_top_p_leave_is_drawn(seed: int, k: int, p: float, temperature: float) -> None:
    """Whatever the probabilities: of the codes drawn none is less probable than one that was left out."""
    logits = torch.randn(1, 6, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    table = Table(logits)
    found = decode(table, table.start(1), [0], Sampling(temperature, k, p, seed=seed % 1000), maxlen=20)[0][0]
    last = 0
    for code in found.codes:
        weights = (logits[0, last].log_softmax(-1) / temperature).softmax(-1)
        more_probable = weights[weights > weights[code]]
        assert len(more_probable) < k
        kept = weights.topk(k).values.sum()
        assert more_probable.sum() < p * kept + 1e-9
        last = code


def test_a_seed_gives_the_same_again_and_leaves_other_random_numbers_alone() -> None:
    before = torch.random.get_rng_state()
    assert shares(Sampling(seed=1), 50) == shares(Sampling(seed=1), 50)
    assert shares(Sampling(seed=1), 50) != shares(Sampling(seed=2), 50)
    assert torch.equal(before, torch.random.get_rng_state())


def test_rows_go_on_with_their_own_random_numbers_when_others_leave() -> None:
    """More steps than random numbers are drawn at once, and rows that end at different times."""
    table = Table(torch.tensor([[[-4.0, 0.0, 0.0]]], dtype=torch.float64).expand(1, 3, 3))
    batch = decode(table, table.start(6), [1] * 6, Sampling(seed=5), end=0, maxlen=600)
    for row, found in enumerate(batch):
        alone = decode(table, table.start(1), [1], Sampling(seed=5 + row), end=0, maxlen=600)
        assert found[0].codes == alone[0][0].codes
    assert len({len(found[0].codes) for found in batch}) > 1


def test_streaming_keeps_nothing_of_what_it_wrote() -> None:
    """The log probabilities are those of the model, whatever the temperature."""
    table = Table(PROBABILITIES.log().expand(1, 5, 5))
    for number, written in enumerate(stream(table, table.start(1), [0], Sampling(2.0))):
        assert np.exp(written.log_probabilities) == pytest.approx(PROBABILITIES[written.codes])
        if number == 300:
            break
