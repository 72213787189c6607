"""Steps, losses and predictions that a model defines itself are the ones that are used."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nabi
from nabi import layers
from nabi.errors import ArgumentError, NotFiniteError

X = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
Y = X[:, :1] * 2


class Base(nabi.Model):
    def __init__(self) -> None:
        super().__init__()
        self.readout = layers.Dense(1, kernel_regularizer="l2")
        self.seen: list[Any] = []

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.readout(inputs)


class ByHand(Base):
    """As Keras' guide writes it."""

    def train_step(self, data: Any) -> dict[str, Any]:
        self.seen.append(tuple(part.shape for part in data))
        x, y, *weights = data
        self.zero_grad()
        y_pred = self(x, training=True)
        loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=weights[0] if weights else None)
        loss.backward()
        trained = self.trainable_weights
        self.optimizer.apply([weight.grad for weight in trained], trained)
        return self.compute_metrics(x, y, y_pred, weights[0] if weights else None)


class Through(Base):
    """Around what nabi does."""

    def train_step(self, data: Any) -> dict[str, Any]:
        self.seen.append("train")
        return super().train_step(data) | {"extra": 1}

    def test_step(self, data: Any) -> dict[str, Any]:
        self.seen.append("test")
        assert not torch.is_grad_enabled()
        return super().test_step(data) | {"extra": torch.tensor(2.0)}

    def predict_step(self, data: Any) -> Any:
        self.seen.append("predict")
        (x,) = data
        return super().predict_step(data) * 0 + len(x)


class OwnLoss(Base):
    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        self.seen.append(training)
        return 3 * super().compute_loss(x, y, y_pred, sample_weight, training)


def made(kind: type[Base], **options: Any) -> Base:
    nabi.utils.set_random_seed(1)
    model = kind()
    model.compile(nabi.optimizers.SGD(0.1), "mse", **({"metrics": ["mae"]} | options))
    model.predict_on_batch(X)
    model.seen.clear()
    return model


@pytest.mark.parametrize("weights", [None, np.arange(8.0)])
def test_a_step_by_hand_is_nabis(weights: Any) -> None:
    model, plain = made(ByHand), made(Base)
    options: dict[str, Any] = {
        "sample_weight": weights,
        "epochs": 3,
        "batch_size": 4,
        "shuffle": False,
        "verbose": 0,
    }
    found, expected = model.fit(X, Y, **options).history, plain.fit(X, Y, **options).history
    assert found.keys() == expected.keys() == {"loss", "mae"}
    for name in found:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5)
    for one, other in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    assert model.seen == [((4, 3), (4, 1)) if weights is None else ((4, 3), (4, 1), (4,))] * 6
    np.testing.assert_allclose(model.train_on_batch(X, Y), plain.train_on_batch(X, Y), rtol=1e-5)
    np.testing.assert_allclose(model.evaluate(X, Y), plain.evaluate(X, Y), rtol=1e-5)


def test_steps_around_nabis() -> None:
    model, plain = made(Through), made(Base)
    history = model.fit(X, Y, batch_size=4, verbose=0, shuffle=False, validation_data=(X, Y)).history
    expected = plain.fit(X, Y, batch_size=4, verbose=0, shuffle=False, validation_data=(X, Y)).history
    assert history.pop("extra") == [1]
    assert history.pop("val_extra") == [2]
    assert history.keys() == expected.keys()
    for name in history:
        np.testing.assert_allclose(history[name], expected[name], rtol=1e-6)
    assert model.seen == ["train", "train", "test", "test"]
    model.seen.clear()
    assert model.predict(X, batch_size=3).ravel().tolist() == [3] * 6 + [2] * 2
    assert model.predict_on_batch(X).ravel().tolist() == [8] * 8
    assert model.test_on_batch(X, Y, return_dict=True)["extra"] == 2
    assert model.train_on_batch(X, Y, return_dict=True)["extra"] == 1
    assert model.seen == ["predict"] * 4 + ["test", "train"]


