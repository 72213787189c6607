"""Layers over pictures, against windows that are cut out one by one."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

import nabi
from nabi import layers
from nabi.errors import ArgumentError, ShapeError

sizes = st.tuples(st.integers(1, 3), st.integers(1, 3))


def places(size: int, reach: int, stride: int, padding: str) -> tuple[list[int], int]:
    """Where windows begin along an axis, as Keras has it, and how many places lie before the picture."""
    if padding == "valid":
        return list(range(0, size - reach + 1, stride)), 0
    count = math.ceil(size / stride)
    missing = max((count - 1) * stride + reach - size, 0)
    return [number * stride - missing // 2 for number in range(count)], missing // 2


def windows(x, size, strides, padding, dilation=(1, 1)):
    """Each window over `[H, W, C]`, with None for what is not in the picture: by row, by column."""
    reach = [(one - 1) * every + 1 for one, every in zip(size, dilation, strict=True)]
    rows, _ = places(x.shape[0], reach[0], strides[0], padding)
    columns, _ = places(x.shape[1], reach[1], strides[1], padding)

    def cut(row, column):
        return [
            [
                x[r, c] if 0 <= r < x.shape[0] and 0 <= c < x.shape[1] else None
                for c in range(column, column + reach[1], dilation[1])
            ]
            for r in range(row, row + reach[0], dilation[0])
        ]

    return [[cut(row, column) for column in columns] for row in rows]


def picture(height: int, width: int, channels: int) -> torch.Tensor:
    return torch.randn(1, height, width, channels, dtype=torch.float64)


@settings(max_examples=60, deadline=None)
@given(
    sizes,
    st.sampled_from(
        [((1, 1), (1, 1)), ((2, 1), (1, 1)), ((3, 2), (1, 1)), ((1, 1), (2, 1)), ((1, 1), (2, 3))]
    ),
    st.sampled_from(["valid", "same"]),
    st.sampled_from([1, 2]),
)
def test_a_convolution_is_a_sum_over_each_window(size, steps, padding, groups) -> None:
    (strides, dilation), (height, width) = steps, (7, 8)
    x = picture(height, width, 4)
    layer = layers.Conv2D(
        6, size, strides, padding, dilation_rate=dilation, groups=groups, activation="tanh",
        bias_initializer="random_normal", dtype="float64",
    )  # fmt: skip
    output = layer(x)
    assert layer.kernel.shape == (*size, 4 // groups, 6)
    kernel, bias = layer.get_weights()
    for row, line in enumerate(windows(x[0].numpy(), size, strides, padding, dilation)):
        for column, window in enumerate(line):
            total = bias.copy()
            for r, c in np.ndindex(*size):
                if window[r][c] is not None:
                    # Each group of filters sees its share of the channels.
                    for group, channels in enumerate(np.split(window[r][c], groups)):
                        part = slice(group * 6 // groups, (group + 1) * 6 // groups)
                        total[part] += channels @ kernel[r, c][:, part]
            np.testing.assert_allclose(output[0, row, column].detach(), np.tanh(total), atol=1e-12)
    shape = (row + 1, column + 1, 6)
    assert output.shape == (1, *shape)
    assert layer.compute_output_shape((None, height, width, 4)) == (None, *shape)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["largest", "average"]), sizes, sizes, st.sampled_from(["valid", "same"]))
def test_pooling_looks_at_each_window_and_not_at_padding(kind, size, strides, padding) -> None:
    x = picture(6, 5, 3)
    layer = {"largest": layers.MaxPooling2D, "average": layers.AveragePooling2D}[kind](size, strides, padding)
    output = layer(x)
    for row, line in enumerate(windows(x[0].numpy(), size, strides, padding)):
        for column, window in enumerate(line):
            there = np.array([place for places in window for place in places if place is not None])
            expected = there.max(0) if kind == "largest" else there.mean(0)
            np.testing.assert_allclose(output[0, row, column], expected, rtol=1e-5, atol=1e-6)
    assert layer.compute_output_shape((None, 6, 5, 3)) == (None, row + 1, column + 1, 3)


def test_pooling_over_all_places() -> None:
    x = picture(3, 5, 2)
    for kind, expected in (
        (layers.GlobalMaxPooling2D, x.amax((1, 2))),
        (layers.GlobalAveragePooling2D, x.mean((1, 2))),
    ):
        torch.testing.assert_close(kind(dtype="float64")(x), expected)
        torch.testing.assert_close(kind(keepdims=True, dtype="float64")(x), expected[:, None, None])
        assert kind(keepdims=True).compute_output_shape((None, None, 4, 2)) == (None, 1, 1, 2)


def test_integers_of_a_picture_can_be_read() -> None:
    x = np.arange(32, dtype=np.uint8).reshape(1, 4, 4, 2)
    assert layers.MaxPooling2D()(x)[0, 0, 0].tolist() == [10, 11]
    assert layers.AveragePooling2D()(x)[0, 0, 0].tolist() == [5.0, 6.0]
    assert layers.Conv2D(3, 2)(x).dtype is torch.float32


def test_open_sizes_and_names_of_old() -> None:
    layer = layers.Conv2D(3, 3, 2)
    layer.build((None, None, None, 3))
    assert layer.compute_output_shape((None, None, 7, 3)) == (None, None, 3, 3)
    assert layers.MaxPool2D is layers.MaxPooling2D
    assert layers.AvgPool2D is layers.AveragePooling2D
    assert layers.MaxPooling2D().strides == (2, 2)


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(ShapeError, match=r"\(Conv2D\) expected 4 axes \(batch, height, width, channels\)"):
        layers.Conv2D(2, 3)(np.zeros((2, 4, 3)))
    with pytest.raises(
        ShapeError, match=r"\(Conv2D\) expected at least 3 × 5 pixels for its window, got 4 × 4"
    ):
        layers.Conv2D(2, (3, 5))(np.zeros((2, 4, 4, 3)))
    convolution = layers.Conv2D(2, 2)
    convolution.build((None, 4, 4, 3))
    with pytest.raises(ShapeError, match="was built for 3 features"):
        convolution(np.zeros((1, 4, 4, 1)))
    with pytest.raises(ShapeError, match="at least one pixel"):
        layers.GlobalMaxPooling2D()(np.zeros((1, 0, 2, 3)))
    with pytest.raises(
        ArgumentError, match="kernel_size: expected a whole number of at least 1, or 2 of them, got"
    ):
        layers.Conv2D(2, (1, 2, 3))
    with pytest.raises(ArgumentError, match="padding: 'causal' is not known"):
        layers.Conv2D(2, 2, padding="causal")
    with pytest.raises(ArgumentError, match="expected 1 together with dilation_rate"):
        layers.Conv2D(2, 2, strides=(1, 2), dilation_rate=(2, 1))
    for kind in (layers.MaxPooling2D, layers.AveragePooling2D, layers.GlobalMaxPooling2D):
        with pytest.raises(ArgumentError, match="data_format"):
            kind(data_format="channels_first")


def learnt(model, pictures, bright) -> float:
    model.compile(optimizer=nabi.optimizers.Adam(0.02), loss="binary_crossentropy", metrics=["accuracy"])
    model.fit(pictures, bright, epochs=12, batch_size=16, verbose=0)
    return float(model.evaluate(pictures, bright, verbose=0)[1])


def test_sequential_and_functional_models_learn_from_pictures() -> None:
    """Which half has the bright spot: left or right."""
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    pictures = random.normal(0, 0.1, (64, 8, 8, 1)).astype(np.float32)
    side = random.integers(2, size=64)
    for one, right in zip(pictures, side, strict=True):
        one[random.integers(8), random.integers(4) + 4 * right] += 3
    sequential = nabi.Sequential(
        [
            layers.Conv2D(4, 3, padding="same", activation="relu", input_shape=(8, 8, 1)),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    assert sequential.count_params() == 4 * 10 + 4 * 4 * 4 + 1
    assert learnt(sequential, pictures, side) > 0.95
    image = layers.Input((8, 8, 1))
    features = layers.AveragePooling2D((8, 4))(layers.Conv2D(4, 3, padding="same", activation="relu")(image))
    output = layers.Dense(1, activation="sigmoid")(layers.Flatten()(features))
    assert learnt(nabi.Model(image, output), pictures, side) > 0.95
