"""From text to label: everything between a table of texts and a trained network."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from nabi.data import Labels, LengthGroups, Vocabulary
from nabi.errors import ArgumentError
from nabi.models import _text_files
from nabi.models._report import Report
from nabi.models._sequential import Sequential
from nabi.models._text_encoding import as_texts, encode_texts
from nabi.models._text_network import CellChoice, cell_name, check_cell
from nabi.models._text_parts import Parts, divide
from nabi.models._text_samples import Columns, Samples, TableFormat, collect_samples
from nabi.models._text_settings import TextSettings
from nabi.models._text_training import train

__all__ = ["Prediction", "TextClassifier"]

_BATCH_SIZE = 64  # of predictions


@dataclass(frozen=True)
class Prediction:
    """What a classifier says of a text."""

    label: str | tuple[str, ...]
    """The likeliest label; with several at once, all whose probability is above the threshold."""
    probability: float
    """Of that label; with several at once, of the likeliest label, given or not."""
    probabilities: dict[str, float]
    """Of all labels."""


class TextClassifier:
    """Learns to tell the label of a text: a recurrent network with all that it needs around it.

    It reads a table of texts and labels (or lists), learns a vocabulary, trains an embedding and a recurrent
    layer until rows held out get no better, and says how well it does on others. What is None (or "auto") is
    chosen from the data; `settings` says what was chosen.

    Args:
        cell: a name of `nabi.cells.names()`, a class of a cell, or a cell.
        units: width of the cell's states, in each direction.
        unit: what texts are cut into: "words", "characters", "pieces" (of words), or "auto": words, but
            pieces where more than three tenths of the words of held-out texts would be unknown.
        vocabulary_size: codes at most.
        maxlen: tokens of a text that are read.
        truncating: what is cut off a longer text, its end ("post") or its beginning ("pre").
        bidirectional: whether the text is read in both directions.
        pooling: what is taken of the outputs of all steps: their "max", their "mean", or the "last".
        embedding_size: width of the vector of a token.
        dropout: share of an embedding's features, and of the features before the last layer, left out in
            training.
        batch_size: texts per step of training; texts of about the same length are put together.
        epochs: at most.
        patience: epochs without a lower validation loss before training ends; the best weights are kept.
        learning_rate: of Adam.
        class_weight: "balanced" makes rare labels count as much as frequent ones.
        label_separator: what stands between the labels, where a text has several in one column.
        seed: of everything random. The same seed gives the same result.

    Raises:
        ArgumentError: for a value that cannot be used; `UnknownNameError` for an unknown name.

    >>> texts = ["a good film", "good and warm", "so good", "bad", "a bad film", "bad and cold"] * 5
    >>> labels = (["+"] * 3 + ["-"] * 3) * 5
    >>> classifier = TextClassifier(units=4, embedding_size=8, epochs=30, learning_rate=0.03)
    >>> report = classifier.fit(texts, labels, verbose=0)
    >>> classifier.predict(["good", "a cold and bad film"])[1].label
    '-'
    """

    model: Sequential
    """The network: codes `[B, T]` to probabilities `[B, labels]`."""
    vocabulary: Vocabulary
    labels: Labels
    report: Report
    """Of the rows that were held out."""
    validation_report: Report | None
    """Of the rows that said when to stop."""
    shares: npt.NDArray[np.float64]
    """Of the labels among the rows trained on."""
    history: dict[str, list[float]]
    """Figures of every epoch."""
    seconds: float
    """How long training took."""
    reasons: Mapping[str, str]
    """Why settings were chosen as they were."""
    notes: tuple[str, ...]
    """What a user should know about the data: rows left out, labels seen once."""

    def __init__(
        self,
        cell: CellChoice = "lstm",
        *,
        units: int | None = None,
        unit: str = "auto",
        vocabulary_size: int = 20_000,
        maxlen: int | None = None,
        truncating: str = "post",
        bidirectional: bool = True,
        pooling: str = "max",
        embedding_size: int | None = None,
        dropout: float | None = None,
        batch_size: int | None = None,
        epochs: int | None = None,
        patience: int | None = None,
        learning_rate: float | None = None,
        class_weight: str | None = None,
        label_separator: str | None = None,
        seed: int = 0,
    ) -> None:
        check_cell(cell, units)
        self.cell = cell
        self.asked = TextSettings(
            cell=cell_name(cell),
            units=units,
            unit=unit,
            vocabulary_size=vocabulary_size,
            maxlen=maxlen,
            truncating=truncating,
            bidirectional=bidirectional,
            pooling=pooling,
            embedding_size=embedding_size,
            dropout=dropout,
            batch_size=batch_size,
            epochs=epochs,
            patience=patience,
            learning_rate=learning_rate,
            class_weight=class_weight,
            label_separator=label_separator,
            seed=seed,
        )
        self.settings = self.asked
        self.columns: Columns | None = None
        self.has_aspects = False
        self.trained = False

    # Training ---------------------------------------------------------------------------------------------

    def fit(
        self,
        source: Any,
        labels: Sequence[Any] | None = None,
        aspects: Sequence[str] | None = None,
        *,
        text: str | None = None,
        label: str | Sequence[str] | None = None,
        aspect: str | None = None,
        validation_share: float = 0.1,
        test_share: float = 0.1,
        validation: Any = None,
        test: Any = None,
        encoding: str = "utf-8",
        separator: str | None = None,
        quoted: bool = True,
        verbose: int | str = "auto",
        callbacks: Any = None,
    ) -> Report:
        """Learn from a table or from lists, and measure on rows held out.

        Everything that is wrong with the data is found before training starts. Ctrl-C ends the training after
        the batch; the best weights so far are kept and measured, and the report is `interrupted`.

        Args:
            source: the path of a table (.csv, .tsv, .jsonl, .parquet, also compressed), or N texts.
            labels: N labels, where `source` is texts; a list of labels each for several at once.
            aspects: N texts, where `source` is texts: what each is asked about.
            text: name of the column of texts.
            label: name of the column of labels, or of several columns of 0 and 1.
            aspect: name of a column that says what the text is asked about.
            validation_share: share of the rows that says when to stop; 0 for all epochs.
            test_share: share of the rows that the report is about; 0 to report on the validation rows.
            validation: a table with the same columns, or `(texts, labels)`, instead of a share.
            test: likewise.
            encoding: of the tables.
            separator: between the columns of .csv files; found out by default.
            quoted: False for .csv files in which a quote is a character like others.
            verbose: 0 nothing, 1 or "auto" what was chosen and a bar on a terminal, 2 a line per epoch.
            callbacks: objects of `nabi.callbacks`.

        Raises:
            MissingFileError, FileFormatError: for a table that is not there or damaged.
            ArgumentError: for columns, labels or shares from which nothing can be learnt.
        """
        columns = _columns(source, text, label, aspect)
        options: dict[str, Any] = {
            "columns": columns,
            "label_separator": self.asked.label_separator,
            "table": TableFormat(encoding, separator, quoted),
        }
        samples = collect_samples(source, labels, aspects, **options)
        if labels is None and (columns is None or columns.label is None):
            raise ArgumentError(
                "label: none was given; name the column of a table, or give labels with the texts"
            )
        held_out = {
            name: None if given is None else _collect_part(name, given, options)
            for name, given in (("validation", validation), ("test", test))
        }
        parts = divide(
            samples,
            held_out["validation"],
            held_out["test"],
            validation_share=validation_share,
            test_share=test_share,
            seed=self.asked.seed,
        )
        if verbose != 0:
            for note in parts.notes:
                print(note)
        return self.fit_parts(parts, columns, verbose=verbose, callbacks=callbacks)

    def fit_parts(
        self,
        parts: Parts,
        columns: Columns | None = None,
        *,
        verbose: int | str = "auto",
        callbacks: Any = None,
    ) -> Report:
        """Learn from samples that are divided already, of these columns; see `fit`."""
        self.columns = columns
        start = time.perf_counter()
        learnt = train(parts, self.asked, self.cell, verbose=verbose, callbacks=callbacks)
        self.model, self.vocabulary, self.labels = learnt.model, learnt.vocabulary, learnt.labels
        self.settings, self.reasons = learnt.settings, learnt.reasons
        self.shares, self.history = learnt.shares, learnt.history
        self.notes = parts.notes
        self.has_aspects = parts.train.aspects is not None
        self.trained = True
        self.seconds = time.perf_counter() - start
        self.validation_report = (
            None
            if parts.validation is None
            else self._measure(parts.validation, "validation rows", 0.5, learnt.interrupted)
        )
        if parts.test is not None:
            self.report = self._measure(parts.test, "test rows", 0.5, learnt.interrupted)
        else:
            assert self.validation_report is not None
            self.report = self.validation_report
        return self.report

    # Asking -----------------------------------------------------------------------------------------------

    def encode(
        self, texts: Sequence[str], aspects: Sequence[str] | None = None
    ) -> list[npt.NDArray[np.int32]]:
        """Return the codes of texts as the network reads them, each `[T]` with T up to `maxlen`.

        Raises:
            ArgumentError: for what is no list of texts, and for aspects that are missing or too many.
        """
        self._check_trained()
        texts = as_texts("texts", texts)
        if self.has_aspects != (aspects is not None):
            raise ArgumentError(
                "aspects: the classifier was trained "
                + ("with aspects, one for each text is expected" if self.has_aspects else "without aspects")
            )
        if aspects is not None:
            aspects = as_texts("aspects", aspects)
            if len(aspects) != len(texts):
                raise ArgumentError(f"aspects: {len(aspects)} were given for {len(texts)} texts")
        assert self.settings.maxlen is not None
        return encode_texts(
            self.vocabulary,
            texts,
            aspects,
            maxlen=self.settings.maxlen,
            truncating=self.settings.truncating,
        )

    def probabilities(
        self, texts: Sequence[str], aspects: Sequence[str] | None = None
    ) -> npt.NDArray[np.float32]:
        """Return the probability of each label for each text, `[N, labels]` in the order of `labels.names`.

        A text without a single word gets the shares of the labels in training. Unknown words are read as
        such, and of a text that is longer than `maxlen` no more is read than that.

        Raises:
            ArgumentError: as `encode`.
        """
        sequences = self.encode(texts, aspects)
        result = np.empty((len(sequences), len(self.labels.names)), dtype=np.float32)
        if not sequences:
            return result
        groups = LengthGroups(sequences, batch_size=_BATCH_SIZE, shuffle=False)
        result[groups.order] = self.model.predict(groups)
        result[[not text.strip() for text in texts]] = self.shares
        return result

    def predict(
        self, texts: Sequence[str], aspects: Sequence[str] | None = None, *, threshold: float = 0.5
    ) -> list[Prediction]:
        """Return the label of each text, with probabilities as `probabilities` gives them.

        Args:
            texts: N texts.
            aspects: N texts, for a classifier that was trained with aspects.
            threshold: with several labels at once, those above it are given.

        Raises:
            ArgumentError: as `encode`.
        """
        if isinstance(threshold, bool) or not 0 <= threshold <= 1:
            raise ArgumentError(f"threshold: got {threshold!r}, expected a number from 0 to 1")
        found = self.probabilities(texts, aspects)
        names = self.labels.names
        given: Sequence[str | tuple[str, ...]] = self.labels.decode(found, threshold)
        return [
            Prediction(label, float(row.max()), dict(zip(names, row.tolist(), strict=True)))
            for label, row in zip(given, found, strict=True)
        ]

    def evaluate(
        self,
        source: Any,
        labels: Sequence[Any] | None = None,
        aspects: Sequence[str] | None = None,
        *,
        text: str | None = None,
        label: str | Sequence[str] | None = None,
        aspect: str | None = None,
        threshold: float = 0.5,
        encoding: str = "utf-8",
        separator: str | None = None,
        quoted: bool = True,
    ) -> Report:
        """Compare with the right labels of a table or of lists; arguments as in `fit`.

        The columns of a table are those of the training unless others are named.

        Raises:
            ArgumentError, MissingFileError, FileFormatError: as `fit`; `UnknownNameError` for a label that
                the classifier does not know.
        """
        self._check_trained()
        columns = self.columns_of(source, text, label, aspect)
        samples = collect_samples(
            source,
            labels,
            aspects,
            columns=columns,
            label_separator=self.settings.label_separator,
            table=TableFormat(encoding, separator, quoted),
        )
        if labels is None and (columns is None or columns.label is None):
            raise ArgumentError("labels: none were given, evaluating needs the right ones")
        return self._measure(samples, "rows", threshold, interrupted=False)

    def columns_of(
        self,
        source: Any,
        text: str | None = None,
        label: str | Sequence[str] | None = None,
        aspect: str | None = None,
    ) -> Columns | None:
        """Return the columns of a table, those of the training where none are named; None for lists."""
        trained = self.columns
        if trained is None or not isinstance(source, str | os.PathLike):
            return _columns(source, text, label, aspect)
        return _columns(
            source, text or trained.text, trained.label if label is None else label, aspect or trained.aspect
        )

    def _measure(self, samples: Samples, part: str, threshold: float, interrupted: bool) -> Report:
        return Report.measure(
            self.labels.names,
            self.labels.encode(samples.labels),
            self.probabilities(samples.texts, samples.aspects),
            several=self.labels.several,
            threshold=threshold,
            part=part,
            interrupted=interrupted,
        )

    def _check_trained(self) -> None:
        if not self.trained:
            raise ArgumentError("TextClassifier: it has learnt nothing yet; fit it, or load one that has")

    # Files ------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything into one file, for `load`.

        Raises:
            OutputError: if the file cannot be written.
            ArgumentError: if nothing has been learnt.
        """
        self._check_trained()
        _text_files.save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Read a classifier that `save` wrote.

        Args:
            path: the file.
            custom_objects: classes of your own by name; a cell of your own is there already where its class
                is defined in the program.

        Raises:
            MissingFileError: if there is no such file.
            FileFormatError: if it is damaged, of another program, or holds something else.
            ArgumentError: if it needs a class that is not there.
        """
        classifier = cls()
        _text_files.fill(classifier, path, custom_objects)
        return classifier


def _columns(
    source: Any, text: str | None, label: str | Sequence[str] | None, aspect: str | None
) -> Columns | None:
    if not isinstance(source, str | os.PathLike):
        for name, given in (("text", text), ("label", label), ("aspect", aspect)):
            if given is not None:
                raise ArgumentError(
                    f"{name}: got {given!r}, a column; but texts were given instead of a table"
                )
        return None
    if text is None:
        return None
    if label is not None and not isinstance(label, str):
        label = tuple(label) if len(label) != 1 else label[0]
    return Columns(text, label, aspect)


def _collect_part(name: str, given: Any, table: Mapping[str, Any]) -> Samples:
    """Samples of `validation` or `test`: a table, `(texts, labels)` or `(texts, labels, aspects)`."""
    if isinstance(given, str | os.PathLike):
        if table["columns"] is None:
            raise ArgumentError(f"{name}: a table was given, but the rows to train on are lists")
        return collect_samples(given, **table)
    if not isinstance(given, tuple) or len(given) not in (2, 3):
        raise ArgumentError(f"{name}: expected the path of a table, or (texts, labels)")
    return collect_samples(*given, label_separator=table["label_separator"])
