"""A model that says what is in a picture."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from nabi._public import public
from nabi.data import Vocabulary
from nabi.errors import ArgumentError
from nabi.models._captioner._network import CaptionNetwork
from nabi.models._captioner._samples import CaptionSamples, check_captions, check_images, read_samples
from nabi.models._captioner._settings import CaptionSettings
from nabi.models._captioner._training import Captioned, CaptionReport, CaptionTraining, nats
from nabi.models._captioner._writing import Caption, CaptionAttention, join, look, write
from nabi.models._task._task_model import TaskModel
from nabi.training import Afterwards, ResumableTraining, as_time_limit, time_of

__all__ = ["Captioner"]

# A training sees about so many pictures unless it is told otherwise.
_PICTURES_TO_SEE = 150_000
_FEWEST_EPOCHS, _MOST_EPOCHS = 5, 200
# A caption may become so many times longer than the longest that was learnt from.
_LONGER = 2


class _Data(NamedTuple):
    """What a training learns from and measures on."""

    train: CaptionSamples
    held_out: CaptionSamples
    skipped: tuple[str, ...]
    """What is wrong with each picture that was passed over."""


class Captioner(TaskModel):
    """Learns from pictures with captions to write captions of pictures.

    Convolutions make a vector of each region of a picture (`channels`; between each and the next the picture
    becomes half as large), which says its form and its colour apart from each other. A recurrent decoder of
    any cell begins with a summary of them, and looks at them again for each word (Xu et al. 2015, soft
    attention).

    Raises:
        ArgumentError: for a value that cannot be used; `UnknownNameError` for an unknown name.

    >>> light, dark = np.full((2, 8, 8, 3), [[[[250]]], [[[10]]]], dtype=np.uint8)
    >>> captioner = Captioner(units=16, image_size=8, channels=(8, 8), embedding_size=8, learning_rate=0.01)
    >>> report = captioner.fit(
    ...     [light, dark] * 16, ["it is day", "it is night"] * 16, validation_share=0, verbose=0)
    >>> [caption.text for caption in captioner.caption([dark, light])]
    ['it is night', 'it is day']
    """

    _kind = "captioner"
    _called = "a captioner"
    _settings_type = CaptionSettings
    _report_type = CaptionReport

    settings: CaptionSettings
    network: CaptionNetwork
    vocabulary: Vocabulary
    report: CaptionReport
    """Of what was held out."""
    longest: int
    """Codes of the longest caption that it has learnt from, the end included."""

    # Training ---------------------------------------------------------------------------------------------

    @public
    def fit(
        self,
        images: Any,
        captions: Sequence[str],
        *,
        validation: tuple[Any, Sequence[str]] | None = None,
        validation_share: float = 0.1,
        checkpoint: str | os.PathLike[str] | None = None,
        minutes: float | None = None,
        verbose: int | str = "auto",
        callbacks: Any = None,
    ) -> CaptionReport:
        """Learn from pictures and a caption of each.

        Everything that is wrong with them is found before training starts. Files that are missing or no
        pictures are passed over, and named in the report. Ctrl-C ends the training after the batch; the best
        weights so far are kept and measured, and the report is `interrupted`.

        Args:
            images: files, or arrays `[N, height, width, 3]` of whole numbers from 0 to 255;
                `nabi.data.fit_images` says what else. A picture that has several captions is there several
                times.
            captions: N texts.
            validation: pictures and captions that are looked at after every epoch: the best weights are kept.
            validation_share: else so many of the pictures are held out for this, each with all its captions;
                0 for none.
            checkpoint: a file that keeps where training stands, written every minute: the same call goes on
                from there after an interruption, and ends with the same weights as if there had been none.
                It is removed at the end.
            minutes: the time that training may take, None for all that it needs: there are as many steps as
                fit into it, at most all epochs, and the learning rate goes through its whole course in them.
                The clock runs from the call on; what is measured after the last validation comes on top.
            verbose: 0 nothing, 1 or "auto" a bar on a terminal, 2 a line per epoch.
            callbacks: objects of `nabi.callbacks`; they hear of epochs, batches and validation.

        Raises:
            ArgumentError, ShapeError: for what are no pictures or captions, empty captions, no pictures, half
                of the files or more that cannot be read, and a share that leaves nothing.
            NotFiniteError: if the loss becomes NaN or infinite.
        """
        limit = as_time_limit(minutes)
        size = self.asked.image_size
        samples = read_samples("images", images, captions, size)
        skipped = samples.skipped
        if validation is None:
            train, held_out = samples.divided(validation_share, self.asked.seed)
        else:
            if not isinstance(validation, tuple | list) or len(validation) != 2:
                raise ArgumentError(f"validation: expected (images, captions), got {validation!r}")
            train, held_out = samples, read_samples("validation", *validation, size)
            skipped += held_out.skipped
        data = _Data(train, held_out, skipped)
        report: CaptionReport = self._learn(
            data, checkpoint=checkpoint, limit=limit, verbose=verbose, callbacks=callbacks
        )
        return report

    def _prepare(self, data: _Data) -> CaptionSettings:
        """Learn the vocabulary of the captions, and choose how often all are gone through."""
        asked: CaptionSettings = self.asked
        self.vocabulary = Vocabulary.learn(
            data.train.captions,
            asked.unit,
            size=asked.vocabulary_size,
            lowercase=asked.lowercase,
            minimum_count=asked.minimum_count,
        )
        self.longest = max(map(len, data.train.encode(self.vocabulary))) - 1
        wanted = min(max(round(_PICTURES_TO_SEE / len(data.train)), _FEWEST_EPOCHS), _MOST_EPOCHS)
        return replace(asked, epochs=asked.epochs or wanted)

    def _make_network(self) -> CaptionNetwork:
        """Return a network for the codes of the vocabulary."""
        return CaptionNetwork(len(self.vocabulary), self.settings, self.cell)

    def _make_training(self, data: _Data, checkpoint: Path | None) -> CaptionTraining:
        """Return the training on pictures and captions."""
        return CaptionTraining(
            self.network, data.train, data.held_out, self.vocabulary, self.settings, checkpoint
        )

    def _report_takes(self, data: _Data, training: ResumableTraining) -> Afterwards:
        """Return what tells how long the report takes: a validation, and writing captions."""
        images = data.held_out.images

        def write_some(captioner: Self) -> float:
            return time_of(lambda some: captioner.caption(some, beam=1, maxlen=self.longest), images)

        return Afterwards(training.validation_share, write_some)

    def _make_report(self, data: _Data, training: ResumableTraining) -> CaptionReport:
        """Measure on what was held out."""
        held_out = data.held_out
        return CaptionReport(
            len(data.train),
            len(held_out),
            nats(self.network, Captioned(held_out, self.vocabulary)) if len(held_out) else None,
            self._exact(held_out, 1) if len(held_out) else None,
            training.position.seconds,
            data.skipped,
            training.interrupted,
        )

    def _state(self) -> dict[str, Any]:
        """Return the vocabulary, and how long captions are."""
        return {"vocabulary": self.vocabulary.to_dict(), "longest": self.longest}

    def _set_state(self, state: Mapping[str, Any]) -> None:
        """Take what `_state` gave."""
        self.vocabulary = Vocabulary.from_dict(state["vocabulary"])
        self.longest = int(state["longest"])

    # Asking -----------------------------------------------------------------------------------------------

    @public
    def caption(
        self,
        images: Any,
        *,
        beam: int = 3,
        length_penalty: float = 1.0,
        best: int = 1,
        maxlen: int | None = None,
    ) -> list[Caption]:
        """Return a caption of each picture, all of them looked at together.

        Args:
            images: as `fit` takes them.
            beam: how many beginnings are followed; 1 always takes the most probable word.
            length_penalty: see `nabi.decoding.BeamSearch`.
            best: how many captions of each picture are wanted; all but the best are its `others`.
            maxlen: codes of a caption at most; twice as many as the longest learnt from has by default.

        Raises:
            ArgumentError: for a beam, a number of captions or a length below 1, and for what are no pictures.
            MissingFileError, FileFormatError: for a file that is not there, or no picture.
        """
        self._check_trained()
        return write(
            self.network,
            self.vocabulary,
            check_images(images, self.settings.image_size),
            beam=beam,
            length_penalty=length_penalty,
            best=best,
            maxlen=maxlen if maxlen is not None else _LONGER * self.longest,
        )

    @public
    def evaluate(self, images: Any, captions: Sequence[str], *, beam: int = 1) -> float:
        """Return the share of the pictures whose caption is exactly the one given, in the model's spelling.

        Args:
            images, captions: as `fit` takes them.
            beam: see `caption`.

        Raises:
            ArgumentError, ShapeError: as `fit`.
        """
        self._check_trained()
        return self._exact(read_samples("images", images, captions, self.settings.image_size), beam)

    @public
    def attention(self, image: Any, caption: str | None = None) -> CaptionAttention:
        """Return where it looks in a picture while it writes each word.

        Args:
            image: a file, or an array `[height, width, 3]`.
            caption: a text to look at; what the model would write by default.

        Raises:
            ArgumentError: for a model without attention, a caption without words, and for what is no picture.
            MissingFileError, FileFormatError: for a file that is not there, or no picture.
        """
        self._check_trained()
        if self.network.decoder.attention is None:
            raise ArgumentError("attention: this model has none; it was made with attention=None")
        pixels = check_images([image], self.settings.image_size)
        text = self.caption(pixels)[0].text if caption is None else check_captions([caption])[0]
        return look(self.network, self.vocabulary, pixels, text)

    @public
    def spelled(self, captions: Sequence[str]) -> list[str]:
        """Return captions as the model could say them at best: in its own spelling, in words that it knows.

        Raises:
            ArgumentError: for what are no captions.
        """
        self._check_trained()
        codes = self.vocabulary.encode(check_captions(captions))
        return [join(self.vocabulary, tuple(one[1:].tolist())) for one in codes]

    def _exact(self, samples: CaptionSamples, beam: int) -> float:
        found = self.caption(samples.images, beam=beam)
        right = self.spelled(samples.captions)
        return float(np.mean([one.text == text for one, text in zip(found, right, strict=True)]))
