"""What stands at a masked step, or one without weight, must not matter: to loss, gradient or metric."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import nabi
from nabi import layers, losses
from nabi.training._losses import _classes as _losses
from nabi.training._metrics import _names as _metrics

B, T, D = 3, 4, 3
MASK = torch.tensor([[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]], dtype=torch.bool)


class Squared(losses.Loss):
    """A loss of somebody's own."""

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return (y_true - y_pred).square().mean(-1)


def own_function(y_true: Tensor, y_pred: Tensor) -> Tensor:
    return (y_true.log() - y_pred.log()).abs().mean(-1)


def whole_batch(y_true: Tensor, y_pred: Tensor) -> Tensor:
    return (y_true - y_pred).square().mean()


LOSSES: dict[str, Any] = {name: name for name in _losses._CLASSES}
LOSSES |= {
    "own class": Squared(), "own function": own_function, "torch mse": torch.nn.MSELoss(reduction="none"),
    "torch classes": torch.nn.CrossEntropyLoss(reduction="none"),
    "torch bce": torch.nn.BCELoss(reduction="none"),
    "smoothed": losses.CategoricalCrossentropy(label_smoothing=0.1),
    "logits": losses.SparseCategoricalCrossentropy(from_logits=True),
}  # fmt: skip
BAD: dict[str, list[float]] = {"labels": [-1.0, -100.0, 99.0], "numbers": [np.nan, np.inf, -1e30]}


def sparse(name: str) -> bool:
    return name in ("SparseCategoricalCrossentropy", "logits", "torch classes")


def targets(name: str) -> Tensor:
    rng = np.random.default_rng(1)
    if sparse(name):
        return torch.tensor(rng.integers(0, D, (B, T)))
    made = torch.tensor(rng.uniform(0.1, 0.9, (B, T, D)), dtype=torch.float32)
    return made / made.sum(-1, keepdim=True)


def outputs() -> Tensor:
    rng = np.random.default_rng(2)
    return torch.tensor(rng.uniform(0.1, 0.9, (B, T, D)), dtype=torch.float32).softmax(-1)


def loss_and_gradient(
    name: str, y: Tensor, p: Tensor, mask: Tensor | None, weights: Tensor | None
) -> tuple[Tensor, Tensor]:
    leaf = p.clone().requires_grad_()
    made = leaf * 1
    if mask is not None:
        made._keras_mask = mask  # type: ignore[attr-defined]
    value = _losses.get(LOSSES[name])(y, made, weights)
    (gradient,) = torch.autograd.grad(value, leaf)
    return value.detach(), gradient


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("by", ["mask", "weights", "both", "rows"])
def test_a_loss_does_not_see_what_is_left_out(name: str, by: str) -> None:
    mask = MASK if by in ("mask", "both") else None
    counts = MASK
    weights = None
    if by == "weights":
        weights = MASK * 2.0
    elif by == "both":  # NaN is no weight, but a masked step has none
        weights = torch.where(MASK, 0.5, torch.nan)
    elif by == "rows":
        weights = torch.tensor([1.0, 0.0, 2.0])
        counts = torch.tensor([[True] * T, [False] * T, [True] * T])
    y, p = targets(name), outputs()
    clean = None if weights is None else torch.nan_to_num(weights)
    expected = loss_and_gradient(name, y, p, mask, clean)
    assert torch.isfinite(expected[0])
    for bad in BAD["labels" if sparse(name) else "numbers"]:
        where = counts if y.ndim == 2 else counts.unsqueeze(-1)
        spoiled = torch.where(where, y, torch.tensor(bad).to(y.dtype))
        value, gradient = loss_and_gradient(name, spoiled, p, mask, weights)
        assert torch.equal(value, expected[0])
        assert torch.equal(gradient, expected[1])
        assert not gradient[~counts].any()
    # And neither does the output there matter.
    spoiled_p = torch.where(counts.unsqueeze(-1), p, torch.nan)
    value, gradient = loss_and_gradient(name, y, spoiled_p, mask, weights)
    assert torch.equal(value, expected[0])
    assert torch.equal(gradient, expected[1])


@pytest.mark.parametrize("name", LOSSES)
def test_where_nothing_counts_the_loss_is_zero(name: str) -> None:
    y = torch.full_like(targets(name), -1 if sparse(name) else torch.nan)
    value, gradient = loss_and_gradient(name, y, outputs(), torch.zeros_like(MASK), None)
    assert value == 0
    assert not gradient.any()


def test_a_loss_of_the_whole_batch_sees_everything() -> None:
    p = outputs()
    p._keras_mask = MASK  # type: ignore[attr-defined]
    y = targets("mse")
    assert torch.equal(_losses.get(whole_batch)(y, p), whole_batch(y, p))


