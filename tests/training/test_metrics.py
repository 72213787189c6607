"""Metrics: accuracy by loss and shape, masks, functions, torchmetrics."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from nabi import losses, metrics
from nabi.errors import ArgumentError, ShapeError, UnknownNameError
from nabi.layers import Dense, Masking, TimeDistributed
from nabi.models import Sequential
from nabi.training._metrics._names import resolve
from nabi.training._metrics._running_mean import RunningMean


@pytest.mark.parametrize(
    ("loss", "y", "outputs", "function"),
    [
        ("binary_crossentropy", (4, 1), (4, 1), metrics.binary_accuracy),
        ("binary_crossentropy", (4, 5), (4, 5), metrics.binary_accuracy),
        ("mse", (4,), (4, 1), metrics.binary_accuracy),
        ("categorical_crossentropy", (4, 5), (4, 5), metrics.categorical_accuracy),
        ("categorical_crossentropy", (4, 3, 5), (4, 3, 5), metrics.categorical_accuracy),
        ("sparse_categorical_crossentropy", (4,), (4, 5), metrics.sparse_categorical_accuracy),
        ("sparse_categorical_crossentropy", (4, 1), (4, 5), metrics.sparse_categorical_accuracy),
        ("sparse_categorical_crossentropy", (4, 3), (4, 3, 5), metrics.sparse_categorical_accuracy),
        (torch.nn.CrossEntropyLoss(), (4,), (4, 5), metrics.sparse_categorical_accuracy),
        (torch.nn.BCELoss(), (4, 5), (4, 5), metrics.binary_accuracy),
    ],
)
@pytest.mark.parametrize("name", ["accuracy", "acc"])
def test_accuracy_is_chosen_by_loss_and_shapes(
    loss: object, y: tuple[int, ...], outputs: tuple[int, ...], function: object, name: str
) -> None:
    metric = resolve(name, losses.get(loss), torch.zeros(y), torch.zeros(outputs))
    assert isinstance(metric, metrics.MeanMetric)
    assert (metric.name, metric.fn) == (name, function)


def test_accuracy_of_logits_has_its_threshold_at_zero() -> None:
    loss = losses.get(torch.nn.BCEWithLogitsLoss())
    y, outputs = torch.tensor([[1.0], [0.0], [1.0]]), torch.tensor([[0.2], [-0.1], [-3.0]])
    metric = resolve("accuracy", loss, y, outputs)
    metric.update_state(y, outputs)
    assert metric.result() == pytest.approx(2 / 3)


@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=5))
@settings(max_examples=30, deadline=None)
def test_batches_of_any_sizes_give_the_figure_of_the_whole(sizes: list[int]) -> None:
    labels, outputs = torch.randint(0, 3, (sum(sizes),)), torch.randn(sum(sizes), 3)
    metric = metrics.SparseCategoricalAccuracy()
    start = 0
    for size in sizes:
        metric.update_state(labels[start : start + size], outputs[start : start + size])
        start += size
    assert metric.result() == pytest.approx((outputs.argmax(-1) == labels).double().mean().item())
    metric.reset_state()
    assert metric.result() == 0.0


def test_top_k() -> None:
    outputs = torch.tensor([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]])
    assert metrics.sparse_top_k_categorical_accuracy(torch.tensor([1, 2]), outputs, k=2).tolist() == [
        1.0,
        0.0,
    ]
    assert metrics.top_k_categorical_accuracy(torch.eye(3)[[1, 2]], outputs, k=3).tolist() == [1.0, 1.0]


def test_masked_steps_and_sample_weights() -> None:
    y, outputs = torch.tensor([[1.0, 1.0, 1.0]])[..., None], torch.tensor([[0.9, 0.1, 0.1]])[..., None]
    outputs._keras_mask = torch.tensor([[True, True, False]])  # type: ignore[attr-defined]
    metric = metrics.BinaryAccuracy()
    metric.update_state(y, outputs)
    assert metric.result() == 0.5
    metric.reset_state()
    metric.update_state(y, outputs, torch.tensor([[3.0, 1.0, 7.0]]))
    assert metric.result() == 0.75


def model_of(outputs: int, activation: str) -> Sequential:
    torch.manual_seed(0)
    return Sequential([Dense(outputs, activation, input_dim=2)])


def test_functions_and_names_beside_each_other() -> None:
    def largest_error(y_true: torch.Tensor, y_pred: torch.Tensor) -> torch.Tensor:
        return (y_true - y_pred).abs().max()

    model = model_of(1, "linear")
    model.compile("sgd", "mse", metrics=["mae", largest_error])
    x, y = np.ones((4, 2)), np.arange(4.0)
    figures = model.evaluate(x, y, return_dict=True)
    errors = np.abs(model.predict(x)[:, 0] - y)
    assert list(figures) == model.metrics_names == ["loss", "mae", "largest_error"]
    assert figures["mae"] == pytest.approx(errors.mean(), rel=1e-5)
    assert figures["largest_error"] == pytest.approx(errors.max(), rel=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_objects_of_torchmetrics() -> None:
    from torchmetrics.classification import MulticlassAccuracy

    model = model_of(3, "softmax")
    x, labels = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20) % 3
    for loss, y in (
        ("sparse_categorical_crossentropy", labels),
        ("categorical_crossentropy", np.eye(3)[labels]),
    ):
        model.compile("sgd", loss, metrics=["accuracy", MulticlassAccuracy(3, average="micro")])
        figures = model.evaluate(x, y, batch_size=7, return_dict=True)
        assert list(figures) == ["loss", "accuracy", "multiclass_accuracy"]
        assert figures["accuracy"] == pytest.approx(figures["multiclass_accuracy"])


@pytest.mark.filterwarnings("ignore")
def test_objects_of_torchmetrics_leave_masked_steps_out() -> None:
    from torchmetrics.classification import MulticlassAccuracy

    model = Sequential([Masking(input_shape=(None, 2)), TimeDistributed(Dense(3, "softmax"))])
    model.compile(
        "sgd", "sparse_categorical_crossentropy", metrics=["acc", MulticlassAccuracy(3, average="micro")]
    )
    x, y = np.random.default_rng(0).normal(size=(5, 4, 2)), np.random.default_rng(0).integers(0, 3, (5, 4))
    x[:, 2:] = 0
    _, ours, theirs = model.evaluate(x, y)
    expected = (model.predict(x).argmax(-1) == y)[:, :2].mean()
    assert ours == pytest.approx(expected)
    assert theirs == pytest.approx(expected)


@pytest.mark.filterwarnings("ignore")
def test_precision_and_recall_by_name() -> None:
    model = model_of(1, "sigmoid")
    model.compile("sgd", "binary_crossentropy", metrics=["precision", "recall", "auc"])
    x = np.random.default_rng(0).normal(size=(30, 2))
    y = (x.sum(1) > 0).astype(int)
    history = model.fit(x, y, epochs=2, verbose=0, validation_split=0.2).history
    assert set(history) >= {"precision", "val_recall", "auc"}
    guess = model.predict(x)[:, 0] > 0.5
    assert model.evaluate(x, y)[1] == pytest.approx((guess & (y == 1)).sum() / max(guess.sum(), 1))


def test_what_is_refused() -> None:
    model = model_of(1, "sigmoid")
    with pytest.raises(UnknownNameError, match="metrics: 'acuracy' is not known; did you mean 'accuracy'"):
        model.compile("sgd", "mse", metrics=["acuracy"])
    with pytest.raises(ArgumentError, match=r"metrics: expected a name .*, got 3"):
        model.compile("sgd", "mse", metrics=[3])
    whole = metrics.MeanMetric(lambda y_true, y_pred: (y_true - y_pred).abs().max(), "whole")
    with pytest.raises(ShapeError, match="whole returns one number for a batch"):
        whole.update_state(torch.ones(2, 1), torch.ones(2, 1), torch.ones(2))


class Faraway:
    """A number that is still being computed on an accelerator."""

    device = torch.device("cuda")
    fetched = 0

    def __init__(self, value: float) -> None:
        self.value = value

    def detach(self) -> torch.Tensor:
        return torch.tensor(self.value, dtype=torch.float64)

    def item(self) -> float:
        raise AssertionError("a number was fetched by itself")


@given(values=st.lists(st.floats(-10, 10), min_size=1, max_size=300))
@settings(max_examples=20, deadline=None)
def test_numbers_on_an_accelerator_are_fetched_many_at_a_time(values: list[float]) -> None:
    near, far = RunningMean(), RunningMean()
    for weight, value in enumerate(values, 1):
        near.add(torch.tensor(value, dtype=torch.float64), weight)
        far.add(Faraway(value), weight)  # type: ignore[arg-type]
    assert far.result() == pytest.approx(near.result())
    assert far.last == values[-1]


def test_a_number_that_is_not_finite_is_seen_when_it_is_fetched() -> None:
    mean = RunningMean()
    mean.add(Faraway(float("nan")), 1)  # type: ignore[arg-type]
    assert mean.finite
    mean.result()
    assert not mean.finite
