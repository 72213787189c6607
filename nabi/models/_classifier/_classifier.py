"""From text to label: everything between a table of texts and a trained network."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np

from nabi._public import public
from nabi.data import Labels, Vocabulary
from nabi.errors import ArgumentError
from nabi.models._classifier import _files as _text_files
from nabi.models._classifier._asking import Asking
from nabi.models._classifier._report import Report
from nabi.models._classifier._samples import Columns, TableFormat, collect_samples, name_columns
from nabi.models._classifier._settings import TextSettings
from nabi.models._classifier._split import Parts, collect_part, divide
from nabi.models._classifier._training import train
from nabi.models._sequential import Sequential
from nabi.models._task._cell_choice import CellChoice, cell_name, check_cell

__all__ = ["TextClassifier"]


class TextClassifier(Asking):
    """Learns to tell the label of a text: a recurrent network with all that it needs around it.

    It reads a table of texts and labels (or lists), learns a vocabulary, trains an embedding and a recurrent
    layer until rows held out get no better, and says how well it does on others. What is None (or "auto") is
    chosen from the data; `settings` says what was chosen.

    Args:
        cell: a name of `nabi.cells.names()`, a class of a cell, or a cell.
        units: width of the cell's states, in each direction.
        unit: what texts are cut into: "words", "characters", "pieces" (of words), or "auto": words, but
            pieces where more than three tenths of the words of held-out texts would be unknown.
        vocabulary_size: codes at most; 8,000 of pieces and 20,000 of words where it is not given.
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

    _save, _fill = _text_files.save, _text_files.fill

    @public
    def __init__(
        self,
        cell: CellChoice = "lstm",
        *,
        units: int | None = None,
        unit: str = "auto",
        vocabulary_size: int | None = None,
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
        self.columns = None
        self.has_aspects = False
        self.trained = False

    # Training ---------------------------------------------------------------------------------------------

    @public
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
        columns = name_columns(source, text, label, aspect)
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
            name: None if given is None else collect_part(name, given, options)
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

    @public
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
            self.measured = self._measure(parts.test, "test rows", 0.5, learnt.interrupted)
        else:
            self.measured = self.validation_report
        return self.report

    @classmethod
    def of(
        cls,
        model: Sequential,
        vocabulary: Vocabulary,
        labels: Labels,
        *,
        maxlen: int,
        truncating: str = "post",
        shares: Sequence[float] | None = None,
        report: Report | None = None,
        history: Mapping[str, list[float]] | None = None,
        seconds: float = 0.0,
    ) -> Self:
        """Make a classifier of a network of your own that is trained, with what its codes and outputs mean.

        Args:
            model: from an `Embedding` with `mask_zero=True`, of as many codes as the vocabulary has, to a
                `Dense` with softmax (with several labels at once, sigmoid), one output for each label. For
                two labels one output with sigmoid will do: the probability of the second.
            vocabulary: what texts are cut into.
            labels: in the order of the outputs.
            maxlen: tokens of a text that are read.
            truncating: what is cut off a longer text, its end ("post") or its beginning ("pre").
            shares: of the labels, given to a text without a word; equal ones by default.
            report: of rows that were held out, if it was measured.
            history: figures of every epoch.
            seconds: how long training took.

        Raises:
            ArgumentError: if these do not fit together.

        >>> from nabi import layers
        >>> from nabi.data import Labels
        >>> vocabulary = Vocabulary.learn(["a good film", "a bad film"])
        >>> stack = [layers.Embedding(len(vocabulary), 8, mask_zero=True), layers.LSTM(4)]
        >>> model = Sequential([layers.Input((None,)), *stack, layers.Dense(1, activation="sigmoid")])
        >>> classifier = TextClassifier.of(model, vocabulary, Labels(["-", "+"]), maxlen=50)
        >>> sorted(classifier.predict(["good"])[0].probabilities)
        ['+', '-']
        """
        count = len(labels.names)
        classifier = cls(maxlen=maxlen, truncating=truncating)
        classifier.settings = classifier.asked = replace(classifier.asked, unit=vocabulary.unit)
        classifier.model, classifier.vocabulary, classifier.labels = model, vocabulary, labels
        classifier.shares = np.array([1 / count] * count if shares is None else shares, dtype=np.float64)
        classifier.measured, classifier.validation_report = report, None
        classifier.history = {name: list(values) for name, values in (history or {}).items()}
        classifier.seconds, classifier.reasons, classifier.notes = seconds, {}, ()
        fault = _text_files.misfit(classifier)
        if fault:
            raise ArgumentError(f"model, vocabulary, labels: they do not fit together: {fault}")
        classifier.trained = True
        return classifier
