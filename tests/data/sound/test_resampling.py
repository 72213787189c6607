"""Other rates: tones stay tones, what cannot be heard is taken out, chunks count as the whole."""

import numpy as np
import pytest

from nabi.data import Resampler, resample
from nabi.errors import ArgumentError, ShapeError


def tone(frequency: float, rate: int, seconds: float = 0.25):
    return np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate).astype(np.float32)


@pytest.mark.parametrize(("rate", "to"), [(44_100, 8000), (16_000, 8000), (8000, 16_000), (11_025, 8000)])
def test_a_tone_stays_a_tone(rate, to) -> None:
    found = resample(tone(1000, rate), rate, to)
    expected = tone(1000, to, 1)[: len(found)]
    assert len(found) == -(-len(tone(1000, rate)) * to // rate)
    np.testing.assert_allclose(found[200:-200], expected[200:-200], atol=2e-3)


def test_what_the_new_rate_cannot_hold_is_taken_out() -> None:
    found = resample(tone(6000, 44_100), 44_100, 8000)
    assert np.abs(found[200:-200]).max() < 1e-3


@pytest.mark.parametrize("size", [1, 7, 160, 4000])
@pytest.mark.parametrize(("rate", "to"), [(16_000, 8000), (8000, 11_025), (44_100, 16_000)])
def test_chunks_count_as_the_whole(rate, to, size) -> None:
    samples = np.random.default_rng(0).normal(size=1500).astype(np.float32)
    resampler = Resampler(rate, to)
    parts = [resampler.feed(samples[first : first + size]) for first in range(0, len(samples), size)]
    found = np.concatenate([*parts, resampler.finish()])
    np.testing.assert_array_equal(found, resample(samples, rate, to))


def test_the_same_rate_changes_nothing() -> None:
    samples = tone(300, 8000)
    np.testing.assert_array_equal(resample(samples, 8000, 8000), samples)
    assert Resampler(8000, 8000).latency == 0
    assert Resampler(16_000, 8000).latency > 0


def test_constants_and_short_recordings() -> None:
    np.testing.assert_allclose(resample(np.ones(4000, np.float32), 16_000, 8000)[100:-100], 1, atol=1e-4)
    assert len(resample(np.ones(1, np.float32), 44_100, 8000)) == 1
    assert len(resample(np.zeros(0, np.float32), 44_100, 8000)) == 0


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(ArgumentError, match="to: expected a whole number of at least 1, got 0"):
        resample(np.ones(3), 8000, 0)
    with pytest.raises(ShapeError, match=r"expected one channel \[N\], got \(2, 2\)"):
        resample(np.ones((2, 2)), 8000, 4000)
    with pytest.raises(ArgumentError, match="44099 Hz to 960001 Hz needs too many filters"):
        Resampler(44_099, 960_001)
