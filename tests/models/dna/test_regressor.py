"""A regressor of DNA: what it learns, what it refuses, what a file keeps."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from nabi import DNARegressor
from nabi.data import reverse_complement
from nabi.errors import ArgumentError

RANDOM = np.random.default_rng(0)
SMALL: dict[str, Any] = {"units": 4, "convolutions": (4,), "epochs": 2, "batch_size": 16}


def made(count: int, lengths: tuple[int, int] = (20, 40)) -> tuple[list[str], list[float]]:
    """Sequences, and the share of G and C in each with a little noise."""
    found, shares = [], []
    for gc in RANDOM.uniform(0.2, 0.8, count):
        weights = [(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2]
        found.append("".join(RANDOM.choice(list("ACGT"), RANDOM.integers(*lengths), p=weights)))
        share = (found[-1].count("G") + found[-1].count("C")) / len(found[-1])
        shares.append(share + 0.01 * RANDOM.normal())
    return found, shares


@pytest.fixture(scope="module")
def model() -> DNARegressor:
    found = DNARegressor(**SMALL | {"epochs": 6, "learning_rate": 0.03}, with_linear="no")
    found.fit(*made(150), validation=made(30), test=made(60), verbose=0)
    return found


def test_the_network_learns_shares_of_bases(model: DNARegressor) -> None:
    figures = {one.name: one for one in model.report.baselines}
    assert model.report.rows == 60
    assert model.report.rmse < figures["the mean of the training"].rmse / 2
    assert figures["ridge regression on frequencies of bases, pairs and triplets"].rmse < 0.05
    sequences, shares = made(40)
    assert model.evaluate(sequences, shares).rmse == pytest.approx(
        float(np.sqrt(np.mean((model.predict(sequences) - shares) ** 2)))
    )


def test_a_file_keeps_every_bit(model: DNARegressor, tmp_path: Path) -> None:
    model.save(tmp_path / "m.nabi")
    loaded = DNARegressor.load(tmp_path / "m.nabi")
    sequences, _ = made(10)
    assert loaded.predict(sequences).tolist() == model.predict(sequences).tolist()
    assert (loaded.report, loaded.settings, loaded.scale) == (model.report, model.settings, model.scale)
    assert loaded.predict([]).shape == (0,)


@settings(max_examples=30)
@given(st.text("ACGTN", min_size=1, max_size=30))
def test_where_the_strand_means_nothing_both_give_the_same(both: DNARegressor, sequence: str) -> None:
    one, other = both.predict([sequence, reverse_complement(sequence)])
    assert one == pytest.approx(other, rel=1e-5, abs=1e-6)


@pytest.fixture(scope="module")
def both() -> DNARegressor:
    found = DNARegressor(**SMALL, reverse_complement=True, with_linear="no")
    found.fit(*made(30), verbose=0)
    return found


def test_sequences_of_one_length_are_read_place_by_place() -> None:
    sequences, _ = made(300, (12, 13))
    third = [float(one[2] == "G") for one in sequences]
    model = DNARegressor(**SMALL | {"epochs": 1})
    model.fit(sequences, third, verbose=0)
    assert model.share > 0
    assert {one.name: one for one in model.report.baselines}[model.network.linear.name].r2 > 0.8
    with pytest.raises(ArgumentError, match=r"sequences\[0\]: expected 12 bases"):
        model.predict(["ACGT"])


def test_sequences_without_a_number_are_left_out_and_named() -> None:
    sequences, shares = made(30)
    model = DNARegressor(**SMALL)
    model.fit(sequences, [None, *shares[1:-1], float("nan")], verbose=0)
    assert model.notes == ("2 sequences without a number left out: sequences[0], sequences[29]",)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((["ACGT"] * 20, range(19)), {}, "targets: expected one for each of 20 sequences, got 19"),
        ((["ACGT"] * 20, ["a"] * 20), {}, r"target: expected a finite number, sequences\[0\], got 'a'"),
        ((["ACGT"] * 20, [1] * 20), {}, "target: expected different numbers, got 1 in all 20 sequences"),
        ((["ACGT"] * 5, range(5)), {}, "target: expected 10 or more sequences with a number, got 5"),
        ((["ACGJ"] * 20, range(20)), {}, r"sequences\[0\]"),
        (
            (["ACGT"] * 20, range(20)),
            {"validation": (["ACGT"],)},
            r"validation: expected \(sequences, targets\), got ",
        ),
        ((["ACGT", "AC"] * 10, range(20)), {"settings": {"positions": "yes"}}, "sequences of one length"),
    ],
)
def test_what_is_wrong_is_said(arguments: Any, options: Any, message: str) -> None:
    chosen = options.pop("settings", {})
    with pytest.raises(ArgumentError, match=message):
        DNARegressor(**SMALL, **chosen).fit(*arguments, **options, verbose=0)


@pytest.mark.parametrize("reading", [{"sequence": 1}, {"squence": "seq"}, ["seq"], None])
def test_how_a_file_was_read_is_checked_when_a_model_is_loaded(reading: object) -> None:
    model = DNARegressor()
    with pytest.raises(ArgumentError, match="reading: expected texts by arguments of read_dna"):
        model._set_own_state({"length": None, "reading": reading})
    model._set_own_state({"length": None})  # of an earlier version
    assert model.reading == {}
