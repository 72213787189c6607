"""Layers with several inputs, and those that arrange them: values, shapes, masks, errors."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from nabi import layers
from nabi.errors import ArgumentError, ShapeError

ELEMENTWISE = {
    "add": (layers.Add, np.add),
    "multiply": (layers.Multiply, np.multiply),
    "maximum": (layers.Maximum, np.maximum),
    "minimum": (layers.Minimum, np.minimum),
    "subtract": (layers.Subtract, np.subtract),
    "average": (layers.Average, lambda a, b: (a + b) / 2),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_elementwise_layers_broadcast_as_numpy_does(name: str, data: Any) -> None:
    kind, expected = ELEMENTWISE[name]
    random = np.random.default_rng(data.draw(st.integers(0, 999)))
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    narrow = [data.draw(st.sampled_from([1, size])) for size in sizes]
    one, other = random.normal(size=(2, *sizes)), random.normal(size=(2, *narrow))
    result = kind()([torch.as_tensor(one), torch.as_tensor(other)])
    np.testing.assert_allclose(result.numpy(), expected(one, other).astype(np.float32), rtol=1e-5, atol=1e-6)
    assert kind().compute_output_shape([one.shape, other.shape]) == tuple(result.shape)
    function = getattr(layers, name)
    assert torch.equal(function([one, other]), result)


def test_fewer_axes_are_put_after_the_batch() -> None:
    whole, row = torch.randn(2, 3, 4), torch.randn(2, 4)
    assert torch.equal(layers.Add()([whole, row]), whole + row[:, None])
    assert layers.Add().compute_output_shape([(None, None, 4), (None, 4)]) == (None, None, 4)


def test_more_than_two() -> None:
    three = [torch.full((1, 2), value) for value in (1.0, 2.0, 6.0)]
    assert layers.Average()(three).tolist() == [[3, 3]]
    assert layers.Multiply()(three).tolist() == [[12, 12]]
    assert layers.Concatenate()(three).tolist() == [[1, 1, 2, 2, 6, 6]]


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_dot_is_an_einsum(data: Any) -> None:
    ranks = data.draw(st.integers(2, 3)), data.draw(st.integers(2, 3))
    letters, others = "bcd"[: ranks[0]], "bef"[: ranks[1]]
    first, second = data.draw(st.integers(1, ranks[0] - 1)), data.draw(st.integers(1, ranks[1] - 1))
    others = others.replace(others[second], letters[first])
    left = letters.replace(letters[first], "") + others[1:].replace(letters[first], "")
    size = dict(zip("bcdef", (2, 3, 4, 5, 6), strict=True))
    one, other = (torch.randn([size[letter] for letter in name]) for name in (letters, others))
    expected = torch.einsum(f"{letters},{others}->{left}", one, other)
    layer = layers.Dot((first, second - ranks[1]))
    result = layer([one, other])
    torch.testing.assert_close(result, expected.reshape(result.shape))
    assert layer.compute_output_shape([tuple(one.shape), tuple(other.shape)]) == tuple(result.shape)


def test_normalised_dot_is_the_cosine() -> None:
    one, other = torch.randn(4, 6), torch.randn(4, 6)
    expected = torch.cosine_similarity(one, other).unsqueeze(1)
    torch.testing.assert_close(layers.dot([one, other], axes=1, normalize=True), expected)


def masked(shape: tuple[int, ...], mask: list[list[bool]] | None) -> torch.Tensor:
    tensor = torch.randn(shape)
    if mask is not None:
        tensor._keras_mask = torch.tensor(mask)  # type: ignore[attr-defined]
    return tensor


def mask_of(tensor: torch.Tensor) -> Any:
    mask = getattr(tensor, "_keras_mask", None)
    return None if mask is None else mask.tolist()


def test_masks() -> None:
    one, other = masked((1, 3, 2), [[True, False, False]]), masked((1, 3, 2), [[False, False, True]])
    plain = masked((1, 3, 2), None)
    assert mask_of(layers.Add()([one, other])) == [[True, False, True]]
    assert mask_of(layers.Add()([one, plain])) is None
    assert mask_of(layers.Concatenate()([one, other])) == [[True, False, True]]
    assert mask_of(layers.Concatenate(1)([one, plain])) == [[True, False, False, True, True, True]]
    assert mask_of(layers.Concatenate()([plain, plain])) is None
    assert mask_of(layers.Dot(2)([one, other])) is None


def test_softmax_with_a_mask() -> None:
    scores = torch.tensor([[[1.0, 2.0, float("nan")], [3.0, 3.0, 3.0]]])
    counts = torch.tensor([[[True, True, False]]])
    shares = layers.Softmax()(scores, mask=counts)
    torch.testing.assert_close(shares[0, 0, :2], torch.tensor([1.0, 2.0]).softmax(0))
    assert shares[0, 1].tolist() == [0.5, 0.5, 0]
    assert mask_of(shares) is None
    assert layers.Softmax()(torch.ones(1, 2), mask=torch.zeros(1, 2, dtype=torch.bool)).tolist() == [[0, 0]]
    steps = masked((1, 3, 2), [[True, True, False]])
    assert torch.equal(layers.Softmax()(steps), steps.softmax(-1))
    assert mask_of(layers.Softmax()(steps)) == [[True, True, False]]
    with pytest.raises(
        ShapeError, match=r"mask: softmax.* expected the axes .*\(1, 3, 2\) or 1, got \(1, 2, 2\)"
    ):
        layers.Softmax()(torch.zeros(1, 3, 2), mask=torch.ones(1, 2, 2))


def test_shapes_of_rearranging_layers() -> None:
    assert layers.Reshape((2, -1)).compute_output_shape((None, 3, 4)) == (None, 2, 6)
    assert layers.Reshape((-1,)).compute_output_shape((None, None, 4)) == (None, None)
    assert layers.Reshape((6, 2))(torch.zeros(5, 3, 4)).shape == (5, 6, 2)
    assert layers.Permute((2, 3, 1)).compute_output_shape((None, 1, 2, None)) == (None, 2, None, 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: layers.Add()([torch.zeros(2, 3), torch.zeros(2, 4)]),
            r"add.*\(2, 3\) and \(2, 4\)",
        ),
        (
            lambda: layers.Add()(torch.zeros(2, 3)),
            r"expected a list of tensors, got one tensor of shape \(2, 3\)",
        ),
        (lambda: layers.Subtract()([torch.zeros(2, 3)] * 3), r"expected a list of 2 tensors, got 3 of them"),
        (
            lambda: layers.Concatenate()([torch.zeros(2, 3, 4), torch.zeros(2, 5, 4)]),
            r"can't merge shapes \(2, 3, 4\) and \(2, 5, 4\)",
        ),
        (
            lambda: layers.Dot(1)([torch.zeros(2, 3), torch.zeros(2, 4)]),
            r"expected axes of one size, got axis 1 of",
        ),
        (lambda: layers.Dot(3)([torch.zeros(2, 3), torch.zeros(2, 3)]), r"can't merge shapes"),
        (lambda: layers.Reshape((5,))(torch.zeros(2, 3)), r"can't reshape 3 elements, shape \(2, 3\)"),
        (lambda: layers.Permute((2, 1))(torch.zeros(2, 3)), r"expected 3 axes for dims=\(2, 1\), got"),
    ],
)
def test_shapes_that_do_not_fit(make: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Concatenate(0), "axis: expected a whole number other than 0, the batch, got 0"),
        (
            lambda: layers.Dot((1, 2, 3)),
            r"axes: expected an axis other than 0, the batch, or a pair, got \(1, 2,",
        ),
        (
            lambda: layers.Reshape((-1, -1)),
            "target_shape: expected sizes without the batch, at most one of them -1",
        ),
        (lambda: layers.Permute((0, 1)), "dims: expected a whole number of at least 1, got 0"),
        (lambda: layers.Softmax("time"), "axis: expected a whole number, got 'time'"),
    ],
)
def test_arguments_that_cannot_be(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()
