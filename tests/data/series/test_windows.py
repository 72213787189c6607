import numpy as np
import pytest

from nabi.data import Characters, number_series, one_hot, windows
from nabi.errors import ArgumentError, ShapeError, UnknownNameError


@pytest.mark.parametrize("length", [1, 2, 6])
@pytest.mark.parametrize("features", [(), (1,), (2, 3)])
def test_windows_are_slices(length, features):
    sequence = np.random.default_rng(0).normal(size=(7, *features))
    inputs, following = windows(sequence, length)
    assert inputs.shape == (7 - length, length, *features)
    for start in range(7 - length):
        np.testing.assert_array_equal(inputs[start], sequence[start : start + length])
        np.testing.assert_array_equal(following[start], sequence[start + length])


def test_windows_do_not_share_memory_with_the_sequence():
    sequence = np.arange(5)
    inputs, following = windows(sequence, 2)
    inputs[:], following[:] = -1, -1
    assert sequence.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("length", [0, -1, 1.5, True])
def test_windows_need_a_length(length):
    with pytest.raises(ArgumentError, match="length"):
        windows([1, 2, 3], length)


@pytest.mark.parametrize(("sequence", "message"), [([1, 2], "got 2"), ([], "got 0"), (3, "single value")])
def test_windows_need_steps(sequence, message):
    with pytest.raises(ShapeError, match=message):
        windows(sequence, 2)


def test_the_number_series_is_that_of_the_lecture():
    series = number_series()
    expected = np.array([[[(i + j) / 10] for j in range(4)] for i in range(6)])
    np.testing.assert_allclose(series.inputs, expected, atol=1e-7)
    np.testing.assert_allclose(series.targets, [0.4, 0.5, 0.6, 0.7, 0.8, 0.9], atol=1e-7)
    np.testing.assert_allclose(
        series.unseen_inputs[:, :, 0], [[0.6, 0.7, 0.8, 0.9], [-0.1, 0, 0.1, 0.2]], atol=1e-7
    )
    np.testing.assert_allclose(series.unseen_targets, [1.0, 0.3], atol=1e-7)
    assert {array.dtype for array in series} == {np.dtype(np.float32)}


def test_one_hot():
    codes = np.array([[0, 2], [1, 1]])
    encoded = one_hot(codes, 4)
    assert encoded.shape == (2, 2, 4)
    np.testing.assert_array_equal(encoded.argmax(-1), codes)
    assert encoded.sum() == 4
    assert one_hot([], 3).shape == (0, 3)


@pytest.mark.parametrize(("codes", "width"), [([3], 3), ([-1], None), ([0.5], None)])
def test_one_hot_refuses(codes, width):
    with pytest.raises(ArgumentError, match="codes"):
        one_hot(codes, width)


def test_characters_of_hello():
    letters = Characters.of("hello")
    assert len(letters) == 4
    assert letters.encode("ello").tolist() == [1, 2, 2, 3]
    assert letters.decode(letters.encode("hello")) == "hello"
    assert letters.one_hot("hell").shape == (4, 4)


def test_characters_refuse():
    with pytest.raises(ArgumentError, match="alphabet"):
        Characters("hello")
    with pytest.raises(ArgumentError, match="alphabet"):
        Characters("")
    with pytest.raises(UnknownNameError, match="'x'"):
        Characters("helo").encode("hex")
    with pytest.raises(ArgumentError, match=r"codes\[0\]: expected 0 to 3, got 4"):
        Characters("helo").decode([4])