@pytest.mark.parametrize("name", [*_metrics.FUNCTIONS])
def test_a_metric_does_not_see_what_is_left_out(name: str) -> None:
    of_labels = name.startswith("sparse")
    y, p = targets("logits" if of_labels else "mse"), outputs()
    p._keras_mask = MASK  # type: ignore[attr-defined]
    found = []
    for bad in (0.0, -1.0, -100.0) if of_labels else (0.5, np.nan, np.inf):
        where = MASK if y.ndim == 2 else MASK.unsqueeze(-1)
        metric = _metrics.MeanMetric(_metrics.FUNCTIONS[name])
        spoiled = torch.where(where, y, torch.tensor(bad).to(y.dtype))
        metric.update_state(spoiled, p)
        unmasked = _metrics.MeanMetric(_metrics.FUNCTIONS[name])
        unmasked.update_state(spoiled, p.clone(), MASK.float())
        found += [metric.result(), unmasked.result()]
    assert np.isfinite(found[0])
    assert found == pytest.approx([found[0]] * 6, rel=1e-6)


@pytest.mark.parametrize("label", [-1, -100, 3, 2**40])
@pytest.mark.parametrize(
    "loss", ["sparse_categorical_crossentropy", losses.SparseCategoricalCrossentropy(True)]
)
def test_a_label_of_no_output_is_an_error_where_it_counts(label: int, loss: Any) -> None:
    p = outputs()
    y = targets("logits")
    y[0, 0] = label
    with pytest.raises(nabi.errors.ArgumentError, match=r"y: expected labels from 0 to 2"):
        _losses.get(loss)(y, p)


def masked_model(kind: str = "mask", last: Any = None, loss: Any = "mse") -> nabi.Sequential:
    nabi.utils.set_random_seed(0)
    first = [layers.Masking()] if kind == "mask" else []
    model = nabi.Sequential(
        [
            *first,
            layers.GRU(3, return_sequences=True, **({} if first else {"input_shape": (T, 2)})),
            last or layers.Dense(D),
        ]
    )
    model.compile("rmsprop", loss, metrics=["mae"])
    return model


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(B, T, 2)).astype("float32")
    return x, rng.normal(size=(B, T, D)).astype("float32")


@pytest.mark.parametrize("kind", ["mask", "weights", "rows"])
def test_training_and_evaluating_with_nan_at_steps_left_out(kind: str) -> None:
    """Masks train through autograd, weights without it."""
    x, y = data()
    counts = MASK.numpy()
    weights: Any = None
    if kind == "mask":
        x[~counts] = 0
    elif kind == "weights":
        weights = counts.astype("float32")
    else:
        weights, counts = np.array([1.0, 0.0, 2.0]), np.array([[1], [0], [1]]).repeat(T, 1).astype(bool)
    figures = []
    for bad in (0.0, np.nan):
        model = masked_model(kind)
        spoiled = np.where(counts[..., None], y, bad).astype("float32")
        model.compile("rmsprop", "mse")
        found = [model.train_on_batch(x, spoiled, weights) for _ in range(3)]
        history = model.fit(x, spoiled, sample_weight=weights, epochs=2, verbose=0, shuffle=False)
        found += [*history.history["loss"], model.evaluate(x, spoiled, sample_weight=weights)]
        assert not any(np.isnan(weight).any() for weight in model.get_weights())
        figures.append(found)
    np.testing.assert_allclose(figures[0], figures[1], rtol=1e-6)


def test_labels_of_minus_one_are_padding_under_a_mask() -> None:
    x, _ = data()
    x[~MASK.numpy()] = 0
    labels = np.random.default_rng(3).integers(0, D, (B, T))
    losses_found = []
    for padding in (0, -1):
        y = np.where(MASK.numpy(), labels, padding)
        nabi.utils.set_random_seed(0)
        model = nabi.Sequential(
            [layers.Masking(), layers.LSTM(3, return_sequences=True), layers.Dense(D, activation="softmax")]
        )
        model.compile(
            "adam", "sparse_categorical_crossentropy", metrics=["accuracy", "sparse_categorical_crossentropy"]
        )
        losses_found.append([model.train_on_batch(x, y) for _ in range(3)] + [model.evaluate(x, y)])
    np.testing.assert_allclose(losses_found[0], losses_found[1], rtol=1e-6)


def test_several_outputs() -> None:
    x, y = data()
    x[~MASK.numpy()] = 0
    figures = []
    for bad in (0.0, np.nan):
        nabi.utils.set_random_seed(0)
        entry = layers.Input((T, 2))
        hidden = layers.GRU(3, return_sequences=True)(layers.Masking()(entry))
        model = nabi.Model(entry, [layers.Dense(D, name="a")(hidden), layers.Dense(D, name="b")(hidden)])
        model.compile("sgd", {"a": "mse", "b": "mae"}, metrics={"a": ["mae"]})
        spoiled = np.where(MASK.numpy()[..., None], y, bad).astype("float32")
        weights = {"a": np.array([1.0, 0.0, 1.0]), "b": np.array([1.0, 1.0, 1.0])}
        found = [model.train_on_batch(x, [spoiled, spoiled], sample_weight=weights) for _ in range(2)]
        figures.append([*found, model.evaluate(x, [spoiled, spoiled])])
    np.testing.assert_allclose(figures[0], figures[1], rtol=1e-6)
