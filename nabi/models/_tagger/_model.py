"""A tagger: it learns from sentences whose tokens have tags, and tags others."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nabi import _checks
from nabi._public import public
from nabi.data import SCHEMES, Labels, Span, TaggedTokens, scheme_of, spans_of, split_words, tags_of
from nabi.errors import ArgumentError
from nabi.models._baselines._verdict import verdict
from nabi.models._classifier._report import SECONDS_TO_MEASURE, Report
from nabi.models._sequences._samples import SequenceSamples
from nabi.models._tagger._baseline import FrequentTags
from nabi.models._tagger._codes import LONGEST, TokenCodes
from nabi.models._tagger._decoding import best_tags, forbidden
from nabi.models._tagger._network import TaggerNetwork
from nabi.models._tagger._report import TaggerReport, score_spans
from nabi.models._tagger._sentences import Sentences, read_sentences, token_lists
from nabi.models._tagger._settings import TaggerSettings
from nabi.models._tagger._training import BATCH_TO_READ, TaggerTraining
from nabi.models._task._task_model import TaskModel
from nabi.training import Afterwards, ResumableTraining, as_time_limit

__all__ = ["TaggedSentence", "Tagger"]

# A training sees about so many sentences unless it is told otherwise.
_SENTENCES_TO_SEE = 20_000
_FEWEST_EPOCHS, _MOST_EPOCHS = 15, 200


@dataclass(frozen=True)
class TaggedSentence:
    """What a tagger says of a sentence."""

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    """One of each token, in the scheme of the training data."""
    probabilities: tuple[float, ...]
    """Of each of these tags."""
    spans: tuple[Span, ...]
    """What the tags mark, in order; none for plain tags."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it; the probability of a span is the lowest of its tokens'."""
        return {
            "tokens": list(self.tokens),
            "tags": list(self.tags),
            "probabilities": [round(one, 6) for one in self.probabilities],
            "spans": [
                {
                    "type": span.type,
                    "start": span.start,
                    "end": span.end,
                    "text": " ".join(self.tokens[span.start : span.end]),
                    "probability": round(min(self.probabilities[span.start : span.end]), 6),
                }
                for span in self.spans
            ],
        }


class TaggerData(NamedTuple):
    """What a tagger learns from, and is measured on."""

    train: Sentences
    validation: Sentences
    test: Sentences | None


