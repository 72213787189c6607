"""Data sets that make their batches when asked: order, ends, and what fit, evaluate and predict take."""

from typing import Any

import numpy as np
import pytest

import nabi
from nabi import layers, utils
from nabi.errors import ArgumentError
from nabi.utils import PyDataset


class Batches(PyDataset):
    def __init__(self, count: int, parts: int = 2, **options: Any) -> None:
        super().__init__(**options)
        self.count, self.parts = count, parts
        self.asked: list[int] = []
        self.begun = self.ended = 0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        self.asked.append(index)
        x = np.full((4, 2), index, "float32")
        return (x, x[:, :1], np.ones(4))[: self.parts] if self.parts > 1 else x

    def on_epoch_begin(self) -> None:
        self.begun += 1

    def on_epoch_end(self) -> None:
        self.ended += 1


def model() -> Any:
    made = nabi.Sequential([layers.Dense(1, input_shape=(2,))])
    made.compile("sgd", "mse")
    return made


def test_fit_goes_through_all_batches_in_a_new_order() -> None:
    utils.set_random_seed(1)
    data = Batches(8, 3, workers=2, use_multiprocessing=True)
    model().fit(data, epochs=3, verbose=0)
    epochs = [data.asked[start : start + 8] for start in (0, 8, 16)]
    assert [sorted(one) for one in epochs] == [list(range(8))] * 3
    assert epochs[0] != epochs[1] != list(range(8))
    assert (data.begun, data.ended) == (3, 3)
    data = Batches(8)
    model().fit(data, epochs=2, shuffle=False, verbose=0)
    assert data.asked == list(range(8)) * 2


def test_validation_evaluate_and_predict_go_in_order() -> None:
    trained, held_out = model(), Batches(3)
    history = trained.fit(Batches(4), validation_data=held_out, epochs=2, verbose=0).history
    assert len(history["val_loss"]) == 2
    assert held_out.asked == [0, 1, 2] * 2
    data = Batches(5)
    loss = trained.evaluate(data)
    assert data.asked == [0, 1, 2, 3, 4]
    x = np.concatenate([Batches(5)[index][0] for index in range(5)])
    assert loss == pytest.approx(trained.evaluate(x, x[:, :1], batch_size=4), rel=1e-5)
    for parts in (1, 2, 3):
        np.testing.assert_allclose(trained.predict(Batches(5, parts)), trained.predict(x), rtol=1e-5)


def test_the_same_as_arrays() -> None:
    one, other = model(), model()
    other.set_weights(one.get_weights())
    x = np.concatenate([np.full((4, 2), index, "float32") for index in range(3)])
    one.fit(Batches(3), shuffle=False, epochs=2, verbose=0)
    other.fit(x, x[:, :1], batch_size=4, shuffle=False, epochs=2, verbose=0)
    np.testing.assert_allclose(one.get_weights()[0], other.get_weights()[0], rtol=1e-6)


class Endless(PyDataset):
    def __getitem__(self, index: int) -> Any:
        return np.ones((2, 2), "float32"), np.full((2, 1), index, "float32")


def test_data_without_an_end() -> None:
    history = model().fit(Endless(), steps_per_epoch=3, epochs=2, verbose=0).history
    assert len(history["loss"]) == 2
    assert Endless().num_batches is None
    data = Batches(5)
    model().fit(data, steps_per_epoch=2, epochs=2, shuffle=False, verbose=0)
    assert data.asked == [0, 1, 0, 1]


def test_sequence_is_its_old_name() -> None:
    assert utils.Sequence is PyDataset
    with pytest.raises(NotImplementedError, match="must define __getitem__"):
        PyDataset()[0]
    with pytest.raises(ArgumentError, match="y: expected None, as the Batches given as x returns y"):
        model().fit(Batches(2), np.ones(3), verbose=0)
    with pytest.raises(ArgumentError, match="x: it gave no batch"):
        model().fit(Batches(0), verbose=0)


def test_windows_of_a_series_are_trained() -> None:
    series = np.sin(np.arange(200) / 5).astype("float32")
    windows = utils.timeseries_dataset_from_array(
        series[:-10, None], series[10:], 10, batch_size=16, shuffle=True
    )
    trained = nabi.Sequential([layers.GRU(8, input_shape=(10, 1)), layers.Dense(1)])
    trained.compile(nabi.optimizers.Adam(0.02), "mse")
    losses = trained.fit(windows, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 4
    assert trained.evaluate(windows) < losses[0]
