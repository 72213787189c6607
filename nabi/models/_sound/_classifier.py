"""A model that gives each recording a label."""

import os
from dataclasses import replace
from typing import Any

import numpy.typing as npt

from nabi import _checks
from nabi._public import public
from nabi.models._sequences._labels import encode_labels, learn_labels
from nabi.models._sequences._model import SequencePrediction
from nabi.models._sequences._report import SequenceReport
from nabi.models._sound._model import SoundModel, divide
from nabi.models._sound._settings import SoundSettings
from nabi.models._sound._stream import SoundStream
from nabi.models._sound._training import SoundTraining
from nabi.training import as_time_limit

__all__ = ["SoundClassifier"]


class SoundClassifier(SoundModel):
    """Learns from recordings with a label each, such as spoken words, to label new recordings.

    Log-mel features (`mels` bands, a frame of 25 ms every 10 ms) lose the mean of what was heard so far; then
    come convolutions over time, recurrent layers of any cell, and three summaries of their outputs. In
    training the recordings are changed at random: speed, level, noise, the length of the vocal tract, and how
    loud some frequencies are beside others. A model file needs only the recording.

    Raises:
        ArgumentError: for a value that cannot be used; `UnknownNameError` for an unknown name.

    >>> import numpy as np
    >>> random = np.random.default_rng(0)
    >>> def tone(hertz):
    ...     times = np.arange(2000) / 8000
    ...     return np.sin(2 * np.pi * hertz * times) + 0.05 * random.normal(size=2000)
    >>> classifier = SoundClassifier(units=16, convolutions=(16,), mels=20, warp=0, epochs=8, seed=1)
    >>> report = classifier.fit(
    ...     [tone(hertz) for hertz in [300, 1200] * 16], ["low", "high"] * 16, rate=8000,
    ...     validation_share=0, verbose=0)
    >>> [told.label for told in classifier.predict([tone(1250), tone(280)], rate=8000)]
    ['high', 'low']
    """

    _kind = "sound classifier"
    _called = "a sound classifier"
    _settings_type = SoundSettings
    _training_type = SoundTraining

    settings: SoundSettings

    @public
    def fit(
        self,
        recordings: Any,
        labels: Any = None,
        *,
        rate: int | None = None,
        groups: Any = None,
        validation: Any = None,
        validation_share: float = 0.1,
        checkpoint: str | os.PathLike[str] | None = None,
        minutes: float | None = None,
        verbose: int | str = "auto",
        callbacks: Any = None,
    ) -> SequenceReport:
        """Learn from recordings and a label of each.

        Everything that is wrong with them is found before training starts. Ctrl-C ends the training after the
        batch; the best weights so far are kept and measured, and the report is `interrupted`.

        Args:
            recordings: what `nabi.data.read_recordings` returns, or a list of files, or of arrays `[N]` of
                real numbers from -1 to 1.
            labels: a text or number for each; None if the recordings have them.
            rate: samples per second of arrays.
            groups: of each recording what it belongs to, such as its speaker: whole groups are held out.
            validation: recordings, or a pair of recordings and labels, that are looked at after every epoch:
                the best weights are kept.
            validation_share: else this share of the recordings is held out for it; 0 for none.
            checkpoint: a file that keeps where training stands, written every minute: the same call goes on
                from there after an interruption, and ends with the same weights as if there had been none.
                It is removed at the end.
            minutes: the time that training may take, None for all that it needs: there are as many steps as
                fit into it, at most all epochs, and the learning rate goes through its whole course in them.
                The clock runs from the call on; what is measured after the last validation comes on top.
            verbose: 0 nothing, 1 or "auto" a bar on a terminal, 2 a line per epoch.
            callbacks: objects of `nabi.callbacks`; they hear of epochs, batches and validation.

        Raises:
            ArgumentError, ShapeError: for what are no recordings or labels, recordings without samples, fewer
                than two labels, and a share that leaves nothing.
            MissingFileError, FileFormatError: for a file that is not there or cannot be read.
            NotFiniteError: if the loss becomes NaN or infinite.
        """
        limit = as_time_limit(minutes)
        samples, said = self._labelled(recordings, labels, rate, groups, self.asked.sample_rate)
        known = learn_labels(said, samples.names, "class")
        samples = replace(samples, targets=encode_labels(said, samples.names, "class", known))
        held_out = None
        if validation is not None:
            held_out, said = self._given(validation, rate, samples.rate)
            held_out = replace(held_out, targets=encode_labels(said, held_out.names, "class", known))
        train, held_out = divide(samples, held_out, validation_share, self.asked.seed)
        return self._fit(
            train,
            held_out,
            known,
            checkpoint=checkpoint,
            limit=limit,
            verbose=verbose,
            callbacks=callbacks,
        )

    @public
    def predict(self, recordings: Any, *, rate: int | None = None) -> list[SequencePrediction]:
        """Return the label of each recording, with the probabilities of all labels.

        Args:
            recordings: a list of files, or of arrays `[N]`.
            rate: samples per second of arrays.

        Raises:
            ArgumentError, ShapeError: for something else, and recordings without samples.
            MissingFileError, FileFormatError: for a file that is not there or cannot be read.
        """
        self._check_trained()
        return self._predict(self._heard(recordings, rate))

    @public
    def probabilities(self, recordings: Any, *, rate: int | None = None) -> list[npt.NDArray[Any]]:
        """Return the probabilities `[classes]` of each recording; arguments and errors of `predict`."""
        self._check_trained()
        return list(self._probabilities(self._heard(recordings, rate)))

    @public
    def evaluate(self, recordings: Any, labels: Any = None, *, rate: int | None = None) -> SequenceReport:
        """Compare what is said of recordings with their labels, and with what simple models say.

        Args:
            recordings, labels, rate: as for `fit`.

        Raises:
            ArgumentError: for a label that was not learnt, and as `fit` does.
        """
        self._check_trained()
        samples, said = self._labelled(recordings, labels, rate, None, self.rate)
        samples = replace(samples, targets=encode_labels(said, samples.names, "class", self.labels))
        return self._measure(samples, train=self.report.train, seconds=self.report.seconds, part="recordings")

    @public
    def stream(self, rate: int | None = None, *, threshold: float = 0.5) -> SoundStream:
        """Return a listener to a stream of sound, which says a label after each stretch that is loud.

        Args:
            rate: samples per second of the stream; that of the model by default.
            threshold: labels that are less probable are not said.

        Raises:
            ArgumentError: for a network that reads in both directions, and a threshold below 0 or above 1.
        """
        threshold = _checks.rate("threshold", threshold, up_to_one=True)
        return SoundStream(self._stream(), self.labels.names, self.rate, rate, threshold)
