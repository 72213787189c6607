"""The losses with a gradient in closed form, against the same loss and autograd."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from nabi import losses
from nabi.errors import ArgumentError, ShapeError
from nabi.training._losses import _classes as _losses
from nabi.training._step._losses import Readout, closed_form, gradient_by_autograd, predictions

READOUTS: dict[str, Readout] = {
    "softmax": ("softmax", lambda logits: logits.softmax(-1)),
    "sigmoid": ("sigmoid", lambda logits: logits.sigmoid()),
}
CLOSED: list[tuple[Any, str | None]] = [
    ("categorical_crossentropy", "softmax"),
    (losses.CategoricalCrossentropy(from_logits=True), None),
    (losses.CategoricalCrossentropy(), "softmax"),
    ("binary_crossentropy", "sigmoid"),
    (losses.BinaryCrossentropy(from_logits=True, reduction="mean"), None),
    ("mse", None),
    (losses.MeanSquaredError(), None),
    ("sparse_categorical_crossentropy", "softmax"),
    (losses.SparseCategoricalCrossentropy(from_logits=True), None),
]


def by_autograd(loss: Any, readout: Readout | None, y: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
    leaf = outputs.clone().requires_grad_()
    value = loss(y, predictions(leaf, readout))
    value.backward()
    assert leaf.grad is not None
    return value.detach(), leaf.grad


@pytest.mark.parametrize("number", range(len(CLOSED)))
@settings(max_examples=25, deadline=None)
@given(
    shape=st.lists(st.integers(1, 5), min_size=2, max_size=3),
    seed=st.integers(0, 1000),
    scale=st.sampled_from([1.0, 100.0]),
    native=st.sampled_from(["", "0"]),
)
def test_closed_forms(number: int, shape: list[int], seed: int, scale: float, native: str) -> None:
    """For targets that are no distribution too, and far out where probabilities become 0 and 1."""
    given_loss, name = CLOSED[number]
    loss, readout = _losses.get(given_loss), READOUTS[name] if name else None
    torch.manual_seed(seed)
    outputs, y = scale * torch.randn(shape), torch.rand(shape)
    if "sparse" in str(given_loss).lower():
        y = y.argmax(-1, keepdim=bool(seed % 2))
    function = closed_form(loss, readout)
    assert function is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NABI_NATIVE", native)
        value, gradient = function(y, outputs)
    expected, wanted = by_autograd(loss, readout, y, outputs)
    torch.testing.assert_close(torch.as_tensor(value, dtype=torch.float32).reshape(()), expected)
    torch.testing.assert_close(gradient, wanted)


def test_outputs_may_change_their_shape_and_targets_their_type() -> None:
    function = closed_form(_losses.get("mse"), None)
    assert function is not None
    for shape in ((4, 3), (2, 3), (4, 3)):
        for y in (torch.ones(shape), torch.ones(shape, dtype=torch.int64), torch.ones(shape[::-1]).t()):
            value, gradient = function(y, torch.full(shape, 3.0))
            assert float(value) == 4
            assert torch.allclose(gradient, torch.full(shape, 4 / y.numel()))


def test_labels_of_no_output_are_refused() -> None:
    function = closed_form(_losses.get("sparse_categorical_crossentropy"), READOUTS["softmax"])
    assert function is not None
    with pytest.raises(ArgumentError, match=r"y: expected labels from 0 to 2, .*, got 0 to 3"):
        function(torch.tensor([0, 3]), torch.ones(2, 3))


def test_every_other_loss_goes_through_autograd() -> None:
    class Own(losses.MeanSquaredError):
        def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
            return 2 * super().call(y_true, y_pred)

    for loss, name in (
        ("mae", None),
        ("categorical_crossentropy", None),
        ("categorical_crossentropy", "sigmoid"),
        ("sparse_categorical_crossentropy", "sigmoid"),
        (losses.CategoricalCrossentropy(label_smoothing=0.1), "softmax"),
        (losses.MeanSquaredError(reduction="sum"), None),
        (Own(), None),
        (lambda y_true, y_pred: (y_true - y_pred).square().mean(-1), None),
        (torch.nn.MSELoss(), None),
    ):
        assert closed_form(_losses.get(loss), READOUTS[name] if name else None) is None


def test_autograd_with_weights() -> None:
    torch.manual_seed(0)
    outputs, weights = torch.randn(4, 3), torch.rand(4)
    y = torch.tensor([0, 2, 1, 1])
    loss = _losses.get("sparse_categorical_crossentropy")
    with torch.no_grad():
        value, gradient = gradient_by_autograd(loss, READOUTS["softmax"], y, outputs, weights)
    one_hot = torch.nn.functional.one_hot(y, 3)
    torch.testing.assert_close(gradient, (outputs.softmax(-1) - one_hot) * weights[:, None] / 4)
    assert not value.requires_grad


def test_targets_of_a_wrong_shape_are_refused() -> None:
    for name, readout in (("mse", None), ("categorical_crossentropy", "softmax"), ("bce", "sigmoid")):
        function = closed_form(_losses.get(name), READOUTS[readout] if readout else None)
        assert function is not None
        with pytest.raises(ShapeError, match="y: expected targets of shape"):
            function(torch.ones(4), torch.ones(4, 3))
