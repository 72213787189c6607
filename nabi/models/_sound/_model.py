"""What a classifier of recordings and a recogniser of speech have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi._checks import short
from nabi.data import Recordings
from nabi.errors import ArgumentError
from nabi.models._sequences._fronts import Front
from nabi.models._sequences._model import SequenceModel
from nabi.models._sound._front import SoundFront
from nabi.models._sound._log_mel import LogMel
from nabi.models._sound._samples import SoundSamples, listen, read_samples

__all__ = ["SoundModel", "band_features", "divide"]

_RESAMPLED = 20
# A training hears about so many recordings unless it is told otherwise.
_RECORDINGS_TO_HEAR = 50_000
_FEWEST_EPOCHS, _MOST_EPOCHS = 15, 200

Array = npt.NDArray[Any]


class SoundModel(SequenceModel):
    """Base of systems that listen to recordings of one rate."""

    rate: int
    """Samples per second that it hears."""

    def _prepare(self, data: Any) -> Any:
        """Take the rate of the recordings, and what every sequence model takes."""
        self.rate = data.train.rate
        settings = super()._prepare(data)
        if self.asked.epochs is not None:
            return settings
        wanted = round(_RECORDINGS_TO_HEAR / len(data.train))
        return replace(settings, epochs=min(max(wanted, _FEWEST_EPOCHS), _MOST_EPOCHS))

    def _make_front(self) -> Front:
        """Return log-mels with a running mean, changed at random in training."""
        told = self.settings
        names = ("warp", "noise", "masks", "speed", "filters")
        return SoundFront(self.rate, told.mels, told.deltas, {name: getattr(told, name) for name in names})

    def _features_for_baselines(self, sequence: Array) -> dict[str, Array]:
        """Return log-mels of 20 moments."""
        features = band_features(sequence, self.rate, self.asked.mels)
        return {f"logistic regression on {_RESAMPLED} log-mels": features}

    def _own_state(self) -> dict[str, Any]:
        """Return the rate."""
        return {"rate": self.rate}

    def _set_own_state(self, state: Mapping[str, Any]) -> None:
        """Take the rate."""
        self.rate = int(state["rate"])

    def _heard(self, recordings: Any, rate: int | None) -> SoundSamples:
        """Return recordings to be asked about, at the rate of the model."""
        if not isinstance(recordings, str) and isinstance(recordings, Sequence) and not len(recordings):
            return SoundSamples([], None, rate=self.rate)
        names, arrays, _ = listen(recordings, rate, self.rate)
        return SoundSamples(arrays, None, tuple(names), rate=self.rate)

    def _given(self, validation: Any, rate: int | None, wanted: int) -> tuple[SoundSamples, list[Any]]:
        """Return recordings to validate on and their labels, given as recordings or as a pair."""
        if isinstance(validation, Recordings):
            return self._labelled(validation, None, None, None, wanted)
        if not isinstance(validation, tuple | list) or len(validation) != 2:
            raise ArgumentError(
                f"validation: expected recordings, or (recordings, labels), got {short(validation)}"
            )
        recordings, labels = validation
        return self._labelled(recordings, labels, rate, None, wanted)

    def _labelled(
        self, recordings: Any, labels: Any, rate: int | None, groups: Any, wanted: int | None
    ) -> tuple[SoundSamples, list[Any]]:
        """Return recordings at the rate wanted, and as many labels."""
        samples, labels = read_samples(recordings, labels, rate, groups, wanted)
        if len(labels) != len(samples):
            raise ArgumentError(
                f"labels: expected one for each of {len(samples)} recordings, got {len(labels)}"
            )
        return samples, labels


@cache
def _log_mel(rate: int, mels: int) -> LogMel:
    return LogMel(rate, mels)


def band_features(samples: Array, rate: int, mels: int) -> npt.NDArray[np.float32]:
    """Return log-mels of moments at equal distances, in one row: what simple models read of a recording."""
    bands = _log_mel(rate, mels)(np.asarray(samples, np.float32))
    places = np.linspace(0, len(bands) - 1, _RESAMPLED)
    columns = [np.interp(places, np.arange(len(bands)), column) for column in bands.T]
    return np.concatenate(columns).astype(np.float32)


def divide(
    samples: SoundSamples, validation: SoundSamples | None, share: float, seed: int
) -> tuple[SoundSamples, SoundSamples]:
    """Return what is learnt from and what is held out: `validation`, or a share of the samples."""
    if validation is not None:
        return samples, validation
    train, held_out = samples.divided(share, seed)
    assert isinstance(train, SoundSamples)
    assert isinstance(held_out, SoundSamples)
    return train, held_out
