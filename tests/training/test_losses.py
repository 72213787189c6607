"""Losses: against Keras, torch, and by hand; shapes, masks and weights."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch.nn import functional as F

from nabi import losses
from nabi.errors import ArgumentError, ShapeError, UnknownNameError
from nabi.layers import Activation, Dense, Masking
from nabi.models import Sequential
from nabi.training._losses._classes import TorchLoss, serialize

REGRESSION = [
    "mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error", "huber", "log_cosh", "poisson", "hinge",
]  # fmt: skip
PROBABILITIES = ["categorical_crossentropy", "binary_crossentropy", "kl_divergence"]


def keras_losses(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras").losses


@pytest.mark.parametrize("name", REGRESSION)
@pytest.mark.filterwarnings("ignore")
def test_regression_losses_are_those_of_keras(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = getattr(keras_losses(monkeypatch), name)
    y_true, y_pred = torch.rand(5, 4, 3), torch.rand(5, 4, 3)
    torch.testing.assert_close(getattr(losses, name)(y_true, y_pred), theirs(y_true, y_pred))


@pytest.mark.parametrize("name", PROBABILITIES)
@pytest.mark.filterwarnings("ignore")
def test_losses_of_probabilities_are_those_of_keras(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = getattr(keras_losses(monkeypatch), name)
    y_true = F.one_hot(torch.randint(0, 3, (5, 4)), 3).double()
    y_pred = torch.rand(5, 4, 3, dtype=torch.float64).softmax(-1)
    torch.testing.assert_close(getattr(losses, name)(y_true, y_pred), theirs(y_true, y_pred))


def test_sparse_is_categorical_with_labels() -> None:
    labels, logits = torch.randint(0, 3, (5, 4)), torch.randn(5, 4, 3)
    expected = losses.categorical_crossentropy(F.one_hot(labels, 3).float(), logits.softmax(-1))
    for shaped in (labels, labels[..., None], labels.float()):
        torch.testing.assert_close(
            losses.sparse_categorical_crossentropy(shaped, logits.softmax(-1)), expected
        )
    from_logits = losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    torch.testing.assert_close(from_logits, expected)


@given(samples=st.integers(1, 6), missing=st.booleans())
@settings(max_examples=20, deadline=None)
def test_targets_are_never_broadcast(samples: int, missing: bool) -> None:
    """(n,) against (n, 1) and (n, 1) against (n,) give n differences, not n × n."""
    y_true, y_pred = torch.randn(samples), torch.randn(samples)
    expected = ((y_true - y_pred) ** 2).mean()
    pair = (y_true, y_pred[:, None]) if missing else (y_true[:, None], y_pred)
    torch.testing.assert_close(losses.MeanSquaredError()(*pair), expected)
    torch.testing.assert_close(losses.get(torch.nn.MSELoss())(*pair), expected)


@pytest.mark.parametrize("loss", ["mse", "mae", torch.nn.MSELoss(), torch.nn.functional.mse_loss])
def test_targets_of_another_shape_are_refused(loss: Any) -> None:
    with pytest.raises(ShapeError, match=r"y: expected targets of shape \(5, 3\) .*, got shape \(5, 1\)"):
        losses.get(loss)(torch.ones(5, 1), torch.ones(5, 3))


def test_labels_for_a_loss_of_columns_get_a_hint() -> None:
    with pytest.raises(ShapeError, match="sparse_categorical_crossentropy"):
        losses.get("categorical_crossentropy")(torch.ones(5), torch.ones(5, 3))
    with pytest.raises(ShapeError, match=r"y: expected labels of shape \(5,\), .*, got shape \(5, 3\)"):
        losses.get("sparse_categorical_crossentropy")(torch.ones(5, 3), torch.ones(5, 3))


def test_labels_out_of_range_are_named() -> None:
    with pytest.raises(ArgumentError, match=r"y: expected labels from 0 to 2, .*, got 0 to 3"):
        losses.sparse_categorical_crossentropy(torch.tensor([0, 3]), torch.ones(2, 3) / 3)


def test_the_loss_over_time_is_the_mean_over_all_steps() -> None:
    y_true, y_pred = torch.randn(4, 5, 1), torch.randn(4, 5, 1)
    torch.testing.assert_close(losses.get("mse")(y_true, y_pred), ((y_true - y_pred) ** 2).mean())


def test_masked_steps_count_nothing_and_may_hold_nan() -> None:
    y_true, y_pred = torch.randn(2, 3, 1), torch.randn(2, 3, 1)
    mask = torch.tensor([[True, True, False], [True, False, False]])
    expected = ((y_true - y_pred) ** 2)[mask].mean()
    y_pred[~mask] = math.nan
    y_pred.requires_grad_()
    marked = y_pred * 1.0
    marked._keras_mask = mask  # type: ignore[attr-defined]
    loss = losses.get("mse")(y_true, marked)
    torch.testing.assert_close(loss, expected)


@given(batch=st.integers(1, 4), time=st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_sample_weights_multiply(batch: int, time: int) -> None:
    y_true, y_pred = torch.randn(batch, time, 2), torch.randn(batch, time, 2)
    values = ((y_true - y_pred) ** 2).mean(-1)
    for weights in (torch.rand(batch), torch.rand(batch, 1), torch.rand(batch, time)):
        shaped = weights if weights.ndim == 2 else weights[:, None]
        if weights.shape == (batch, 1) and time > 1:
            with pytest.raises(ShapeError, match="sample_weight: expected shape"):
                losses.get("mse")(y_true, y_pred, weights)
            continue
        torch.testing.assert_close(losses.get("mse")(y_true, y_pred, weights), (values * shaped).mean())


def test_torch_losses_keep_their_own_order_of_arguments() -> None:
    logits, labels = torch.randn(4, 5, 3), torch.randint(0, 3, (4, 5))
    expected = F.cross_entropy(logits.reshape(-1, 3), labels.reshape(-1))
    for loss in (torch.nn.CrossEntropyLoss(), torch.nn.CrossEntropyLoss, F.cross_entropy):
        torch.testing.assert_close(losses.get(loss)(labels, logits), expected)
    torch.testing.assert_close(losses.get(F.cross_entropy)(labels[..., None], logits), expected)
    one_hot = F.one_hot(labels, 3)
    torch.testing.assert_close(losses.get(torch.nn.CrossEntropyLoss())(one_hot, logits), expected)


def test_torch_losses_that_reduce_cannot_be_weighed() -> None:
    y = torch.randn(4, 1)
    with pytest.raises(ArgumentError, match=r"sample_weight: the torch loss MSELoss .* reduction='none'"):
        losses.get(torch.nn.MSELoss())(y, y, torch.ones(4))
    weighed = losses.get(torch.nn.MSELoss(reduction="none"))(y + 1, y, torch.tensor([0.0, 0, 0, 2])[:, None])
    torch.testing.assert_close(weighed, torch.tensor(0.5))


def test_functions_of_the_user() -> None:
    def whole_batch(y_true: torch.Tensor, y_pred: torch.Tensor) -> torch.Tensor:
        return (y_true - y_pred).abs().max()

    loss = losses.get(whole_batch)
    assert loss.name == "whole_batch"
    assert loss(torch.zeros(3, 1), torch.tensor([[1.0], [-2.0], [0.0]])).item() == 2.0
    with pytest.raises(ArgumentError, match="'whole_batch', which returns one number per batch"):
        loss(torch.zeros(3, 1), torch.zeros(3, 1), torch.ones(3))


def test_unknown_names_and_options() -> None:
    with pytest.raises(UnknownNameError, match="loss: 'mze' is not known; did you mean 'mse'"):
        losses.get("mze")
    with pytest.raises(ArgumentError, match=r"loss: expected a name .*, got 3"):
        losses.get(3)
    with pytest.raises(UnknownNameError, match="huber, argument: 'detla' is not known; did you mean 'delta'"):
        losses.Huber(detla=1.0)
    with pytest.raises(ArgumentError, match=r"reduction: expected one of .*, got 'average'"):
        losses.MeanSquaredError(reduction="average")


@pytest.mark.parametrize(
    "loss",
    ["mse", losses.Huber(delta=0.5), losses.CategoricalCrossentropy(label_smoothing=0.1), torch.nn.L1Loss(),
     torch.nn.MSELoss(reduction="sum"), F.l1_loss],
)  # fmt: skip
def test_a_loss_comes_back_from_its_description(loss: Any) -> None:
    made = losses.get(loss)
    again = losses.get(serialize(made))
    y_true, y_pred = torch.rand(5, 3), torch.rand(5, 3).softmax(-1)
    assert torch.equal(again(y_true, y_pred), made(y_true, y_pred))


def test_a_torch_loss_with_settings_is_not_taken_for_a_plain_one() -> None:
    for loss in (torch.nn.CrossEntropyLoss(label_smoothing=0.1), torch.nn.HuberLoss(delta=2.0)):
        with pytest.raises(ArgumentError, match="custom_objects"):
            losses.get(serialize(losses.get(loss)))
    weighed = torch.nn.CrossEntropyLoss(weight=torch.ones(3))
    again = losses.get(serialize(losses.get(weighed)), {"CrossEntropyLoss": weighed})
    assert isinstance(again, TorchLoss)
    assert again.loss is weighed


# Logits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("activation", "loss", "y"),
    [
        ("softmax", "categorical_crossentropy", np.eye(3)[[0, 2, 1, 1]]),
        ("softmax", "sparse_categorical_crossentropy", np.array([0, 2, 1, 1])),
        ("sigmoid", "binary_crossentropy", np.array([[0, 1, 1], [1, 1, 0], [0, 0, 0], [1, 0, 1]])),
    ],
)
@pytest.mark.parametrize("apart", [False, True], ids=["Dense", "Activation"])
def test_the_loss_of_a_model_that_ends_in_probabilities(
    activation: str, loss: str, y: np.ndarray, apart: bool
) -> None:
    """Through the logits: the same number and gradients as the definition, and finite where that is not."""
    last = [Dense(3), Activation(activation)] if apart else [Dense(3, activation)]
    model = Sequential([Dense(3, input_dim=2), *last])
    model.compile("sgd", loss)
    x, targets = torch.randn(4, 2), torch.as_tensor(y)
    outputs = model.training_outputs(x, model.compiled.logits_of)
    assert torch.equal(outputs, model(x))
    through_logits = model.loss(targets, outputs)
    defined = model.loss(targets, model(x))
    torch.testing.assert_close(through_logits, defined)
    weights = model.trainable_weights
    for a, b in zip(
        torch.autograd.grad(through_logits, weights), torch.autograd.grad(defined, weights), strict=True
    ):
        torch.testing.assert_close(a, b)
    model.layers[0].set_weights([np.full((2, 3), 1e4, np.float32), np.zeros(3, np.float32)])
    value = model.loss(targets, model.training_outputs(100 * torch.ones(4, 2), model.compiled.logits_of))
    gradients = torch.autograd.grad(value, weights)
    assert torch.isfinite(value)
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_logits_are_not_taken_where_they_would_be_wrong() -> None:
    model = Sequential([Dense(3, "softmax", input_dim=2)])
    model.compile("sgd", "binary_crossentropy")
    x, y = torch.randn(4, 2), torch.rand(4, 3)
    outputs = model.training_outputs(x, model.compiled.logits_of)
    torch.testing.assert_close(model.loss(y, outputs), F.binary_cross_entropy(model(x), y))
    model.compile("sgd", losses.CategoricalCrossentropy(from_logits=True))
    assert model.compiled.logits_of is None


def test_a_mask_reaches_the_loss_through_the_logits() -> None:
    x = torch.randn(2, 3, 2)
    x[0, 1:] = 0
    x[1, 2:] = 0
    model = Sequential([Masking(input_shape=(None, 2)), Dense(4, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    labels = torch.randint(0, 4, (2, 3))
    loss = model.loss(labels, model.training_outputs(x, model.compiled.logits_of))
    valid = torch.tensor([[True, False, False], [True, True, False]])
    expected = F.nll_loss(model(x)[valid].log(), labels[valid])
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("reduction", ["none", None])
def test_a_model_is_not_trained_with_a_loss_that_stays_several_numbers(reduction: str | None) -> None:
    several = losses.MeanSquaredError(reduction=reduction)
    assert several(torch.ones(3, 2), torch.zeros(3, 2)).shape == (3,)
    with pytest.raises(ArgumentError, match="loss: expected one number per batch, got mean_squared_error"):
        Sequential([Dense(1, input_shape=(2,))]).compile("sgd", several)


def test_options_of_a_loss_may_come_in_keras_order() -> None:
    y, p = torch.tensor([[0.0, 3.0]]), torch.tensor([[0.0, 1.0]])
    assert losses.Huber(0.5)(y, p) == losses.Huber(delta=0.5)(y, p) != losses.Huber()(y, p)
    assert losses.BinaryCrossentropy(True, 0.1).options == {"from_logits": True, "label_smoothing": 0.1}
    assert losses.MeanSquaredError("sum").reduction == "sum"
    with pytest.raises(ArgumentError, match="Huber: expected delta, reduction, name at most, got 4"):
        losses.Huber(1.0, "sum", "huber", 2)
    with pytest.raises(ArgumentError, match="delta: given twice to Huber"):
        losses.Huber(1.0, delta=1.0)
