"""CTC: decoders beside an enumeration of all paths, and steps that come one by one."""

import itertools
import math

import numpy as np
import pytest
import torch

from nabi.decoding import CTCBeam, CTCGreedy, ctc_beam_search, ctc_greedy, ctc_steps_needed
from nabi.errors import ArgumentError, ShapeError


def collapsed(path):
    """What a path stands for."""
    return tuple(code for code, _ in itertools.groupby(path) if code)


def by_all_paths(log_probabilities):
    """The probability of every sequence: that of all its paths."""
    steps, width = log_probabilities.shape
    found: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(width), repeat=steps):
        probability = math.exp(sum(log_probabilities[step, code] for step, code in enumerate(path)))
        found[collapsed(path)] = found.get(collapsed(path), 0.0) + probability
    return found


def random_steps(steps, width, seed):
    random = np.random.default_rng(seed)
    return torch.from_numpy(random.normal(0, 1.5, (steps, width))).log_softmax(1)


@pytest.mark.parametrize(("steps", "width", "seed"), [(1, 2, 0), (4, 3, 1), (5, 4, 2), (6, 3, 3), (6, 2, 4)])
def test_a_wide_beam_is_exact(steps, width, seed) -> None:
    log_probabilities = random_steps(steps, width, seed)
    expected = by_all_paths(log_probabilities.numpy())
    count = len(expected)
    found = ctc_beam_search(log_probabilities, beam=10_000, best=count)
    assert {one.labels for one in found} == set(expected)
    assert [one.log_probability for one in found] == sorted(
        (one.log_probability for one in found), reverse=True
    )
    for one in found:
        assert math.exp(one.log_probability) == pytest.approx(expected[one.labels], rel=1e-9)
    assert sum(math.exp(one.log_probability) for one in found) == pytest.approx(1)


def test_the_loss_of_torch_is_the_same_probability() -> None:
    log_probabilities = random_steps(6, 3, 7)
    for one in ctc_beam_search(log_probabilities, beam=10_000, best=8):
        loss = torch.nn.functional.ctc_loss(
            log_probabilities[:, None], torch.tensor([one.labels]), torch.tensor([6]),
            torch.tensor([len(one.labels)]), reduction="sum",
        )  # fmt: skip
        assert -float(loss) == pytest.approx(one.log_probability, rel=1e-6)


def test_greedy_takes_the_best_path() -> None:
    for seed in range(20):
        log_probabilities = random_steps(7, 4, seed)
        assert ctc_greedy(log_probabilities) == list(collapsed(log_probabilities.argmax(1).tolist()))


def test_narrow_beams_find_no_more_than_there_is_and_mostly_the_best() -> None:
    hits = 0
    for seed in range(20):
        log_probabilities = random_steps(6, 3, seed)
        expected = by_all_paths(log_probabilities.numpy())
        one = ctc_beam_search(log_probabilities, beam=4)[0]
        assert math.exp(one.log_probability) <= expected[one.labels] * (1 + 1e-9)
        hits += one.labels == max(expected, key=lambda labels: expected[labels])
    assert hits >= 17


@pytest.mark.parametrize("size", [1, 2, 5])
def test_steps_may_come_in_chunks(size) -> None:
    log_probabilities = random_steps(9, 4, 11)
    greedy, beam, labels = CTCGreedy(), CTCBeam(5), []
    for first in range(0, 9, size):
        labels += greedy.feed(log_probabilities[first : first + size])
        beam.feed(log_probabilities[first : first + size])
    assert labels == ctc_greedy(log_probabilities)
    assert beam.best(3) == ctc_beam_search(log_probabilities, beam=5, best=3)


def test_impossible_labels_and_no_steps() -> None:
    never = torch.tensor([[0.0, -math.inf], [0.0, -math.inf]])
    assert ctc_beam_search(never)[0] == ((), 0.0)
    assert ctc_beam_search(torch.zeros(0, 3))[0] == ((), 0.0)
    assert ctc_greedy(torch.zeros(0, 3)) == []


def test_how_many_steps_are_needed() -> None:
    for labels in ([], [1], [1, 2], [1, 1], [2, 2, 2, 1, 1]):
        needed = ctc_steps_needed(labels)
        paths = (collapsed(path) for path in itertools.product(range(3), repeat=needed))
        assert tuple(labels) in paths
        if needed:
            paths = (collapsed(path) for path in itertools.product(range(3), repeat=needed - 1))
            assert tuple(labels) not in paths


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(ShapeError, match=r"log_probabilities: expected \[steps, labels\] .*, got \(3,\)"):
        ctc_greedy(np.zeros(3))
    with pytest.raises(ShapeError, match=r"the blank and a label at least, got \(3, 1\)"):
        ctc_beam_search(np.zeros((3, 1)))
    with pytest.raises(ArgumentError, match="expected numbers, got NaN"):
        ctc_greedy(np.full((2, 2), np.nan))
    with pytest.raises(ArgumentError, match="beam: expected a whole number of at least 1, got 0"):
        ctc_beam_search(np.zeros((2, 2)), beam=0)
    with pytest.raises(ArgumentError, match="best: expected at most the beam of 2, got 3"):
        ctc_beam_search(np.zeros((2, 2)), beam=2, best=3)
