"""Text regressors: numbers from texts, in Python."""

import math
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nabi
from nabi.callbacks import LambdaCallback
from nabi.errors import ArgumentError, FileFormatError
from nabi.files import read_model_file, write_model_file
from nabi.models import RegressionReport, TextRegressor
from nabi.models._baselines._ridge import RidgeRegression

STARS = {"superb": 9.0, "good": 7.0, "fair": 5.0, "dull": 3.0, "awful": 1.0}
SMALL: dict[str, Any] = {
    "units": 4,
    "embedding_size": 8,
    "epochs": 3,
    "learning_rate": 0.03,
    "batch_size": 16,
}


def rated() -> tuple[list[str], list[float]]:
    """125 texts of three words each, whose number is the mean of what the words mean."""
    words = [(a, b, c) for a in STARS for b in STARS for c in STARS]
    texts = [f"{a} story {b} music {c} cast" for a, b, c in words]
    return texts, [sum(STARS[one] for one in three) / 3 for three in words]


@pytest.fixture(scope="module")
def learnt() -> TextRegressor:
    regressor = TextRegressor(**SMALL)
    regressor.fit(*rated(), verbose=0)
    return regressor


def test_ridge_regression_solves_the_normal_equations_dense_and_sparse() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(30, 5)) * (random.random((30, 5)) < 0.6), random.normal(size=30) * 3 + 1e3
    # The bias is a column that the penalty leaves alone.
    whole = np.c_[x, np.ones(30)]
    right = np.linalg.solve(whole.T @ whole + np.diag([2.0] * 5 + [0.0]), whole.T @ y)
    for features in (torch.from_numpy(x), torch.from_numpy(x).to_sparse_coo()):
        found = RidgeRegression.fit(features, torch.from_numpy(y), penalty=2.0)
        assert np.allclose([*found.weight.tolist(), found.bias], right, atol=1e-4)


def test_numbers_are_learnt_in_their_own_unit_and_better_than_by_the_mean(learnt: TextRegressor) -> None:
    report = learnt.report
    assert report.part == "test rows"
    beside = {one.name: one for one in report.baselines}
    assert list(beside) == [
        "words and pairs of words",
        "the mean of the training",
        "the median of the training",
        "the network alone",
    ]
    assert report.rmse < beside["the mean of the training"].rmse / 2
    assert report.r2 > 0.7
    low, high = learnt.predict(["awful story awful music", "superb story superb music"])
    assert low < 4 < 6 < high
    # An empty text says nothing.
    assert learnt.predict(["", "  "]).tolist() == [learnt.scale.mean] * 2
    assert learnt.predict([]).shape == (0,)


def test_figures_are_those_of_the_estimates(learnt: TextRegressor, tmp_path: Path) -> None:
    texts, numbers = rated()
    report, error = learnt.evaluate(texts, numbers), learnt.predict(texts) - np.array(numbers)
    assert report.mae == pytest.approx(np.abs(error).mean())
    assert report.rmse == pytest.approx(math.sqrt((error**2).mean()))
    assert report.r2 == pytest.approx(1 - (error**2).sum() / ((numbers - np.mean(numbers)) ** 2).sum())
    median = report.baselines[2]
    assert median.mae == pytest.approx(np.abs(np.array(numbers) - learnt.scale.median).mean())
    assert report.picture(tmp_path / "seen.png").stat().st_size > 5000
    assert RegressionReport.from_dict(report.to_dict()) == report


def test_a_file_says_the_same_again_and_a_changed_one_is_refused(
    learnt: TextRegressor, tmp_path: Path
) -> None:
    path = tmp_path / "stars.nabi"
    learnt.save(path)
    again = TextRegressor.load(path)
    texts = ["good story dull music", "unknown words", ""]
    assert np.array_equal(again.predict(texts), learnt.predict(texts))
    assert (again.report, again.settings, again.history) == (learnt.report, learnt.settings, learnt.history)
    for name, value in (("share", 2), ("words", None), ("scale", {"mean": "5"})):
        file = read_model_file(path)
        file.header["regressor"] |= {name: value}
        write_model_file(tmp_path / "changed.nabi", file.kind, file.header, file.tensors)
        with pytest.raises(FileFormatError, match="cannot be made a text regressor again"):
            TextRegressor.load(tmp_path / "changed.nabi")


