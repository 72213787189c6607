"""A model that says what is in a picture."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from nabi import _checks
from nabi._public import public
from nabi.cells import Cell
from nabi.data import Vocabulary
from nabi.errors import ArgumentError, OutputError
from nabi.models._captioner import _files as _caption_files
from nabi.models._captioner._network import CaptionNetwork
from nabi.models._captioner._report import CaptionReport
from nabi.models._captioner._samples import Samples, check_captions, check_images, divide, read_samples
from nabi.models._captioner._settings import CaptionSettings
from nabi.models._captioner._training import Captioned, CaptionTraining, nats
from nabi.models._captioner._writing import Caption, CaptionAttention, join, look, write
from nabi.models._task._cell_choice import CellChoice, cell_name, check_cell, make_cell
from nabi.models._task._saved import Saved
from nabi.training import CallbackList, as_callbacks, make_display

__all__ = ["Captioner"]

# A training sees about so many pictures unless it is told otherwise.
_PICTURES_TO_SEE = 150_000
_FEWEST_EPOCHS, _MOST_EPOCHS = 5, 200
# A caption may become so many times longer than the longest that was learnt from.
_LONGER = 2


class Captioner(Saved):
    """Learns from pictures with captions to write captions of pictures.

    Convolutions make a vector of each region of a picture (`channels`; between each and the next the picture
    becomes half as large), which says its form and its colour apart from each other. A recurrent decoder of
    any cell begins with a summary of them, and looks at them again for each word (Xu et al. 2015, soft
    attention).

    Args:
        cell: a name of `nabi.cells.names()`, a class of a cell, or a cell.
        units: width of the cell's states.
        layers: recurrent layers on top of each other.
        image_size: to which pictures are made larger or smaller, height and width in pixels.
        channels: of each convolution.
        attention: "bahdanau", which learns sooner where to look, "luong", or None: then the decoder has the
            summary alone.
        unit: what captions are cut into: "words", "characters", or "pieces" of words.
        vocabulary_size: codes at most; rarer words are unknown.
        minimum_count: how often a word must have been seen to be known.
        lowercase: whether large and small letters are the same.
        embedding_size: width of the vector of a code.
        dropout: share of the features left out in training: of embedded codes, of the outputs of every layer,
            and of what is read out.
        word_dropout: share of the words left out of what a batch reads, wherever they occur, so that the next
            ones are looked for in the picture and not guessed from them.
        batch_size: captions per step of training.
        epochs: times that everything is gone through; chosen from its number by default.
        learning_rate: of AdamW, at its highest; it falls to nearly nothing until the end.
        warmup: steps of training over which the rate rises, but no more than a tenth of all.
        clipnorm: the gradient of all weights together is scaled down to this norm.
        weight_decay: of AdamW.
        seed: of everything random. The same seed gives the same result.

    Raises:
        ArgumentError: for a value that cannot be used; `UnknownNameError` for an unknown name.

    >>> light, dark = np.full((2, 8, 8, 3), [[[[250]]], [[[10]]]], dtype=np.uint8)
    >>> captioner = Captioner(units=16, image_size=8, channels=(8, 8), embedding_size=8, learning_rate=0.01)
    >>> report = captioner.fit(
    ...     [light, dark] * 16, ["it is day", "it is night"] * 16, validation_share=0, verbose=0)
    >>> [caption.text for caption in captioner.caption([dark, light])]
    ['it is night', 'it is day']
    """

    network: CaptionNetwork
    vocabulary: Vocabulary
    report: CaptionReport
    """Of what was held out."""
    longest: int
    """Codes of the longest caption that it has learnt from, the end included."""

    _save, _fill = _caption_files.save, _caption_files.fill

    @public
    def __init__(
        self,
        cell: CellChoice = "gru",
        *,
        units: int = 128,
        layers: int = 1,
        image_size: int = 48,
        channels: Sequence[int] = (16, 32, 64, 64),
        attention: str | None = "bahdanau",
        unit: str = "words",
        vocabulary_size: int = 10_000,
        minimum_count: int = 1,
        lowercase: bool = True,
        embedding_size: int = 64,
        dropout: float = 0.1,
        word_dropout: float = 0.2,
        batch_size: int = 32,
        epochs: int | None = None,
        learning_rate: float = 4e-3,
        warmup: int = 100,
        clipnorm: float = 1.0,
        weight_decay: float = 0.01,
        seed: int = 0,
    ) -> None:
        check_cell(cell, None)
        self.asked = CaptionSettings(
            cell_name(cell),
            cell.units if isinstance(cell, Cell) else units,
            layers,
            image_size,
            channels,  # type: ignore[arg-type]
            attention,
            unit,
            vocabulary_size,
            minimum_count,
            lowercase,
            embedding_size,
            dropout,
            word_dropout,
            batch_size,
            epochs,
            learning_rate,
            warmup,
            clipnorm,
            weight_decay,
            seed,
        )
        self.settings = self.asked
        self.cell = make_cell(cell, self.asked.units)
        self.trained = False

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
            verbose: 0 nothing, 1 or "auto" a bar on a terminal, 2 a line per epoch.
            callbacks: objects of `nabi.callbacks`; they hear of epochs, batches and validation.

        Raises:
            ArgumentError, ShapeError: for what are no pictures or captions, empty captions, no pictures, half
                of the files or more that cannot be read, and a share that leaves nothing.
            NotFiniteError: if the loss becomes NaN or infinite.
        """
        asked, size = self.asked, self.asked.image_size
        samples = read_samples("images", images, captions, size)
        if validation is None:
            train, held_out = divide(samples, validation_share, asked.seed)
        else:
            if not isinstance(validation, tuple | list) or len(validation) != 2:
                raise ArgumentError(f"validation: got {validation!r}, expected (images, captions)")
            train, held_out = samples, read_samples("validation", *validation, size)
        display = make_display(verbose)
        vocabulary = Vocabulary.learn(
            train.captions,
            asked.unit,
            size=asked.vocabulary_size,
            lowercase=asked.lowercase,
            minimum_count=asked.minimum_count,
        )
        wanted = min(max(round(_PICTURES_TO_SEE / len(train)), _FEWEST_EPOCHS), _MOST_EPOCHS)
        settings = replace(asked, epochs=asked.epochs or wanted)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            network = CaptionNetwork(len(vocabulary), settings, self.cell)
        place = None if checkpoint is None else _checks.path("checkpoint", checkpoint, wrong=OutputError)
        training = CaptionTraining(network, train, held_out, vocabulary, settings, place)
        shown = {"epochs": settings.epochs, "verbose": verbose, "steps": training.batches_per_epoch}
        training.run(display, CallbackList(as_callbacks(callbacks), self, shown))
        self.network, self.vocabulary, self.settings = network, vocabulary, settings
        self.longest = max(map(len, train.encode(vocabulary))) - 1
        self.history = training.position.history
        self.trained = True
        self.report = CaptionReport(
            len(train),
            len(held_out),
            nats(network, Captioned(held_out, vocabulary)) if len(held_out) else None,
            self._exact(held_out, 1) if len(held_out) else None,
            training.position.seconds,
            (*samples.skipped, *(held_out.skipped if validation is not None else ())),
            training.interrupted,
        )
        return self.report

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

    def _exact(self, samples: Samples, beam: int) -> float:
        found = self.caption(samples.images, beam=beam)
        # What it could have said at best: the same text in its own spelling.
        right = [
            join(self.vocabulary, tuple(codes[1:].tolist()))
            for codes in self.vocabulary.encode(samples.captions)
        ]
        return float(np.mean([one.text == text for one, text in zip(found, right, strict=True)]))