def test_a_loss_of_ones_own() -> None:
    model, plain = made(OwnLoss), made(Base)
    assert model.evaluate(X, Y)[0] == pytest.approx(3 * plain.evaluate(X, Y)[0], rel=1e-6)
    assert model.seen == [False]
    plain.compile(nabi.optimizers.SGD(0.3), "mse")
    model.fit(X, Y, verbose=0)
    plain.fit(X, Y, verbose=0)
    assert model.seen == [False, True]
    for one, other in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.parametrize("kind", [nabi.Sequential, nabi.models.Functional])
def test_sequential_and_functional_models(kind: Any) -> None:
    calls = []

    class Own(kind):  # type: ignore[misc]
        def train_step(self, data: Any) -> Any:
            calls.append("train")
            return super().train_step(data)

        def compute_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> Any:
            calls.append("loss")
            return (y_pred - y).abs().sum()

    entry = layers.Input((3,))
    dense = layers.Dense(1)
    model = Own([layers.Dense(1, input_shape=(3,))]) if kind is nabi.Sequential else Own(entry, dense(entry))
    model.compile("sgd")
    model.fit(X, Y, verbose=0)
    loss = model.evaluate(X, Y)
    assert calls == ["train", "loss", "loss"]
    assert loss == pytest.approx(np.abs(model.predict(X) - Y).sum(), rel=1e-5)


def test_no_loss_and_no_targets(tmp_path: Path) -> None:
    class Autoencoder(Base):
        def train_step(self, data: Any) -> dict[str, Any]:
            (x,) = data
            loss = (self(x) - x).square().mean()
            self.zero_grad()
            loss.backward()
            self.optimizer.apply_gradients((weight.grad, weight) for weight in self.trainable_weights)
            return {"loss": loss}

    model = Autoencoder()
    model.compile("adam")
    history = model.fit(X, epochs=4, batch_size=8, verbose=0).history["loss"]
    assert history[0] > history[-1] > 0
    model.save(tmp_path / "model.nabi")
    again = nabi.models.load_model(tmp_path / "model.nabi", custom_objects={"Autoencoder": Autoencoder})
    again.fit(X, batch_size=8, verbose=0)
    with pytest.raises(ArgumentError, match="loss: expected a name"):
        Base().compile("adam")


def test_a_step_on_one_model_only() -> None:
    """Set on an object, as some do to try something out."""
    model = made(Base)
    model.train_step = lambda data: {"mine": 4}  # type: ignore[method-assign]
    assert model.fit(X, Y, epochs=2, verbose=0).history == {"mine": [4, 4]}


def test_metrics_of_ones_own_start_anew_with_each_epoch() -> None:
    class Count:
        name, value = "count", 0

        def reset_state(self) -> None:
            self.value = 0

    class Counted(Base):
        def __init__(self) -> None:
            super().__init__()
            self.count = Count()

        @property
        def metrics(self) -> list[Any]:
            return [self.count]

        def train_step(self, data: Any) -> dict[str, Any]:
            self.count.value += 1
            return {"count": self.count.value}

    model = Counted()
    model.compile("sgd", "mse")
    assert model.fit(X, Y, epochs=2, batch_size=4, verbose=0).history == {"count": [2, 2]}


@pytest.mark.parametrize(
    ("logs", "message"),
    [
        (None, "train_step: expected it to return a dictionary, got NoneType"),
        ({"loss": "low"}, "train_step: expected one number for 'loss'"),
        ({"loss": torch.ones(2)}, "train_step: expected one number for 'loss'"),
    ],
)
def test_what_a_step_may_not_give(logs: Any, message: str) -> None:
    model = made(Base)
    model.train_step = lambda data: logs  # type: ignore[method-assign]
    with pytest.raises(ArgumentError, match=message):
        model.fit(X, Y, verbose=0)
    model.train_step = lambda data: {"loss": float("nan")}  # type: ignore[method-assign]
    with pytest.raises(NotFiniteError):
        model.fit(X, Y, verbose=0)