def test_numbers_far_from_one_are_learnt_as_well(learnt: TextRegressor) -> None:
    texts, numbers = rated()
    prices = [1e9 + 1e6 * one for one in numbers]
    regressor = TextRegressor(**SMALL)
    regressor.fit(texts, prices, verbose=0)
    same = (regressor.predict(texts[:9]) - 1e9) / 1e6
    assert np.allclose(same, learnt.predict(texts[:9]), atol=0.05)


def test_an_interrupted_training_goes_on_to_the_same_weights(learnt: TextRegressor, tmp_path: Path) -> None:
    place, count = tmp_path / "stars.training", 0

    def stop(batch: int, logs: Any) -> None:
        nonlocal count
        count += 1
        if count == 10:  # in the second epoch
            signal.raise_signal(signal.SIGINT)

    stopping = LambdaCallback(on_train_batch_end=stop)
    assert TextRegressor(**SMALL).fit(*rated(), checkpoint=place, verbose=0, callbacks=stopping).interrupted
    with pytest.raises(ArgumentError, match="of a training with other settings"):
        TextRegressor(**{**SMALL, "loss": "huber"}).fit(*rated(), checkpoint=place, verbose=0)
    again = TextRegressor(**SMALL)
    more: list[int] = []
    heard = LambdaCallback(on_train_batch_end=lambda batch, logs: more.append(batch))
    again.fit(*rated(), checkpoint=place, verbose=0, callbacks=heard)
    assert not place.exists()
    assert more[0] > 0  # it went on within the epoch
    assert again.history == learnt.history
    pairs = zip(again.model.state_dict().values(), learnt.model.state_dict().values(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


def test_aspects_and_word_features_left_out() -> None:
    texts, numbers = rated()
    aspects = ["story", "cast"] * 62 + ["story"]
    regressor = TextRegressor(**{**SMALL, "epochs": 1}, word_features=False, loss="huber")
    report = regressor.fit(texts, numbers, aspects, test_share=0, verbose=0)
    assert report.part == "validation rows"
    assert regressor.share == 0
    assert regressor.predict(["good"], ["cast"]).shape == (1,)
    with pytest.raises(ArgumentError, match="the regressor was trained with aspects"):
        regressor.predict(["good"])


def bad_inputs() -> Iterator[tuple[Any, dict[str, Any], str]]:
    texts, numbers = rated()
    for value, shown in ((math.inf, "inf"), ("much", "'much'"), (True, "True"), ("1_000", "'1_000'")):
        yield (
            (texts, [*numbers[:-1], value]),
            {},
            rf"target: expected a finite number, texts\[124\], got {shown}",
        )
    yield (texts, numbers[:-1]), {}, "targets: expected 125, one for each text, got 124"
    yield (texts,), {}, "targets: expected a number for each text, got None"
    yield (texts, [3] * 125), {}, "target: expected different numbers, got 3 in all 125 rows"
    yield (texts[:9], numbers[:9]), {}, "target: expected 10 or more rows with a number, got 9"
    yield (texts, [None] * 125), {}, "all 125 rows are without a number"
    yield (texts, numbers), {"target": "stars"}, "target: expected a table to go with a column"
    yield (texts, numbers), {"validation_share": 0, "test_share": 0}, "one of them must be above 0"


@pytest.mark.parametrize("case", list(bad_inputs()), ids=lambda case: case[2][:40])
def test_what_is_wrong_with_numbers_is_said_before_training(case: Any) -> None:
    given, more, message = case
    with pytest.raises(ArgumentError, match=message):
        TextRegressor(**SMALL).fit(*given, **more, verbose=0)


def test_rows_without_a_number_are_left_out_and_named(capsys: pytest.CaptureFixture[str]) -> None:
    texts, numbers = rated()
    given: list[Any] = [*numbers]
    given[3], given[7] = None, math.nan
    TextRegressor(**{**SMALL, "epochs": 1}).fit(texts, given, verbose=1)
    assert "2 rows without a number are left out: texts[3], texts[7]" in capsys.readouterr().out


def test_a_predictor_adds_the_number_to_rows(learnt: TextRegressor, tmp_path: Path) -> None:
    learnt.save(tmp_path / "stars.nabi")
    found = nabi.predictor(tmp_path / "stars.nabi")({"text": ["good cast", None]})
    assert found["number"][0] == learnt.predict(["good cast"])[0]
    assert found["number"][1] == learnt.scale.mean
