"""A model that reads text and writes on."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from nabi import _checks
from nabi._public import public
from nabi.data import Vocabulary
from nabi.decoding import Sampling, stream
from nabi.errors import ArgumentError
from nabi.models._language._figures import LanguageFigures
from nabi.models._language._network import LanguageNetwork, LanguageSteps
from nabi.models._language._settings import LanguageSettings
from nabi.models._language._training import LanguageReport, Training, nats
from nabi.models._language._words import NextWord, next_words
from nabi.models._task._task_model import TaskModel
from nabi.models._task._written_text import Codes, Divided, Joiner, divide, encode, read_texts
from nabi.training import Afterwards, ResumableTraining, as_time_limit

__all__ = ["LanguageModel"]

# A training reads about so many codes unless it is told otherwise; two cores take half an hour for them.
_CODES_TO_READ = 20_000_000
_FEWEST_EPOCHS, _MOST_EPOCHS = 3, 60


class _Data(NamedTuple):
    """The codes that a training learns from, validates with and is tested on."""

    vocabulary: Vocabulary
    several: bool
    """Whether they are of several texts, so that one can end."""
    train: Codes
    validation: Codes
    test: Codes


class LanguageModel(TaskModel):
    """Learns from text what comes next, character by character or word by word, and writes on.

    An embedding, recurrent layers of any cell and a softmax, trained with truncated backpropagation: the text
    is read as `batch_size` streams side by side, window after window, and the states go on from one window to
    the next, so that it learns from more than a window holds.

    Raises:
        ArgumentError: for a value that cannot be used; `UnknownNameError` for an unknown name.

    >>> model = LanguageModel(units=16, embedding_size=8, window=16, batch_size=4, epochs=60, warmup=10)
    >>> report = model.fit(["hello world. " * 40], verbose=0)
    >>> "".join(model.write("hello ", 18, temperature=0))
    'world. hello world'
    """

    _kind = "language model"
    _called = "a language model"
    _settings_type = LanguageSettings
    _report_type = LanguageReport

    settings: LanguageSettings
    network: LanguageNetwork
    vocabulary: Vocabulary
    report: LanguageReport
    """Of the text that was held out."""
    ends: bool
    """Whether it has learnt from several texts, and so where a text ends."""

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
        minutes: float | None = None,
        verbose: int | str = "auto",
        callbacks: Any = None,
    ) -> LanguageReport:
        """Learn from a text, and measure on its end, which is held out.

        Everything that is wrong with the text is found before training starts. Ctrl-C ends the training after
        the batch; the best weights so far are kept and measured, and the report is `interrupted`.

        Args:
            source: the path of a file of text (also compressed), of a folder or a `.zip` file whose texts are
                read one after the other (see `nabi.data.read_text_folder`), "-" for standard input, or a list
                of texts. Of several texts the model learns where one ends, too; those of a folder are one.
            validation_share: share that is looked at after every epoch: the best weights are kept. From one
                text its end but for the test share, from several some of them.
            test_share: share that is looked at once, the very end of one text.
            lines: whether each line of the file, or of all files of the folder, is a text.
            encoding: of the file.
            checkpoint: a file that keeps where training stands, written every minute: the same call goes on
                from there after an interruption, and ends with the same weights as if there had been none.
                It is removed at the end.
            minutes: the time that training may take, None for all that it needs: there are as many steps as
                fit into it, at most all epochs, and the learning rate goes through its whole course in them.
                The clock runs from the call on; what is measured after the last validation comes on top.
            verbose: 0 nothing, 1 or "auto" a bar on a terminal, 2 a line per epoch.
            callbacks: objects of `nabi.callbacks`; they hear of epochs, batches and validation.

        Raises:
            MissingFileError, FileFormatError: for a file that is not there, damaged or of another encoding.
            ArgumentError: for a text with nothing in it or shorter than a window, shares that leave nothing.
            NotFiniteError: if the loss becomes NaN or infinite.
        """
        limit = as_time_limit(minutes)
        texts = read_texts(
            source, lines=lines, encoding=encoding, tell=print if verbose != 0 else lambda _: None
        )
        parts = divide(texts, validation_share, test_share, self.asked.seed)
        data = _encoded(parts, self.asked)
        report: LanguageReport = self._learn(
            data, checkpoint=checkpoint, limit=limit, verbose=verbose, callbacks=callbacks
        )
        return report

    def _prepare(self, data: _Data) -> LanguageSettings:
        """Keep the vocabulary, and choose how often the text is read."""
        asked: LanguageSettings = self.asked
        self.vocabulary, self.ends = data.vocabulary, data.several
        wanted = min(max(round(_CODES_TO_READ / len(data.train)), _FEWEST_EPOCHS), _MOST_EPOCHS)
        return replace(asked, epochs=asked.epochs or wanted)

    def _make_network(self) -> LanguageNetwork:
        """Return a network for the codes of the vocabulary."""
        return LanguageNetwork(len(self.vocabulary), self.settings, self.cell, self.ends)

    def _make_training(self, data: _Data, checkpoint: Path | None) -> Training:
        """Return the training on the codes."""
        return Training(self.network, data.train, data.validation, self.settings, checkpoint)

    def _report_takes(self, data: _Data, training: ResumableTraining) -> Afterwards:
        """Return what tells how long the report takes: reading both parts that were held out."""
        return Afterwards((len(data.validation) + len(data.test)) / len(data.train))

    def _make_report(self, data: _Data, training: ResumableTraining) -> LanguageReport:
        """Measure on what was held out."""
        validation, test = data.validation, data.test
        return LanguageReport(
            self.settings.unit,
            len(data.train),
            len(validation),
            len(test),
            nats(self.network, validation) if len(validation) else None,
            nats(self.network, test) if len(test) else None,
            training.position.seconds,
            training.interrupted,
        )

    def _state(self) -> dict[str, Any]:
        """Return the vocabulary, and whether texts end."""
        return {"vocabulary": self.vocabulary.to_dict(), "ends": self.ends}

    def _set_state(self, state: Mapping[str, Any]) -> None:
        """Take what `_state` gave."""
        self.vocabulary, self.ends = Vocabulary.from_dict(state["vocabulary"]), bool(state["ends"])

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

    @public
    def measure(self, source: Any, *, lines: bool = False, encoding: str = "utf-8") -> LanguageFigures:
        """Return how well a text is foreseen: nats per code, perplexity, bits per character.

        The text is read as by `evaluate`; arguments and errors are those of `fit`.

        >>> model = LanguageModel(units=8, window=4, batch_size=2, epochs=1)
        >>> _ = model.fit(["abab" * 50], verbose=0)
        >>> figures = model.measure(["abababab"])
        >>> figures.codes, figures.characters, figures.unknown
        (8, 8, 0)
        >>> abs(figures.nats - model.evaluate(["abababab"])) < 1e-6
        True
        """
        self._check_trained()
        texts = read_texts(source, lines=lines, encoding=encoding)
        codes = encode(self.vocabulary, texts, self.ends)
        return LanguageFigures(
            self.settings.unit,
            len(codes),
            sum(map(len, texts)),
            int((codes == Vocabulary.UNKNOWN).sum()),
            nats(self.network, codes),
        )

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


def _encoded(parts: Divided, asked: LanguageSettings) -> _Data:
    """Learn the vocabulary of the text that is learnt from, and turn all texts into codes.

    Raises:
        ArgumentError: for a text that is shorter than a window.
    """
    _check_length(sum(map(len, parts.train)), "characters", asked.window)
    vocabulary = Vocabulary.learn(
        (line for text in parts.train for line in text.splitlines(keepends=True)),
        asked.unit,
        size=asked.vocabulary_size,
        lowercase=asked.lowercase,
        minimum_count=asked.minimum_count,
    )
    train, validation, test = (
        encode(vocabulary, part, parts.several) for part in (parts.train, parts.validation, parts.test)
    )
    _check_length(len(train), asked.unit, asked.window)
    return _Data(vocabulary, parts.several, train, validation, test)


def _check_length(count: int, unit: str, window: int) -> None:
    """Refuse a text that is shorter than a window and what follows it."""
    if count < window:
        raise ArgumentError(
            f"source: its {count:,} {unit} to learn from are fewer than a window of {window}; "
            "take a longer text or a smaller window"
        )
