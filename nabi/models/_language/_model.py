"""A model that reads text and writes on."""

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from nabi import _checks
from nabi._public import public
from nabi.cells import Cell
from nabi.data import Vocabulary
from nabi.decoding import Sampling, stream
from nabi.errors import ArgumentError, OutputError
from nabi.models._language import _files as _language_files
from nabi.models._language._network import LanguageNetwork
from nabi.models._language._report import LanguageReport
from nabi.models._language._settings import LanguageSettings
from nabi.models._language._steps import LanguageSteps
from nabi.models._language._training import Training, nats
from nabi.models._language._words import NextWord, next_words
from nabi.models._task._cell_choice import CellChoice, cell_name, check_cell, make_cell
from nabi.models._task._saved import Saved
from nabi.models._task._written_text import Codes, Joiner, divide, encode, read_texts
from nabi.training import CallbackList, as_callbacks, make_display

__all__ = ["LanguageModel"]

# A training reads about so many codes unless it is told otherwise; two cores take half an hour for them.
_CODES_TO_READ = 20_000_000
_FEWEST_EPOCHS, _MOST_EPOCHS = 3, 60


class LanguageModel(Saved):
    """Learns from text what comes next, character by character or word by word, and writes on.

    An embedding, recurrent layers of any cell and a softmax, trained with truncated backpropagation: the text
    is read as `batch_size` streams side by side, window after window, and the states go on from one window to
    the next, so that it learns from more than a window holds.

    Args:
        cell: a name of `nabi.cells.names()`, a class of a cell, or a cell.
        units: width of the cell's states.
        layers: recurrent layers on top of each other.
        unit: what is read and written: "characters", "words", or "pieces" of words.
        vocabulary_size: codes at most; rarer words are unknown.
        minimum_count: how often a word must be in the text to be known.
        lowercase: whether large and small letters are the same.
        embedding_size: width of the vector of a code.
        tied: whether the last layer's weights are the embedding.
        embedding_dropout: share of the codes that are left out of a window wherever they occur.
        input_dropout: share of the features of embedded codes left out, the same at all steps of a window.
        dropout: share of the outputs of each recurrent layer left out, likewise.
        weight_drop: share of the weights between a state and the next left out for a window.
        batch_size: streams; fewer where the text is too short for so many windows.
        window: codes through which gradients flow back.
        epochs: times that the text is read; chosen from its length by default.
        learning_rate: of AdamW, at its highest.
        schedule: "cosine", the rate falls to nearly nothing until the end of the training; or "constant".
        warmup: steps of training over which the rate rises, but no more than a tenth of all.
        clipnorm: the gradient of all weights together is scaled down to this norm.
        weight_decay: of AdamW.
        seed: of everything random. The same seed gives the same result.

    Raises:
        ArgumentError: for a value that cannot be used; `UnknownNameError` for an unknown name.

    >>> model = LanguageModel(units=16, embedding_size=8, window=16, batch_size=4, epochs=60, warmup=10)
    >>> report = model.fit(["hello world. " * 40], verbose=0)
    >>> "".join(model.write("hello ", 18, temperature=0))
    'world. hello world'
    """

    network: LanguageNetwork
    vocabulary: Vocabulary
    report: LanguageReport
    """Of the text that was held out."""
    ends: bool
    """Whether it has learnt from several texts, and so where a text ends."""

    _save, _fill = _language_files.save, _language_files.fill

    @public
    def __init__(
        self,
        cell: CellChoice = "lstm",
        *,
        units: int = 512,
        layers: int = 1,
        unit: str = "characters",
        vocabulary_size: int = 20_000,
        minimum_count: int = 1,
        lowercase: bool = False,
        embedding_size: int = 128,
        tied: bool = False,
        embedding_dropout: float = 0.0,
        input_dropout: float = 0.0,
        dropout: float = 0.2,
        weight_drop: float = 0.0,
        batch_size: int = 32,
        window: int = 128,
        epochs: int | None = None,
        learning_rate: float = 3e-3,
        schedule: str = "cosine",
        warmup: int = 100,
        clipnorm: float = 1.0,
        weight_decay: float = 0.01,
        seed: int = 0,
    ) -> None:
        check_cell(cell, None)
        self.asked = LanguageSettings(
            cell_name(cell),
            cell.units if isinstance(cell, Cell) else units,
            layers,
            unit,
            vocabulary_size,
            minimum_count,
            lowercase,
            embedding_size,
            tied,
            embedding_dropout,
            input_dropout,
            dropout,
            weight_drop,
            batch_size,
            window,
            epochs,
            learning_rate,
            schedule,
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
        source: Any,
        *,
        validation_share: float = 0.05,
        test_share: float = 0.05,
        lines: bool = False,
        encoding: str = "utf-8",
        checkpoint: str | os.PathLike[str] | None = None,
        verbose: int | str = "auto",
        callbacks: Any = None,
    ) -> LanguageReport:
        """Learn from a text, and measure on its end, which is held out.

        Everything that is wrong with the text is found before training starts. Ctrl-C ends the training after
        the batch; the best weights so far are kept and measured, and the report is `interrupted`.

        Args:
            source: the path of a file of text (also compressed), or a list of texts. Of several texts the
                model learns where one ends, too.
            validation_share: share that is looked at after every epoch: the best weights are kept. From one
                text its end but for the test share, from several some of them.
            test_share: share that is looked at once, the very end of one text.
            lines: whether each line of the file is a text.
            encoding: of the file.
            checkpoint: a file that keeps where training stands, written every minute: the same call goes on
                from there after an interruption, and ends with the same weights as if there had been none.
                It is removed at the end.
            verbose: 0 nothing, 1 or "auto" a bar on a terminal, 2 a line per epoch.
            callbacks: objects of `nabi.callbacks`; they hear of epochs, batches and validation.

        Raises:
            MissingFileError, FileFormatError: for a file that is not there, damaged or of another encoding.
            ArgumentError: for a text with nothing in it or shorter than a window, shares that leave nothing.
            NotFiniteError: if the loss becomes NaN or infinite.
        """
        texts = read_texts(source, lines=lines, encoding=encoding)
        parts = divide(texts, validation_share, test_share, self.asked.seed)
        display = make_display(verbose)
        asked, several = self.asked, parts.several
        _check_length(sum(map(len, parts.train)), "characters", asked.window)
        vocabulary = Vocabulary.learn(
            (line for text in parts.train for line in text.splitlines(keepends=True)),
            asked.unit,
            size=asked.vocabulary_size,
            lowercase=asked.lowercase,
            minimum_count=asked.minimum_count,
        )
        train, validation, test = (
            encode(vocabulary, part, several) for part in (parts.train, parts.validation, parts.test)
        )
        _check_length(len(train), asked.unit, asked.window)
        wanted = min(max(round(_CODES_TO_READ / len(train)), _FEWEST_EPOCHS), _MOST_EPOCHS)
        settings = replace(asked, epochs=asked.epochs or wanted)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            network = LanguageNetwork(len(vocabulary), settings, self.cell, several)
        place = None if checkpoint is None else _checks.path("checkpoint", checkpoint, wrong=OutputError)
        training = Training(network, train, validation, settings, place)
        shown = {"epochs": settings.epochs, "verbose": verbose}
        hears = CallbackList(as_callbacks(callbacks), self, {**shown, "steps": training.windows})
        training.run(display, hears)
        self.network, self.vocabulary, self.settings, self.ends = network, vocabulary, settings, several
        self.history = training.position.history
        self.trained = True
        self.report = LanguageReport(
            settings.unit,
            len(train),
            len(validation),
            len(test),
            nats(network, validation) if len(validation) else None,
            nats(network, test) if len(test) else None,
            training.position.seconds,
            training.interrupted,
        )
        return self.report

    # Asking -----------------------------------------------------------------------------------------------

    @public
    def evaluate(self, source: Any, *, lines: bool = False, encoding: str = "utf-8") -> float:
        """Return the mean negative log probability of a text's codes, in nats; arguments as in `fit`.

        The text is read from its beginning to its end, in one stream. What is unknown counts as unknown.

        Raises:
            ArgumentError, MissingFileError, FileFormatError: as `fit`.
        """
        self._check_trained()
        texts = read_texts(source, lines=lines, encoding=encoding)
        return nats(self.network, encode(self.vocabulary, texts, self.ends))

    def unknown(self, text: str) -> list[str]:
        """Return the characters or words of a text that the model does not know, each once."""
        self._check_trained()
        tokens = self.vocabulary.tokens(text)
        return list(dict.fromkeys(t.text for t in tokens if t.code == Vocabulary.UNKNOWN))

    @public
    def write(
        self,
        start: str = "",
        length: int = 500,
        *,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float = 1.0,
        repetition_penalty: float = 1.0,
        seed: int = 0,
    ) -> Iterator[str]:
        """Write on after a beginning; what is written comes piece by piece, while it is written.

        The pieces are characters or words, with the space before them; `start` is not repeated. A model of
        several texts may end one sooner. Any length takes the same memory.

        Args:
            start: what comes before; nothing is the beginning of a text.
            length: characters or words at most.
            temperature, top_k, top_p, repetition_penalty, seed: see `nabi.decoding.Sampling`; a temperature
                of 0 writes what is most probable.

        Raises:
            ArgumentError: for a start that has something unknown in it, a length below 1, and as `Sampling`.

        Returns an iterator: `"".join(model.write("ROMEO:"))` is the text.
        """
        self._check_trained()
        strategy = Sampling(temperature, top_k, top_p, repetition_penalty=repetition_penalty, seed=seed)
        length = _checks.whole("length", length)
        unknown = self.unknown(start)
        if unknown:
            shown = ", ".join(map(repr, unknown[:5])) + (" and others" if len(unknown) > 5 else "")
            raise ArgumentError(
                f"start: {shown} is not among the {len(self.vocabulary) - 4:,} {self.settings.unit} that the "
                "model knows"
            )
        steps, state, last = self._read(start)
        end = Vocabulary.START if self.ends else None
        written = stream(steps, state, last, strategy, end=end, maxlen=length)
        return self._texts(written, Joiner(self.vocabulary, start))

    @staticmethod
    def _texts(written: Iterator[Any], joiner: Joiner) -> Iterator[str]:
        for step in written:
            if len(step.codes):
                yield joiner.text(int(step.codes[0]))

    @public
    def next_words(self, text: str, n: int = 5) -> list[NextWord]:
        """Return the most probable next words after a text, the most probable first.

        Unknown words are read as such; `unknown` says which they are. A model of characters spells the words:
        the most probable ones that a beam search finds, after a space where the text ends with a letter.

        Args:
            text: what comes before.
            n: how many words.

        Raises:
            ArgumentError: for a number below 1, and for a model of pieces of words.
        """
        self._check_trained()
        return next_words(self.vocabulary, text, n, self._read)

    def _read(self, text: str) -> tuple[LanguageSteps, Any, Any]:
        """The model after all of a text but its last code, and that code."""
        codes = np.concatenate([[Vocabulary.START], encode(self.vocabulary, [text], several=False)])
        banned = {Vocabulary.PADDING, Vocabulary.UNKNOWN, Vocabulary.SEPARATOR}
        if not self.ends:
            banned.add(Vocabulary.START)
        steps = LanguageSteps(self.network, banned)
        read: Codes = codes.astype(np.int64)
        state = steps.start(torch.from_numpy(read[None, :-1].copy()))
        return steps, state, torch.from_numpy(read[-1:].copy())


def _check_length(count: int, unit: str, window: int) -> None:
    """Refuse a text that is shorter than a window and what follows it."""
    if count < window:
        raise ArgumentError(
            f"source: its {count:,} {unit} to learn from are fewer than a window of {window}; "
            "take a longer text or a smaller window"
        )
