"""Decoding whole sequences: greedy, sampling and beam search, in batches and one by one."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings, strategies as st

from nabi.decoding import BeamSearch, Decoded, Greedy, Sampling, decode, select_rows, stream
from nabi.errors import ArgumentError, NotFiniteError

from .small_models import Network, Table

END = 0
tables = st.builds(
    lambda seed, steps, size: Table(
        3 * torch.randn(steps, size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    ),
    st.integers(0, 2**31),
    st.integers(1, 4),
    st.integers(2, 4),
)


def every_sequence(table: Table, first: int, maxlen: int) -> list[tuple[tuple[int, ...], float, bool]]:
    """All that can be written: codes, log probability, and whether it ended."""
    size = table.table.shape[-1]
    steps = table.table.log_softmax(-1)
    found = []
    for length in range(1, maxlen + 1):
        for codes in itertools.product(range(size), repeat=length):
            ends = codes[-1] == END
            if END in codes[:-1] or (not ends and length < maxlen):
                continue
            total, last = 0.0, first
            for place, code in enumerate(codes):
                total += float(steps[place % len(steps), last, code])
                last = code
            found.append((codes[:-1] if ends else codes, total, ends))
    return found


@settings(max_examples=40)
@given(tables, st.integers(1, 4), st.sampled_from([0.0, 0.7, 1.0]), st.integers(1, 5))
def test_a_wide_beam_finds_what_exhaustive_search_finds(
    table: Table, maxlen: int, penalty: float, best: int
) -> None:
    everything = every_sequence(table, 1, maxlen)

    def score(one: tuple[tuple[int, ...], float, bool]) -> float:
        codes, total, ended = one
        return total / (len(codes) + ended) ** penalty

    # Those that ended come first, each kind by its score.
    everything.sort(key=lambda one: (not one[2], -score(one)))
    wide = BeamSearch(beam=4**4 + 100, best=best, length_penalty=penalty)
    found = decode(table, table.start(1), [1], wide, end=END, maxlen=maxlen)[0]
    expected = everything[:best]
    assert [one.ended for one in found] == [ended for _, _, ended in expected]
    assert [one.score for one in found] == pytest.approx([score(one) for one in expected])
    assert [one.log_probability for one in found] == pytest.approx([total for _, total, _ in expected])
    # Sequences whose steps are the same in another order are as probable; which is first is left to rounding.
    known = {(codes, ended): total for codes, total, ended in everything}
    assert len({(one.codes, one.ended) for one in found}) == len(found)
    for one in found:
        assert known[one.codes, one.ended] == pytest.approx(one.log_probability)


@settings(max_examples=40)
@given(tables, st.integers(1, 6), st.sampled_from([0.0, 1.0]), st.booleans())
def test_a_beam_of_one_is_greedy(table: Table, maxlen: int, penalty: float, ends: bool) -> None:
    end = END if ends else None
    one = decode(table, table.start(2), [1, 0], BeamSearch(1, length_penalty=penalty), end=end, maxlen=maxlen)
    greedy = decode(table, table.start(2), [1, 0], Greedy(), end=end, maxlen=maxlen)
    assert [row[0].codes for row in one] == [row[0].codes for row in greedy]
    assert [row[0].ended for row in one] == [row[0].ended for row in greedy]
    for row, other in zip(one, greedy, strict=True):
        assert row[0].log_probability == pytest.approx(other[0].log_probability)


@settings(max_examples=30)
@given(tables, st.integers(1, 4), st.integers(2, 5))
def test_a_wider_beam_is_never_worse_where_it_sees_all(table: Table, maxlen: int, beam: int) -> None:
    """A beam that sees everything is at least as good as any other."""
    found = decode(table, table.start(1), [1], BeamSearch(beam), end=END, maxlen=maxlen)[0][0]
    best = decode(table, table.start(1), [1], BeamSearch(400), end=END, maxlen=maxlen)[0][0]
    assert (best.ended, best.score) >= (found.ended, found.score - 1e-9)


STRATEGIES = [Greedy(), Sampling(seed=3), Sampling(0.7, 3, 0.9, 1.3, seed=3), BeamSearch(4, 3, 0.8)]


@pytest.mark.parametrize("strategy", STRATEGIES, ids=["greedy", "sampling", "restricted", "beam"])
@pytest.mark.parametrize("seed", range(3))
def test_a_batch_is_its_rows(strategy: object, seed: int) -> None:
    network, first = Network(seed), [0, 1, 2, 3, 5]
    batch = decode(network, network.start(5), first, strategy, end=4, maxlen=12)  # type: ignore[arg-type]
    assert len({row[0].codes for row in batch}) > 1
    for row, code in enumerate(first):
        own = Sampling(**{**vars(strategy), "seed": 3 + row}) if isinstance(strategy, Sampling) else strategy
        alone = decode(network, network.start(1), [code], own, end=4, maxlen=12)[0]  # type: ignore[arg-type]
        assert [one.codes for one in alone] == [one.codes for one in batch[row]]
        assert [one.score for one in alone] == pytest.approx([one.score for one in batch[row]])


@pytest.mark.parametrize("strategy", STRATEGIES[:3], ids=["greedy", "sampling", "restricted"])
def test_streaming_is_decoding(strategy: Greedy | Sampling) -> None:
    network, first = Network(seed=0), [0, 1, 2]
    rows: dict[int, list[int]] = {row: [] for row in range(3)}
    for written in stream(network, network.start(3), first, strategy, end=4, maxlen=12):
        for row, code in zip(written.rows, written.codes, strict=True):
            rows[row].append(int(code))
    found = decode(network, network.start(3), first, strategy, end=4, maxlen=12)
    assert [tuple(rows[row]) for row in range(3)] == [row[0].codes for row in found]


def test_what_comes_after_the_end_is_neither_computed_nor_shown() -> None:
    """Row 0 counts 1, 2, 3, end; row 1 begins at 2. The end never appears, and a row that ended is gone."""
    counting = torch.full((1, 4, 4), -50.0, dtype=torch.float64)
    for code in range(4):
        counting[0, code, (code + 1) % 4] = 50.0
    table = Table(counting)
    found = decode(table, table.start(2), [0, 2], Greedy(), end=END, maxlen=9)
    assert [row[0].codes for row in found] == [(1, 2, 3), (3,)]
    assert all(row[0].ended for row in found)
    assert table.rows_computed == [2, 2, 1, 1]
    beams = Table(counting)
    decode(beams, beams.start(2), [0, 2], BeamSearch(2), end=END, maxlen=9)
    assert sum(beams.rows_computed) < 2 * 2 * 9
    assert beams.rows_computed[0] == 2


def test_several_codes_can_end_a_sequence() -> None:
    table = Table(torch.zeros(1, 3, 3))
    table.table[0, :, 2] = 9.0
    assert decode(table, table.start(1), [0], end=(1, 2), maxlen=5)[0][0] == Decoded(
        (), pytest.approx(-2 * math.exp(-9), rel=0.01), pytest.approx(-2 * math.exp(-9), rel=0.01), True
    )


def test_an_empty_batch_writes_nothing() -> None:
    network = Network(seed=0)
    for strategy in (Greedy(), Sampling(), BeamSearch(2)):
        assert decode(network, network.start(0), [], strategy, maxlen=3) == []


def test_states_of_any_nesting_are_selected() -> None:
    state = {"a": [torch.arange(3), (torch.arange(6).view(3, 2), None)]}
    found = select_rows(state, torch.tensor([2, 2, 0]))
    assert found["a"][0].tolist() == [2, 2, 0]
    assert found["a"][1][0].tolist() == [[4, 5], [4, 5], [0, 1]]
    with pytest.raises(ArgumentError, match=r"state: expected tensors .* got str"):
        select_rows("abc", torch.tensor([0]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BeamSearch(0), "beam: expected a whole number of at least 1, got 0"),
        (lambda: BeamSearch(2, best=3), "best: expected at most the beam of 2, got 3"),
        (lambda: BeamSearch(2, length_penalty=-1), "length_penalty: expected a number from 0 to 100, got -1"),
        (lambda: Sampling(-0.5), r"temperature: expected a number of at least 0, got -0\.5"),
        (lambda: Sampling(math.nan), "temperature: expected a number of at least 0, got nan"),
        (lambda: Sampling(top_k=0), "top_k: expected a whole number of at least 1 or None, got 0"),
        (lambda: Sampling(top_p=0), "top_p: expected a probability above 0 and at most 1, got 0"),
        (lambda: Sampling(top_p=1.5), r"top_p: expected a probability above 0 and at most 1, got 1\.5"),
        (
            lambda: Sampling(repetition_penalty=0.5),
            r"repetition_penalty: expected a number of at least 1, got 0\.5",
        ),
        (lambda: Sampling(seed=-1), r"seed: expected a whole number from 0 to 2\*\*63 - 1, got -1"),
    ],
)
def test_what_cannot_be_asked_for(make: object, message: str) -> None:
    with pytest.raises(ArgumentError, match=message.replace("(", r"\(")):
        make()  # type: ignore[operator]


def test_wrong_calls_are_refused_before_anything_is_computed() -> None:
    table = Table(torch.zeros(1, 2, 2))
    with pytest.raises(ArgumentError, match="maxlen: expected a whole number of at least 1, got 0"):
        decode(table, table.start(1), [0], maxlen=0)
    with pytest.raises(ArgumentError, match="maxlen: expected a whole number of at least 1, got 0"):
        stream(table, table.start(1), [0], maxlen=0)
    with pytest.raises(ArgumentError, match="a beam search has no result before it ends"):
        stream(table, table.start(1), [0], BeamSearch())  # type: ignore[arg-type]
    with pytest.raises(
        ArgumentError, match=r"first: expected whole numbers \[batch\], got torch.int64 of shape \(1, 1\)"
    ):
        decode(table, table.start(1), torch.zeros(1, 1, dtype=torch.int64), maxlen=2)
    assert table.rows_computed == []


@pytest.mark.parametrize("strategy", [Greedy(), Sampling(), BeamSearch(2)])
def test_probabilities_that_are_no_numbers_are_refused(strategy: Greedy | Sampling | BeamSearch) -> None:
    table = Table(torch.full((1, 2, 2), math.nan))
    with pytest.raises(NotFiniteError, match="in row 0, got nan"):
        decode(table, table.start(1), [0], strategy, maxlen=2)
