"""A model that writes down what is spoken."""

import os
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi._public import public
from nabi.decoding import ctc_beam_search, ctc_greedy
from nabi.errors import ArgumentError
from nabi.models._sequences._labels import encode_labels, learn_labels
from nabi.models._sequences._report import SequenceReport
from nabi.models._sequences._samples import SequenceSamples
from nabi.models._sound._log_mel import FRAME
from nabi.models._sound._model import SoundModel, divide
from nabi.models._sound._samples import SoundSamples, with_ending
from nabi.models._sound._settings import SpeechSettings
from nabi.models._sound._stream import SpeechStream
from nabi.models._sound._strings import Join, join_recordings, made_strings
from nabi.models._sound._training import SpeechTraining
from nabi.training import as_time_limit

__all__ = ["SpeechRecognizer", "Transcript"]

_SPACE = "␣"
_SMALLEST = 1e-30


@dataclass(frozen=True)
class Transcript:
    """What is spoken in a recording."""

    name: str
    """Of the recording."""
    text: str
    probability: float
    """Of the text, among all texts."""


class SpeechRecognizer(SoundModel):
    """Learns from recordings and the words in them, without being told when each is spoken, to write down new
    recordings.

    The network is that of `SoundClassifier`, with an answer at every step: the probability of each word, and
    of "nothing new". Connectionist temporal classification (Graves et al. 2006) adds up all ways in which
    these can give the words. With `joined`, recordings of single words are joined to strings in training.

    Raises:
        ArgumentError: for a value that cannot be used; `UnknownNameError` for an unknown name.

    >>> import numpy as np
    >>> random = np.random.default_rng(0)
    >>> def tones(*hertz):
    ...     times, pause = np.arange(1600) / 8000, np.zeros(800)
    ...     parts = [np.append(np.sin(2 * np.pi * one * times), pause) for one in hertz]
    ...     sound = np.concatenate([pause, *parts])
    ...     return sound + 0.01 * random.normal(size=len(sound))
    >>> recognizer = SpeechRecognizer(units=16, convolutions=(16,), mels=20, warp=0, noise=0, filters=0,
    ...     speed=False, dropout=0, normalization="layer", epochs=60, learning_rate=0.01)
    >>> report = recognizer.fit(
    ...     [tones(300), tones(1200), tones(300, 1200), tones(1200, 300)] * 8, ["a", "b", "a b", "b a"] * 8,
    ...     rate=8000, validation_share=0, verbose=0)
    >>> recognizer.transcribe([tones(1200, 300)], rate=8000)[0].text
    'b a'
    """

    _kind = "speech recognizer"
    _called = "a speech recognizer"
    _settings_type = SpeechSettings
    _training_type = SpeechTraining
    _answer = "string"

    settings: SpeechSettings

    @public
    def fit(
        self,
        recordings: Any,
        texts: Any = None,
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
        """Learn from recordings and the text of each.

        Everything that is wrong with them is found before training starts, also a text that is too long for
        its recording. In the first epochs nearly everything is "nothing new", and the loss hardly falls; then
        the words come. Ctrl-C ends the training after the batch; the best weights so far are kept and
        measured, and the report is `interrupted`.

        Args:
            recordings: what `nabi.data.read_recordings` returns, or a list of files, or of arrays `[N]` of
                real numbers from -1 to 1.
            texts: what is spoken in each; None if the recordings have it as their labels.
            rate: samples per second of arrays.
            groups: of each recording what it belongs to, such as its speaker: whole groups are held out, and
                only recordings of one group are joined.
            validation: recordings, or a pair of recordings and texts, that are looked at after every epoch:
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
            ArgumentError, ShapeError: for what are no recordings or texts, recordings without samples, a text
                that is empty or longer than its recording allows, fewer than two words, and a share that
                leaves nothing.
            MissingFileError, FileFormatError: for a file that is not there or cannot be read.
            NotFiniteError: if the loss becomes NaN or infinite.
        """
        limit = as_time_limit(minutes)
        samples, said = self._labelled(recordings, texts, rate, groups, self.asked.sample_rate)
        units = self._cut(said, samples)
        known = learn_labels(units, samples.names, "string")
        samples = replace(samples, targets=encode_labels(units, samples.names, "string", known))
        held_out = None
        if validation is not None:
            held_out, said = self._given(validation, rate, samples.rate)
            units = self._cut(said, held_out)
            held_out = replace(held_out, targets=encode_labels(units, held_out.names, "string", known))
        train, held_out = divide(samples, held_out, validation_share, self.asked.seed)
        if self.asked.joined > 1 and validation is None and len(held_out):
            # What is held out is joined once.
            join, random = _joining(held_out), np.random.default_rng([self.asked.seed, 2])
            held_out = made_strings(held_out, join, self.asked.joined, random)
        return self._fit(
            train,
            held_out,
            known,
            checkpoint=checkpoint,
            limit=limit,
            verbose=verbose,
            callbacks=callbacks,
        )

    def _cut(self, texts: list[Any], samples: SoundSamples) -> list[list[str]]:
        """Return the words, or characters, of each text."""
        found = []
        for name, text in zip(samples.names, texts, strict=True):
            if not isinstance(text, str) or not text.strip():
                raise ArgumentError(f"{name}: expected a text, got {_checks.short(text)}")
            words = text.split()
            found.append(words if self.asked.unit == "words" else list(_SPACE.join(words)))
        return found

    def _joined_text(self, codes: tuple[int, ...]) -> str:
        names = [self.labels.names[code] for code in codes]
        if self.settings.unit == "words":
            return " ".join(names)
        return "".join(names).replace(_SPACE, " ").strip()

    def _probabilities(
        self, samples: SequenceSamples, linear: bool | None = None
    ) -> list[npt.NDArray[np.float32]]:
        """Return probabilities of each recording and of silence after it."""
        assert isinstance(samples, SoundSamples)
        return super()._probabilities(with_ending(samples), linear)

    def _decode(self, probabilities: npt.NDArray[Any]) -> tuple[int, ...]:
        """Return the most probable string of codes of words."""
        return self._search(probabilities, self.settings.beam)[0]

    def _search(self, probabilities: npt.NDArray[Any], beam: int) -> tuple[tuple[int, ...], float]:
        logarithms = np.log(np.maximum(probabilities, _SMALLEST))
        if beam == 1:
            labels = tuple(ctc_greedy(logarithms))
            probability = float(logarithms.max(1).sum())
        else:
            labels, probability = ctc_beam_search(logarithms, beam=beam)[0]
        return tuple(code - 1 for code in labels), float(np.exp(probability))

    # Asking -----------------------------------------------------------------------------------------------

    @public
    def transcribe(
        self, recordings: Any, *, rate: int | None = None, beam: int | None = None
    ) -> list[Transcript]:
        """Return what is spoken in each recording.

        Args:
            recordings: a list of files, or of arrays `[N]`.
            rate: samples per second of arrays.
            beam: beginnings that are followed, see `nabi.decoding.ctc_beam_search`; 1 takes the best path,
                whose probability is then given. That of the settings by default.

        Raises:
            ArgumentError, ShapeError: for something else, a beam below 1, and recordings without samples.
            MissingFileError, FileFormatError: for a file that is not there or cannot be read.
        """
        self._check_trained()
        beam = self.settings.beam if beam is None else _checks.whole("beam", beam, otherwise=" or None")
        samples = self._heard(recordings, rate)
        found = []
        for name, values in zip(samples.names, self._probabilities(samples), strict=True):
            codes, probability = self._search(values, beam)
            found.append(Transcript(name, self._joined_text(codes), probability))
        return found

    @public
    def evaluate(self, recordings: Any, texts: Any = None, *, rate: int | None = None) -> SequenceReport:
        """Compare what is written down with the texts: the share of words (or characters) that are wrong,
        missing or too many.

        Args:
            recordings, texts, rate: as for `fit`.

        Raises:
            ArgumentError: for a word that was not learnt, and as `fit` does.
        """
        self._check_trained()
        samples, said = self._labelled(recordings, texts, rate, None, self.rate)
        units = self._cut(said, samples)
        samples = replace(samples, targets=encode_labels(units, samples.names, "string", self.labels))
        return self._measure(samples, train=self.report.train, seconds=self.report.seconds, part="recordings")

    @public
    def evaluate_joined(
        self,
        recordings: Any,
        texts: Any = None,
        *,
        rate: int | None = None,
        groups: Any = None,
        seed: int = 0,
    ) -> SequenceReport:
        """Measure on strings of up to `joined` recordings, made as in training but not changed further.

        Args:
            recordings, texts, rate, groups: as for `fit`.
            seed: of the strings; every recording occurs about twice.

        Raises:
            ArgumentError: for a word that was not learnt, and as `fit` does.
        """
        self._check_trained()
        samples, said = self._labelled(recordings, texts, rate, groups, self.rate)
        units = self._cut(said, samples)
        samples = replace(samples, targets=encode_labels(units, samples.names, "string", self.labels))
        joined = self.settings.joined
        count = round(4 * len(samples) / (joined + 1))
        random = np.random.default_rng([_checks.seed("seed", seed), 3])
        strings = made_strings(samples, _joining(samples), joined, random, count)
        return self._measure(strings, train=self.report.train, seconds=self.report.seconds, part="strings")

    @public
    def stream(self, rate: int | None = None) -> SpeechStream:
        """Return a listener to a stream of sound, which says words as they come.

        Args:
            rate: samples per second of the stream; that of the model by default.

        Raises:
            ArgumentError: for a network that reads in both directions.
        """
        stream = self._stream()
        step = FRAME * self.settings.stride ** len(self.settings.convolutions or ())
        return SpeechStream(stream, self.labels.names, step, self.rate, rate)


def _joining(samples: SoundSamples) -> Join:
    return partial(join_recordings, rate=samples.rate)