class Tagger(TaskModel):
    """Learns from sentences whose tokens have tags (names, parts of speech, phrases), and tags others.

    A token is read as a word, and as what a convolution finds in its characters, so that unknown words are
    known by their endings and capital letters. Recurrent layers of any cell read the sentence in both
    directions; each token gets the probabilities of all tags. Where tags mark spans (BIO, IOB1, IOBES or
    BILOU, as `nabi.data.scheme_of` recognises them), the tags of a sentence are the most probable ones that
    mark whole spans. Beside the network stands the most frequent tag of each token.

    Raises:
        ArgumentError: for a value that cannot be used; `UnknownNameError` for an unknown name.

    >>> names, towns = ("Ann", "Bob", "Cleo", "Dan"), ("Rome", "Oslo", "Paris", "Lima", "Basel")
    >>> sentences = [[name, "lives", "in", town, "."] for name in names for town in towns]
    >>> model = Tagger(units=16, embedding_size=16, characters=8, epochs=20, batch_size=2, hidden_words=5.0)
    >>> tags = [["B-PER", "O", "O", "B-LOC", "O"]] * len(sentences)
    >>> report = model.fit(sentences, tags, validation_share=0, verbose=0)
    >>> [told] = model.predict(["Dee lives in Pisa."])
    >>> told.tags, told.spans[1]
    (('B-PER', 'O', 'O', 'B-LOC', 'O'), Span(start=3, end=4, type='LOC'))
    """

    _kind = "tagger"
    _called = "a tagger"
    _settings_type = TaggerSettings
    _report_type = TaggerReport

    settings: TaggerSettings
    network: TaggerNetwork
    report: TaggerReport
    labels: Labels
    """The tags that it tells apart; those of spans as BIO."""
    scheme: str | None
    """How the training data wrote spans as tags, of `nabi.data.SCHEMES`; None for plain tags."""
    columns: tuple[int | str | None, int | str | None]
    """Of tokens and tags, as they were given for the file of the training; None where nothing was."""

    # Training -----------------------------------------------------------------------------------------------

    @public
    def fit(
        self,
        data: str | os.PathLike[str] | TaggedTokens | Sequence[Sequence[str]],
        tags: Sequence[Sequence[str]] | None = None,
        *,
        validation: Any = None,
        validation_share: float = 0.1,
        test: Any = None,
        test_share: float = 0.0,
        token: int | str | None = None,
        tag: int | str | None = None,
        encoding: str = "utf-8",
        separator: str | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        minutes: float | None = None,
        verbose: int | str = "auto",
        callbacks: Any = None,
    ) -> TaggerReport:
        """Learn from sentences and the tags of their tokens.

        Everything that is wrong with them is found before training starts. After every epoch the validation
        part is tagged; the weights of the best F1 of spans, or of the best accuracy of plain tags, are kept.
        The report is about the test part, which is read once, at the end; without one, about the validation
        part. Ctrl-C ends the training after the batch; the best weights so far are kept.

        Args:
            data: a file as `nabi.data.read_tagged` reads it, what that gave, or a list of lists of tokens.
            tags: for lists of tokens, as many tags of each.
            validation: what is looked at after every epoch: a file, `TaggedTokens`, or (tokens, tags).
            validation_share: else so many of the sentences are held out for this; 0 for none. Equal sentences
                are held out together; of 20 documents or more, whole documents are.
            test: what the report is about, as `validation`.
            test_share: else so many of the sentences are held out for this, before those for validation.
            token: column of the tokens in files, as `read_tagged` takes it.
            tag: column of the tags.
            encoding: of files.
            separator: between the columns of files.
            checkpoint: a file that keeps where training stands, written every minute: the same call goes on
                from there after an interruption, and ends with the same weights as if there had been none.
                It is removed at the end.
            minutes: the time that training may take, None for all that it needs: there are as many steps as
                fit into it, at most all epochs, and the learning rate goes through its whole course in them.
                The clock runs from the call on; what is measured after the last validation comes on top.
            verbose: 0 nothing, 1 or "auto" a bar on a terminal, 2 a line per epoch.
            callbacks: objects of `nabi.callbacks`; they hear of epochs, batches and validation.

        Raises:
            ArgumentError: for something else than sentences, another number of tags than tokens, one tag
                only, and a share that leaves nothing.
            MissingFileError, FileFormatError: for a file that cannot be read, with its line.
            NotFiniteError: if the loss becomes NaN or infinite.
        """
        limit = as_time_limit(minutes)
        settings: TaggerSettings = self.asked
        reading = {"token": token, "tag": tag, "encoding": encoding, "separator": separator}
        train = read_sentences("data", data, tags, reading)
        tested = None
        if test is not None:
            tested = _part("test", test, reading)
        elif test_share:
            train, tested = train.divided(test_share, settings.seed)
        if validation is not None:
            held_out = _part("validation", validation, reading)
        else:
            train, held_out = train.divided(validation_share, settings.seed)
        report: TaggerReport = self._learn(
            TaggerData(train, held_out, tested),
            checkpoint=checkpoint,
            limit=limit,
            verbose=verbose,
            callbacks=callbacks,
        )
        return report

    def _prepare(self, data: TaggerData) -> TaggerSettings:
        """Learn words, characters and tags, and choose how often all are gone through."""
        asked: TaggerSettings = self.asked
        parts = [one for one in data if one is not None]
        self.columns = data.train.columns
        self.scheme = scheme_of([tags for part in parts for tags in part.tags])
        # A rare tag may be in a part that is held out only; it belongs to what the data tells apart.
        self.labels = Labels(sorted({tag for part in parts for row in self._plain(part.tags) for tag in row}))
        self._codes, self._counts = TokenCodes.learn(
            data.train.tokens, asked.lowercase, asked.vocabulary_size or 0, asked.minimum_count
        )
        self._baseline = FrequentTags.learn(data.train.tokens, self._plain(data.train.tags))
        wanted = min(max(round(_SENTENCES_TO_SEE / len(data.train)), _FEWEST_EPOCHS), _MOST_EPOCHS)
        return replace(asked, epochs=asked.epochs or wanted)

    def _plain(self, tags: Sequence[Sequence[str]]) -> list[list[str]]:
        """Return tags as the network knows them: those of spans as BIO."""
        if self.scheme is None:
            return [list(row) for row in tags]
        return [tags_of(spans_of(row), len(row)) for row in tags]

    def _make_network(self) -> TaggerNetwork:
        """Return a network with random weights."""
        codes = self._codes
        return TaggerNetwork(
            codes.word_count, codes.character_count, len(self.labels), self.cell, self.settings
        )

    def _make_training(self, data: TaggerData, checkpoint: Path | None) -> TaggerTraining:
        """Return the training."""
        names = self.labels.names
        rarely = self.settings.hidden_words
        counts = torch.from_numpy(self._counts).float()
        hidden = torch.where(counts > 0, rarely / (rarely + counts), 0.0) if rarely else counts * 0

        def judge(said: Sequence[Sequence[int]], right: Sequence[Sequence[int]]) -> float:
            if self.scheme is None:
                hits = [
                    one == other
                    for row, wanted in zip(said, right, strict=True)
                    for one, other in zip(row, wanted, strict=True)
                ]
                return sum(hits) / len(hits)
            told, known = ([[names[one] for one in row] for row in rows] for rows in (said, right))
            return score_spans(told, known).f1

        return TaggerTraining(
            self.network,
            self._samples(data.train),
            self._samples(data.validation),
            hidden=hidden,
            decode=self._decode,
            judge=judge,
            measured="accuracy" if self.scheme is None else "f1",
            settings=self.settings,
            checkpoint=checkpoint,
        )

    def _samples(self, sentences: Sentences) -> SequenceSamples:
        inputs = [self._codes.encode(tokens) for tokens in sentences.tokens]
        number = {name: place for place, name in enumerate(self.labels.names)}
        targets = [np.array([number[tag] for tag in row]) for row in self._plain(sentences.tags)]
        return SequenceSamples(inputs, targets, sentences.names)

    def _report_takes(self, data: TaggerData, training: ResumableTraining) -> Afterwards:
        """Return what tells how long the report takes: reading the part that it is about."""
        judged = data.validation if data.test is None else data.test
        return Afterwards(len(judged) / len(data.train), seconds=SECONDS_TO_MEASURE)

    def _make_report(self, data: TaggerData, training: ResumableTraining) -> TaggerReport:
        """Measure on the test part, or on the validation part."""
        return self._measure(
            data.validation if data.test is None else data.test,
            "validation" if data.test is None else "test",
            train=len(data.train),
            seconds=training.position.seconds,
            interrupted=training.interrupted,
        )

    # Files --------------------------------------------------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        """Return words, characters and tags."""
        return {
            "labels": list(self.labels.names),
            "scheme": self.scheme,
            "columns": list(self.columns),
            "codes": self._codes.to_dict(),
            "baseline": self._baseline.to_dict(),
        }

    def _set_state(self, state: Mapping[str, Any]) -> None:
        """Take what `_state` gave."""
        self.labels = Labels(state["labels"])
        scheme = state["scheme"]
        self.scheme = None if scheme is None else _checks.choice("scheme", scheme, SCHEMES)
        token, tag = state["columns"]
        for one in (token, tag):
            if one is not None and type(one) not in (int, str):
                raise ArgumentError(f"columns: expected numbers or names, got {one!r}")
        self.columns = token, tag
        self._codes = TokenCodes.from_dict(state["codes"])
        self._baseline = FrequentTags.from_dict(state["baseline"])

    @property
    def codes(self) -> dict[str, Any]:
        """The words and characters that it knows, in the order of their codes, which begin at 2."""
        return self._codes.to_dict()

    @property
    def characters_read(self) -> int:
        """How many characters of a token are read at most."""
        return LONGEST

    @public
    def encode(self, tokens: Sequence[str]) -> npt.NDArray[np.int32]:
        """Return what the network reads of T tokens: of each the code of its word, then of its characters.

        Returns:
            `[T, 1 + characters_read]`, where 0 is padding and 1 is unknown.

        Raises:
            ArgumentError: for something else than texts.
        """
        self._check_trained()
        return self._codes.encode(token_lists("tokens", [tokens])[0])

    # Asking -------------------------------------------------------------------------------------------------

    @public
    def predict(self, sentences: Sequence[str | Sequence[str]]) -> list[TaggedSentence]:
        """Return the tags of each sentence.

        Args:
            sentences: texts, which are cut into words, numbers and other characters; or lists of tokens.

        Raises:
            ArgumentError: for something else.
        """
        self._check_trained()
        tokens = self._tokens(sentences)
        names, values = self.labels.names, self._log_probabilities(tokens)
        told = []
        for row, (scores, numbers) in zip(tokens, values, strict=True):
            tags = [names[one] for one in numbers]
            sure = scores[np.arange(len(numbers)), numbers]
            spans: list[Span] = []
            if self.scheme is not None:
                spans = spans_of(tags)
                tags = tags_of(spans, len(tags), self.scheme)
            probabilities = tuple(float(one) for one in np.exp(sure))
            told.append(TaggedSentence(tuple(row), tuple(tags), probabilities, tuple(spans)))
        return told

    @public
    def probabilities(self, sentences: Sequence[str | Sequence[str]]) -> list[Any]:
        """Return the probabilities of the tags of every token of each sentence, `[T, tags]`.

        The tags are in the order of `labels.names`; those of spans are BIO.

        Raises:
            ArgumentError: as `predict`.
        """
        self._check_trained()
        return [np.exp(scores) for scores, _ in self._log_probabilities(self._tokens(sentences))]

    @public
    def evaluate(
        self,
        data: Any,
        tags: Sequence[Sequence[str]] | None = None,
        *,
        token: int | str | None = None,
        tag: int | str | None = None,
        encoding: str = "utf-8",
        separator: str | None = None,
    ) -> TaggerReport:
        """Return how good it is on other sentences, with the most frequent tag of each token beside it.

        A tag that it has never seen counts as wrong.

        Args:
            data, tags, encoding, separator: as `fit` takes them.
            token: column of the tokens in a file; as in training by default.
            tag: column of the tags; as in training by default.

        Raises:
            ArgumentError, MissingFileError, FileFormatError: as `fit`.
        """
        self._check_trained()
        columns = (self.columns[0] if token is None else token, self.columns[1] if tag is None else tag)
        reading = {"token": columns[0], "tag": columns[1], "encoding": encoding, "separator": separator}
        sentences = read_sentences("data", data, tags, reading)
        return self._measure(sentences, "other", train=self.report.train, seconds=self.report.seconds)

    def _tokens(self, sentences: Any) -> list[list[str]]:
        if isinstance(sentences, str | bytes | Mapping) or not hasattr(sentences, "__iter__"):
            raise ArgumentError(f"sentences: expected a list, got {_checks.short(sentences)}")
        return token_lists(
            "sentences", [split_words(one) if isinstance(one, str) else one for one in sentences]
        )

    def _log_probabilities(self, tokens: Sequence[Sequence[str]]) -> list[tuple[Any, list[int]]]:
        """Return of each sentence the logarithms of probabilities `[T, tags]`, and the best tags' numbers."""
        empty = np.zeros((0, len(self.labels)), np.float32)
        found: list[tuple[Any, list[int]]] = [(empty, [])] * len(tokens)
        places = [place for place, one in enumerate(tokens) if len(one)]
        if not places:
            return found
        samples = SequenceSamples([self._codes.encode(tokens[place]) for place in places])
        with torch.no_grad():
            for rows in samples.by_length(BATCH_TO_READ):
                batch = samples.batch(rows)
                scores = self.network(batch.inputs, batch.lengths).log_softmax(2)
                chosen = self._decode(scores, batch.lengths)
                for row, values, numbers in zip(rows, scores.numpy(), chosen, strict=True):
                    found[places[row]] = values[: len(numbers)], numbers
        return found

    def _decode(self, logits: Tensor, lengths: Tensor) -> list[list[int]]:
        """Return the numbers of the best tags of each sentence of a batch."""
        forbids = None if self.scheme is None else forbidden(self.labels.names)
        return best_tags(logits.log_softmax(2), lengths, forbids)

    def _measure(
        self, sentences: Sentences, part: str, *, train: int, seconds: float, interrupted: bool = False
    ) -> TaggerReport:
        """Compare what is said of sentences with their tags, and with the most frequent tag of each token."""
        told: dict[str, Any] = {"scores": None, "precision": None, "recall": None, "f1": None, "by_type": ()}
        told |= {"unseen": 0, "unseen_accuracy": None, "baselines": {}, "verdict": ""}
        measure = "accuracy" if self.scheme is None else "span F1"
        if len(sentences):
            names = self.labels.names
            right = self._plain(sentences.tags)
            values = self._log_probabilities(sentences.tokens)
            said = [[names[one] for one in numbers] for _, numbers in values]
            usual = [self._baseline.tags(tokens) for tokens in sentences.tokens]
            flat = [[tag for row in rows for tag in row] for rows in (right, said, usual)]
            told["scores"] = scores = self._token_scores(flat[0], flat[1], f"{part} tokens", interrupted)
            unknown = [not self._codes.knows(token) for row in sentences.tokens for token in row]
            told["unseen"] = sum(unknown)
            hits = [one == other for new, one, other in zip(unknown, *flat[:2], strict=True) if new]
            told["unseen_accuracy"] = sum(hits) / len(hits) if hits else None
            if self.scheme is None:
                own, things = scores.accuracy, len(flat[0])
                beside = sum(one == other for one, other in zip(flat[0], flat[2], strict=True)) / things
            else:
                found = score_spans(said, right)
                told |= found._asdict()
                own, beside = found.f1, score_spans(usual, right).f1
                things = max(sum(one.rows for one in found.by_type), 1)
            told["baselines"] = {FrequentTags.name: beside}
            # One standard error of the figure; the tokens of a sentence are not independent.
            margin = (own * (1 - own) / things) ** 0.5
            told["verdict"] = verdict(own, told["baselines"], measure=measure, margin=margin)
        return TaggerReport(
            train=train,
            held_out=len(sentences),
            part=part,
            scheme=self.scheme,
            measure=measure,
            seconds=seconds,
            interrupted=interrupted,
            **told,
        )

    def _token_scores(self, right: list[str], said: list[str], part: str, interrupted: bool) -> Report:
        """Return the figures of tokens; a right tag that was never learnt is one more class."""
        names = (*self.labels.names, *sorted(set(right) - set(self.labels.names)))
        number = {name: place for place, name in enumerate(names)}
        targets = np.array([number[tag] for tag in right])
        values = np.eye(len(names), dtype=np.float32)[[number[tag] for tag in said]]
        return Report.measure(names, targets, values, part=part, interrupted=interrupted)


def _part(name: str, given: Any, reading: Mapping[str, Any]) -> Sentences:
    """Return the sentences of a part: of a file, `TaggedTokens`, or a pair of tokens and tags."""
    if isinstance(given, tuple | list):
        if len(given) != 2:
            raise ArgumentError(f"{name}: expected a file or (tokens, tags), got {_checks.short(given)}")
        return read_sentences(name, given[0], given[1], reading)
    return read_sentences(name, given, None, reading)
