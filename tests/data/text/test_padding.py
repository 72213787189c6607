"""The oracle is Keras' own function, whose behaviour lecture code relies on."""

import warnings

import numpy as np
import pytest
from hypothesis import given, strategies as st

from nabi.errors import ArgumentError, ShapeError, UnknownNameError
from nabi.preprocessing.sequence import TimeseriesGenerator, pad_sequences


@pytest.fixture(scope="module")
def keras_utils():
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as environment:
        warnings.simplefilter("ignore")
        environment.setenv("KERAS_BACKEND", "torch")
        keras = pytest.importorskip("keras")
    return keras.utils


@given(
    sequences=st.lists(st.lists(st.integers(-5, 5), max_size=6), min_size=1, max_size=5),
    maxlen=st.none() | st.integers(0, 8),
    dtype=st.sampled_from(["int32", "float32", "int64"]),
    padding=st.sampled_from(["pre", "post"]),
    truncating=st.sampled_from(["pre", "post"]),
    value=st.sampled_from([0, 7]),
)
def test_as_keras_pads(keras_utils, sequences, maxlen, dtype, padding, truncating, value):
    arguments = {"dtype": dtype, "padding": padding, "truncating": truncating, "value": value}
    ours = pad_sequences(sequences, maxlen, **arguments)
    assert ours.dtype == dtype
    if maxlen == 0:  # Keras' slice [-0:] keeps everything and then fails
        assert ours.shape == (len(sequences), 0)
        return
    np.testing.assert_array_equal(ours, keras_utils.pad_sequences(sequences, maxlen, **arguments))


def test_steps_with_features(keras_utils):
    sequences = [np.ones((3, 2)), np.zeros((0, 2)), np.full((1, 2), 5.0)]
    ours = pad_sequences(sequences, dtype="float64", value=-1.0)
    assert ours.shape == (3, 3, 2)
    np.testing.assert_array_equal(ours, keras_utils.pad_sequences(sequences, dtype="float64", value=-1.0))


def test_text_is_padded_in_an_object_array():
    padded = pad_sequences([["a", "b"], ["c"]], dtype=object, value="<pad>")
    assert padded.tolist() == [["a", "b"], ["<pad>", "c"]]


@pytest.mark.parametrize(
    ("sequences", "arguments", "error", "message"),
    [
        ([[1]], {"padding": "left"}, UnknownNameError, "padding: 'left'"),
        ([[1]], {"truncating": "prae"}, UnknownNameError, "did you mean 'pre'"),
        ([1, 2], {}, ArgumentError, r"sequences\[0\]: expected a sequence, got 1"),
        (5, {}, ArgumentError, "sequences: expected a list, got 5"),
        ("word", {}, ArgumentError, "sequences: expected a list, got 'word'"),
        (
            [[1]],
            {"maxlen": -1},
            ArgumentError,
            "maxlen: expected a whole number of at least 0 or None, got -1",
        ),
        ([[1]], {"dtype": "int23"}, ArgumentError, "dtype: expected a NumPy type .* got 'int23'"),
        ([[1]], {"value": "<pad>"}, ArgumentError, "value: expected .* got '<pad>'"),
        (
            [[[1, 2]], [[1, 2, 3]]],
            {},
            ShapeError,
            r"sequences\[1\]: expected steps of shape \(2,\) .*got \(3,\)",
        ),
    ],
)
def test_bad_input(sequences, arguments, error, message):
    with pytest.raises(error, match=message):
        pad_sequences(sequences, **arguments)


def test_no_sequences():
    assert pad_sequences([]).shape == (0, 0)
    assert pad_sequences([], maxlen=3).shape == (0, 3)


@pytest.mark.parametrize("reverse", [False, True])
def test_timeseries_batches(reverse):
    data = np.arange(50)[:, None]
    generator = TimeseriesGenerator(data, data * 10, 10, sampling_rate=2, batch_size=2, reverse=reverse)
    assert len(generator) == 20
    samples, targets = generator[0]
    expected = np.array([[[0], [2], [4], [6], [8]], [[1], [3], [5], [7], [9]]])
    np.testing.assert_array_equal(samples, expected[:, ::-1] if reverse else expected)
    np.testing.assert_array_equal(targets, [[100], [110]])
    assert sum(len(batch_targets) for _, batch_targets in generator) == 40


def test_timeseries_stride_and_range():
    data = np.arange(20)
    generator = TimeseriesGenerator(data, data, length=3, stride=2, start_index=2, end_index=12, batch_size=3)
    batches = list(generator)
    assert [targets.tolist() for _, targets in batches] == [[5, 7, 9], [11]]
    assert batches[1][0].tolist() == [[8, 9, 10]]
    with pytest.raises(IndexError):
        generator[2]


def test_timeseries_shuffled_windows_keep_their_targets():
    data = np.arange(30)
    samples, targets = TimeseriesGenerator(data, data, length=4, shuffle=True, batch_size=16)[0]
    assert samples.shape == (16, 4)
    np.testing.assert_array_equal(samples[:, -1] + 1, targets)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"length": 0}, "length: expected a whole number of at least 1, got 0"),
        ({"length": 10}, "expected a window that fits .*got 10 steps"),
        ({"length": 2, "batch_size": 0}, "batch_size: expected a whole number of at least 1, got 0"),
        ({"length": 2, "sampling_rate": 0}, "sampling_rate: expected a whole number of at least 1, got 0"),
        ({"length": 2, "stride": -1}, "stride: expected a whole number of at least 1, got -1"),
    ],
)
def test_timeseries_bad_arguments(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        TimeseriesGenerator(np.arange(10), np.arange(10), **arguments)


def test_timeseries_needs_as_many_targets():
    with pytest.raises(ShapeError, match="targets"):
        TimeseriesGenerator(np.arange(10), np.arange(9), length=2)
