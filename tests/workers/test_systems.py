"""Ready systems on several workers: a language model with carried states, a forecaster, a tagger."""

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nabi import layers, models
from nabi.data import Frequency, Series, SeriesSet
from nabi.training import TimeLimit
from tests.models.tagger.corpus import sentences
from tests.workers.processes import on_workers

TEXT = "the quick brown fox jumps over the lazy dog, and so on. " * 60


def _language(path: Path | None = None, **how: Any) -> Any:
    model = models.LanguageModel("lstm", units=12, epochs=2, batch_size=5, window=16, dropout=0.2)
    model.fit([TEXT], verbose=0, checkpoint=path, **how)
    return model.history, [weight.detach().numpy() for weight in model.network.parameters()]


def _forecaster() -> Any:
    steps = np.arange(120)
    random = np.random.default_rng(0)
    nothing = np.zeros((len(steps), 0))
    series = [
        Series(
            str(number),
            datetime(2001, 1, 1),
            np.sin(steps / 6 + number) + 0.1 * random.normal(size=len(steps)),
            nothing,
            nothing,
            np.zeros(0),
        )
        for number in range(3)
    ]
    model = models.Forecaster("gru", units=8, epochs=2, batch_size=5)
    model.fit(SeriesSet(tuple(series), Frequency("day"), (), (), ()), horizon=3, verbose=0)
    return model.history, [weight.detach().numpy() for weight in model.network.parameters()]


def _tagger() -> Any:
    tokens, tags = sentences(9)
    model = models.Tagger(units=8, embedding_size=8, characters=4, epochs=3, batch_size=4)
    model.fit(tokens, tags, validation_share=0, verbose=0)
    return model.history, [weight.detach().numpy() for weight in model.network.parameters()]


def _are_close(found: Any, expected: Any) -> None:
    for name, values in expected[0].items():
        np.testing.assert_allclose(found[0][name], values, rtol=1e-4, err_msg=name)
    for one, other in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.rotates(days=3)
def test_a_language_model_divides_its_streams() -> None:
    expected = _language()
    for found in on_workers(2, _language):
        _are_close(found, expected)


@pytest.mark.rotates(days=3)
def test_a_forecaster_divides_its_rows() -> None:
    expected = _forecaster()
    for found in on_workers(2, _forecaster):
        _are_close(found, expected)


def test_a_batch_with_rows_for_one_worker_leaves_all_with_the_same_random_numbers() -> None:
    expected = _tagger()
    for found in on_workers(2, _tagger):
        _are_close(found, expected)


def _limited(kind: str) -> Any:
    """Train with more epochs than there is time for; the second worker's clock says that the time is up."""
    if torch.distributed.get_rank():
        TimeLimit.left = property(lambda self: -1.0)  # type: ignore[assignment, method-assign]
    begun = time.perf_counter()
    if kind == "language model":
        model = models.LanguageModel("lstm", units=12, epochs=20_000, batch_size=4, window=16)
        model.fit([TEXT], verbose=0, minutes=0.005)
        weights, history = model.network.parameters(), model.history
    else:
        network = models.Sequential([layers.LSTM(4, input_shape=(5, 1)), layers.Dense(1)])
        network.compile("adam", "mse")
        x = np.linspace(-1, 1, 40, dtype=np.float32).reshape(8, 5, 1)
        history = network.fit(x, x.sum(1), batch_size=4, epochs=20_000, verbose=0, minutes=0.005).history
        weights = network.parameters()
    return history, [weight.detach().numpy() for weight in weights], time.perf_counter() - begun


@pytest.mark.rotates(days=2)
@pytest.mark.parametrize("kind", ["language model", "model of layers"])
def test_a_time_ends_all_workers_at_the_same_step_by_the_clock_of_the_first(kind: str) -> None:
    first, second = on_workers(2, _limited, kind)
    assert len(first[0]["loss"]) == len(second[0]["loss"]) < 20_000
    for one, other in zip(first[1], second[1], strict=True):
        np.testing.assert_array_equal(one, other)
    assert first[2] > 0.15, "the second worker's clock ended it"
