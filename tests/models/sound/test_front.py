"""Features of sound: filters beside their definition, streams beside the whole, changes in training."""

import numpy as np
import pytest
import torch

from nabi.models._sound._augmentation import Augmentation
from nabi.models._sound._front import SoundFront
from nabi.models._sound._log_mel import LogMel

from .sounds import words

CHANGES = {"warp": 0.16, "noise": 0.5, "masks": 1, "speed": True}


@pytest.mark.parametrize(("rate", "mels"), [(8000, 40), (16_000, 40), (44_100, 64), (8000, 13)])
def test_log_mels_are_the_triangles_on_the_power(rate, mels) -> None:
    log_mel = LogMel(rate, mels)
    samples = np.random.default_rng(0).normal(0, 0.1, rate // 2)
    found = log_mel(samples.astype(np.float32))
    window, hop = round(0.025 * rate), round(0.010 * rate)
    assert len(found) == int(log_mel.frames(torch.tensor(len(samples)))) == 1 + (len(samples) - window) // hop
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    mel = np.linspace(*(2595 * np.log10(1 + np.array([60, rate / 2]) / 700)), mels + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    for number in (0, 7, len(found) - 1):
        frame = samples[number * hop : number * hop + window] * hann
        power = np.abs(np.fft.rfft(frame, log_mel.size)) ** 2
        hertz = np.arange(len(power)) * rate / log_mel.size
        for band in range(mels):
            low, top, high = edges[band : band + 3]
            weights = np.interp(hertz, [low, top, high], [0, 1, 0])
            expected = np.log((power * weights).sum() / max(weights.sum(), 1e-3) + 1e-6)
            assert found[number, band] == pytest.approx(expected, abs=2e-3)


def test_a_tone_is_loudest_in_its_band() -> None:
    log_mel = LogMel(8000, 40)
    edges = log_mel.band_edges()
    for hertz in (200.0, 1000.0, 3000.0):
        tone = np.sin(2 * np.pi * hertz * np.arange(800) / 8000).astype(np.float32)
        band = int(log_mel(tone).mean(0).argmax())
        assert edges[band] < hertz < edges[band + 2]


def test_recordings_shorter_than_a_window_have_one_frame() -> None:
    log_mel = LogMel(8000, 10)
    assert log_mel(np.ones(5, np.float32)).shape == (1, 10)
    assert log_mel.frames(torch.tensor([1, 199, 200, 279, 280])).tolist() == [1, 1, 1, 1, 2]


@pytest.fixture(params=[False, True], ids=["bands", "deltas"])
def front(request):
    made = SoundFront(8000, 20, request.param, CHANGES)
    made.learn(words(6)[0])
    return made


@pytest.mark.parametrize("size", [1, 33, 80, 1000])
def test_a_stream_gives_the_same_numbers_to_the_last_bit(front, size) -> None:
    sounds = [np.concatenate(words(9, seed)[0]) for seed in range(2)]
    lengths = torch.tensor([len(one) for one in sounds])
    padded = torch.zeros(2, int(lengths.max()))
    for row, one in zip(padded, sounds, strict=True):
        row[: len(one)] = torch.from_numpy(one)
    whole, frames = front(padded, lengths)
    assert whole.shape[2] == front.width
    for row, one in enumerate(sounds):
        state, parts = front.start(), []
        for first in range(0, len(one), size):
            part, state = front.read(torch.from_numpy(one[first : first + size]), state)
            parts.append(part)
        assert torch.equal(torch.cat(parts), whole[row, : frames[row]])


def test_the_mean_of_what_was_heard_is_lost() -> None:
    front = SoundFront(8000, 20, False)
    sound = np.concatenate(words(30)[0])
    front.learn([sound])
    loud, _ = front(torch.from_numpy(10 * sound)[None], torch.tensor([len(sound)]))
    usual, _ = front(torch.from_numpy(sound)[None], torch.tensor([len(sound)]))
    # Ten times louder is 4.6 more in each band: at first all of it is seen, later hardly any.
    assert float((loud - usual)[0, 0].mean()) > 1
    assert float((loud - usual)[0, -1].abs().mean()) < 0.1


def test_changes_follow_from_the_generator_and_lengths_stay_right(front) -> None:
    samples = torch.from_numpy(np.stack([one[:1600] for one in words(6)[0]]))
    lengths = torch.tensor([1600, 1600, 900, 300, 200, 10])

    def changed(seed):
        return front(samples, lengths, torch.Generator().manual_seed(seed))

    (one, many), (again, _), (other, _) = changed(0), changed(0), changed(1)
    assert torch.equal(one, again)
    assert one.shape != other.shape or not torch.equal(one, other)
    plain = front.frames(lengths)
    assert one.shape[1] == int(many.max())
    assert bool(((many >= 0.8 * plain) & (many <= 1.2 * plain + 1)).all())
    assert bool(one.isfinite().all())


def test_each_change_does_what_it_says() -> None:
    log_mel = LogMel(8000, 40)
    tone = np.sin(2 * np.pi * 1000.0 * np.arange(4000) / 8000).astype(np.float32)
    bands = torch.from_numpy(log_mel.bands(log_mel.power(tone)))[None].expand(64, -1, -1)
    lengths = log_mel.frames(torch.full((64,), 4000))
    generator = torch.Generator().manual_seed(0)

    def changed(**said):
        changes = Augmentation(log_mel, **{"warp": 0, "noise": 0, "masks": 0, "speed": False, **said})
        found, many = changes.changed(bands, lengths, generator)
        return (found + 1e-6).log(), many

    plain, same = changed()
    assert torch.equal(same, lengths)
    # Only the level changes.
    shift = plain - (bands + 1e-6).log()
    middle = bands[0, 0].argmax()
    assert float(shift[:, :, middle].std(1).max()) < 1e-3
    assert 0.4 < float(shift[:, 0, middle].std()) < 1.2
    places = changed(warp=0.2)[0].mean(1).argmax(1)
    assert int(places.min()) < int(middle) < int(places.max())
    assert float(changed(noise=0.99)[0][:, :, -1].mean()) > float(plain[:, :, -1].mean()) + 1
    fast, many = changed(speed=True)
    assert len(many.unique()) > 5
    assert fast.shape[1] == int(many.max())
    masked = Augmentation(log_mel, warp=0, noise=0, masks=2).masked(
        torch.ones(64, 48, 40), lengths, generator
    )
    assert 0.6 < float(masked.mean()) < 0.95
    assert set(masked.unique().tolist()) == {0.0, 1.0}


def test_a_filter_differs_from_band_to_band_and_not_from_frame_to_frame() -> None:
    log_mel, generator = LogMel(8000, 40), torch.Generator().manual_seed(0)
    bands = torch.randn(200, 9, 40, generator=generator).exp()
    lengths = torch.full((200,), 9)

    def curves(filters):
        changes = Augmentation(log_mel, warp=0, noise=0, masks=0, speed=False, filters=filters)
        shift = (changes.changed(bands, lengths, generator)[0].log() - bands.log()).numpy()
        assert float(shift.std(1).max()) < 1e-3
        # The level of a recording changes as well.
        return shift[:, 0] - shift[:, 0].mean(1, keepdims=True)

    assert np.abs(curves(0.0)).max() < 1e-4
    found = curves(1.0)
    # Half of the sum of the waves' variances, which are 1, 1/2, 1/3 and 1/4.
    assert float((found**2).mean()) == pytest.approx(25 / 24, rel=0.15)
    assert float((curves(0.5) ** 2).mean()) == pytest.approx(25 / 96, rel=0.15)
    assert float(np.abs(np.diff(found, axis=1)).mean()) < 0.2
    assert np.abs(found.mean(0)).max() < 0.4
