"""From text to label: everything between a table of texts and a trained network."""

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nabi import _checks
from nabi._public import public
from nabi.data import Labels, Vocabulary, folder_files
from nabi.errors import ArgumentError, TableWarning
from nabi.files import ModelFile, part, reading
from nabi.models._classifier._columns import Columns, TableFormat, name_columns
from nabi.models._classifier._comparison import compare
from nabi.models._classifier._decision import Decision, Decisions, as_logits, as_probabilities
from nabi.models._classifier._held_out import HeldOut
from nabi.models._classifier._network import TextNetwork, network_fault, outputs_fault, read_codes
from nabi.models._classifier._other_columns import OtherColumns, beside_texts, features_of
from nabi.models._classifier._prediction import Prediction
from nabi.models._classifier._report import Report
from nabi.models._classifier._samples import Samples, check_known, collect_samples
from nabi.models._classifier._settings import TextSettings
from nabi.models._classifier._simple import SimpleModel
from nabi.models._classifier._split import Parts, read_text_parts
from nabi.models._classifier._text_system import (
    codes_of,
    described_system,
    learn,
    reports,
    set_described,
)
from nabi.models._classifier._training import train
from nabi.models._sequential import Sequential
from nabi.models._task._answers import note_answers
from nabi.models._task._cell_choice import CellChoice, cell_name, check_cell
from nabi.models._task._system import System
from nabi.training import as_time_limit

__all__ = ["Prediction", "TextClassifier"]


class TextClassifier(System):
    """Learns to predict the label of a text: a recurrent network with everything that it needs.

    It reads a table of texts and labels (or lists), learns a vocabulary, trains an embedding and a recurrent
    layer until held-out rows no longer improve, and measures itself on others. Beside the network, logistic
    regression learns from words and pairs of words: the report compares both, and unless `word_features` is
    False they decide together. Settings that are None (or "auto") are chosen from the data; `settings` holds
    the choices.

    Raises:
        ArgumentError: for a value that cannot be used; `UnknownNameError` for an unknown name.

    >>> texts = ["a good film", "good and warm", "so good", "bad", "a bad film", "bad and cold"] * 5
    >>> labels = (["+"] * 3 + ["-"] * 3) * 5
    >>> classifier = TextClassifier(units=4, embedding_size=8, epochs=30, learning_rate=0.03)
    >>> report = classifier.fit(texts, labels, verbose=0)
    >>> classifier.predict(["good", "a cold and bad film"])[1].label
    '-'
    """

    _kind = "text classifier"
    _settings_type = TextSettings

    model: TextNetwork
    """The network: codes `[B, T]`, with `columns` also their features `[B, F]`, to probabilities
    `[B, labels]`, before word features are added."""
    simple: SimpleModel | None = None
    """Logistic regression on words and pairs of words; None for files of earlier versions."""
    decisions: Decisions | None = None
    """How much network and word features count; None for files of earlier versions."""
    vocabulary: Vocabulary
    labels: Labels
    measured: Report | None
    """Of the rows that were held out; None for a classifier that `of` made without a report."""
    validation_report: Report | None
    """Of the rows that said when to stop."""
    shares: npt.NDArray[np.float64]
    """Of the labels among the rows trained on."""
    seconds: float
    """How long training took."""
    reasons: Mapping[str, str]
    """Why settings were chosen as they were."""
    notes: tuple[str, ...]
    """What a user should know about the data: rows left out, labels seen once."""
    settings: TextSettings
    """As they were chosen."""
    columns: Columns | None = None
    """Of the table that it was trained on; None for lists."""
    has_aspects: bool = False
    """Whether each text comes with an aspect that it is asked about."""
    other_columns: OtherColumns | None = None
    """Columns that are read beside the text, and how."""

    def _set(self, cell: CellChoice, settings: dict[str, Any]) -> None:
        """Keep the cell as it was given: it is made when its units are chosen."""
        check_cell(cell, settings.get("units"))
        self.asked = self.settings = TextSettings(cell=cell_name(cell), **settings)
        self.cell = cell
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
        columns: Sequence[str] | Mapping[str, Sequence[Any]] | None = None,
        validation_share: float = 0.1,
        test_share: float = 0.1,
        validation: Any = None,
        test: Any = None,
        encoding: str = "utf-8",
        separator: str | None = None,
        quoted: bool = True,
        header: bool = True,
        checkpoint: str | os.PathLike[str] | None = None,
        minutes: float | None = None,
        verbose: int | str = "auto",
        callbacks: Any = None,
    ) -> Report:
        """Learn from a table or from lists, and measure on rows held out.

        Everything that is wrong with the data is found before training starts. Ctrl-C ends the training after
        the batch; the best weights so far are kept and measured, and the report is `interrupted`.

        Args:
            source: the path of a table, as `nabi.data.read_table` reads it, or of a folder with a subfolder
                of text files for each label, or N texts.
            labels: N labels, where `source` is texts; a list of labels each for several at once.
            aspects: N texts, where `source` is texts: what each is asked about.
            text: name of the column of texts.
            label: name of the column of labels, or of several columns of 0 and 1.
            aspect: name of a column that says what the text is asked about.
            columns: names of other columns to read beside the text; with lists, N cells for each by name. A
                column in which every cell is a number or empty is read as numbers, others as categories.
            validation_share: share of the rows that says when to stop; 0 for all epochs.
            test_share: share of the rows that the report is about; 0 to report on the validation rows.
            validation: a table with the same columns, or `(texts, labels)`, instead of a share.
            test: likewise.
            encoding: of the tables.
            separator: between the columns of .csv files; found out by default.
            quoted: False for .csv files in which a quote is a character like others.
            header: False for .csv and .xlsx files without one, whose columns are "0", "1", ...
            checkpoint: a file that keeps where training stands, written every minute and after every
                epoch: the same call goes on from there after an interruption, and ends with the same weights
                as if there had been none. It is removed at the end.
            minutes: the time that training may take, None for all that it needs: it ends by the clock, with
                the best weights so far. The clock runs from the call on; what is measured after the last
                validation comes on top.
            verbose: 0 nothing, 1 or "auto" what was chosen and a bar on a terminal, 2 a line per epoch.
            callbacks: objects of `nabi.callbacks`.

        Raises:
            MissingFileError, FileFormatError: for a table that is not there or damaged, a damaged checkpoint.
            ArgumentError: for columns, labels or shares from which nothing can be learnt.
        """
        limit = as_time_limit(minutes)
        parts = read_text_parts(
            source,
            labels,
            aspects,
            columns,
            columns=name_columns(source, text, label, aspect, columns),
            held_out=HeldOut(validation, test, validation_share, test_share, self.asked.seed),
            table=TableFormat(encoding, separator, quoted, header),
            label_separator=self.asked.label_separator,
        )
        if verbose != 0:
            for note in parts.notes:
                print(note)
        return self._fit_parts(
            parts, checkpoint=checkpoint, limit=limit, verbose=verbose, callbacks=callbacks
        )

    @public
    def fit_parts(
        self,
        parts: Parts,
        *,
        checkpoint: str | os.PathLike[str] | None = None,
        minutes: float | None = None,
        verbose: int | str = "auto",
        callbacks: Any = None,
    ) -> Report:
        """Learn from samples that are read and divided already; see `fit`."""
        limit = as_time_limit(minutes)
        return self._fit_parts(
            parts, checkpoint=checkpoint, limit=limit, verbose=verbose, callbacks=callbacks
        )

    def _fit_parts(self, parts: Parts, **how: Any) -> Report:
        learnt = learn(self, train, parts, **how)
        self.labels, self.shares = learnt.labels, learnt.shares
        self.simple, self.decisions = learnt.simple, learnt.decisions
        self.trained = True
        self.validation_report, self.measured = reports(
            parts, lambda samples, part: self._measure(samples, part, 0.5, learnt.network.interrupted)
        )
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
        """Make a classifier from a trained network of your own and the meaning of its codes and outputs.

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
        fault = classifier._misfit()
        if fault:
            raise ArgumentError(f"model, vocabulary, labels: they do not fit together: {fault}")
        classifier.trained = True
        return classifier

    # Asking -----------------------------------------------------------------------------------------------

    @property
    def report(self) -> Report:
        """Of the rows that were held out.

        Raises:
            ArgumentError: if it was never measured, as one made by `of` without a report.
        """
        if self.measured is None:
            raise ArgumentError("report: the classifier was not measured on held-out rows; call evaluate")
        return self.measured

    def encode(
        self, texts: Sequence[str], aspects: Sequence[str] | None = None
    ) -> list[npt.NDArray[np.int32]]:
        """Return the codes of texts as the network reads them, each `[T]` with T up to `maxlen`.

        Raises:
            ArgumentError: for what is no list of texts, and for aspects that are missing or too many.
        """
        self._check_trained()
        return codes_of(self, texts, aspects, "classifier")

    @public
    def probabilities(
        self,
        texts: Sequence[str],
        aspects: Sequence[str] | None = None,
        columns: Mapping[str, Sequence[Any]] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Return the probability of each label for each text, `[N, labels]` in the order of `labels.names`.

        A text without a single word gets the shares of the labels in training. Unknown words are read as
        such, and a text is read up to `maxlen` tokens.

        Raises:
            ArgumentError: as `encode`; for columns that are not those of the training, and cells that cannot
                be read.
        """
        sequences = self.encode(texts, aspects)
        beside = beside_texts(self.other_columns, columns, len(sequences))
        if not sequences:
            return np.empty((0, len(self.labels.names)), dtype=np.float32)
        result = self.read(sequences, texts, aspects, beside)
        result[[not text.strip() for text in texts]] = self.shares
        return result

    def read(
        self,
        sequences: Sequence[npt.NDArray[np.int32]],
        texts: Sequence[str],
        aspects: Sequence[str] | None = None,
        beside: npt.NDArray[np.float32] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Return the probability of each label, `[N, labels]`, for texts and their codes, from `encode`.

        `beside` are the features of their other columns, if there are some.
        """
        network = read_codes(self.model, sequences, len(self.labels.names), beside)
        several, decision = self.labels.several, self.decision
        if decision is None:
            return network
        simple = None
        if self.simple is not None and decision.simple:
            simple = self.simple.logits(texts, aspects, beside)
        logits = decision.logits(as_logits(network, several), simple, self.shares, several)
        return as_probabilities(logits, several)

    @property
    def known_aspects(self) -> tuple[str, ...]:
        """Aspects of the training, as far as its word features hold them."""
        known = None if self.simple is None else self.simple.features.aspects
        return known or ()

    @property
    def decision(self) -> Decision | None:
        """How much network and word features count; None where the network decides as it is."""
        if self.decisions is None:
            return None
        return self.decisions.together if self.settings.word_features else self.decisions.network

    @public
    def predict(
        self,
        texts: Sequence[str],
        aspects: Sequence[str] | None = None,
        *,
        columns: Mapping[str, Sequence[Any]] | None = None,
        threshold: float = 0.5,
    ) -> list[Prediction]:
        """Return the label of each text, with probabilities as `probabilities` gives them.

        Args:
            texts: N texts.
            aspects: N texts, for a classifier that was trained with aspects.
            columns: N cells for each of the other columns of the training, by name. A category that is not
                known, and a missing cell, is read as such.
            threshold: with several labels at once, labels above it are predicted.

        Raises:
            ArgumentError: as `probabilities`.
        """
        threshold = _checks.real("threshold", threshold, least=0, most=1)
        found = self.probabilities(texts, aspects, columns)
        given: Sequence[str | tuple[str, ...]] = self.labels.decode(found, threshold)
        return [
            Prediction(label, float(row.max()), dict(zip(self.labels.names, row.tolist(), strict=True)))
            for label, row in zip(given, found, strict=True)
        ]

    @public
    def evaluate(
        self,
        source: Any,
        labels: Sequence[Any] | None = None,
        aspects: Sequence[str] | None = None,
        *,
        text: str | None = None,
        label: str | Sequence[str] | None = None,
        aspect: str | None = None,
        columns: Mapping[str, Sequence[Any]] | None = None,
        threshold: float = 0.5,
        encoding: str = "utf-8",
        separator: str | None = None,
        quoted: bool = True,
        header: bool = True,
        wrong_rows: str = "raise",
    ) -> Report:
        """Compare with the right labels of a table or of lists; arguments as in `fit`.

        The columns of a table are those of the training unless others are named. `wrong_rows` says whether a
        row that cannot be read is an error ("raise"), or is left out and named by a `TableWarning` ("keep").

        Raises:
            ArgumentError, MissingFileError, FileFormatError: as `fit`; `UnknownNameError` for a label that
                the classifier does not know.
        """
        self._check_trained()
        named = self.columns_of(source, text, label, aspect)
        samples = collect_samples(
            source,
            labels,
            aspects,
            columns,
            columns=named,
            label_separator=self.settings.label_separator,
            table=TableFormat(encoding, separator, quoted, header, wrong_rows),
            known=self.other_columns,
        )
        if samples.wrong:
            warnings.warn(samples.wrong, TableWarning, stacklevel=3)
        if labels is None and (named is None or named.label is None):
            raise ArgumentError("labels: expected the right ones to compare with, got None")
        check_known(samples, self.labels.names)
        return self._measure(samples, "rows", threshold, interrupted=False)

    def columns_of(
        self,
        source: Any,
        text: str | None = None,
        label: str | Sequence[str] | None = None,
        aspect: str | None = None,
    ) -> Columns | None:
        """Return the columns of a table, those of the training where none are named; None for lists."""
        trained, others = self.columns, None if self.other_columns is None else self.other_columns.names
        if not isinstance(source, str | os.PathLike):
            others = None
        if trained is None or not isinstance(source, str | os.PathLike) or folder_files(source) is not None:
            return name_columns(source, text, label, aspect, others)
        label = trained.label if label is None else label
        return name_columns(source, text or trained.text, label, aspect or trained.aspect, others)

    def _measure(self, samples: Samples, part: str, threshold: float, interrupted: bool) -> Report:
        names, several, truth = self.labels.names, self.labels.several, self.labels.encode(samples.labels)
        said = self.probabilities(samples.texts, samples.aspects, samples.others)
        if not several:
            note_answers(samples.texts, truth, said)
        report = Report.measure(
            names, truth, said, several=several, threshold=threshold, part=part, interrupted=interrupted
        )
        if self.simple is None or self.decisions is None or self.decisions.simple is None:
            return report
        beside = features_of(self.other_columns, samples)
        logits = self.simple.logits(samples.texts, samples.aspects, beside)
        baselines = {
            self.simple.name: self.decisions.simple.logits(
                np.zeros_like(logits), logits, self.shares, several
            )
        }
        if self.settings.word_features:
            codes = self.encode(samples.texts, samples.aspects)
            network = as_logits(read_codes(self.model, codes, len(names), beside), several)
            baselines["the network alone"] = self.decisions.network.logits(
                network, None, self.shares, several
            )
        if self.other_columns is not None and beside is not None:
            baselines["the columns alone"] = self.other_columns.alone(beside)
        return compare(report, as_logits(said, several), baselines, truth, rare=self.decisions.rare)

    # Files ------------------------------------------------------------------------------------------------

    def _own_network(self) -> torch.nn.Module:
        return self.model

    def _to_file(self) -> tuple[dict[str, Any], Mapping[str, Tensor]]:
        """Return header and tensors of a file: those of the network, and what stands around it."""
        kept = self.settings.word_features
        return described_system(
            self,
            "classifier",
            {
                "labels": self.labels.to_dict(),
                "shares": self.shares.tolist(),
                "report": None if self.measured is None else self.measured.to_dict(),
                "decisions": None if self.decisions is None else self.decisions.to_dict(),
            },
            simple=self.simple.to_file() if self.simple is not None and kept else None,
        )

    def _from_file(self, file: ModelFile, custom_objects: Mapping[str, Any] | None) -> None:
        """Be what a file holds."""
        from nabi.models._keras_models import make_model

        model: Any = make_model(file, custom_objects)
        self.model = model  # `_misfit` rejects it unless it is a `Sequential`
        with reading(file.path, "it cannot be made a text classifier again"):
            described = file.header["classifier"]
            self.labels = Labels.from_dict(described["labels"])
            set_described(
                self,
                described,
                file.tensors,
                settings=TextSettings,
                report=Report,
                outputs=len(self.labels.names),
            )
            self.shares = np.array(described["shares"], dtype=np.float64)
            measured = described["report"]
            self.measured = None if measured is None else Report.from_dict(measured)
            fault = self._misfit()
            if fault:
                raise ArgumentError(fault)
            self._set_decisions(described, part(file.tensors, "simple/"))

    def _set_decisions(self, described: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Take up how network and word features decide, which files of earlier versions do not say."""
        decisions, simple = described.get("decisions"), described.get("simple")
        self.decisions = None if decisions is None else Decisions.from_dict(decisions)
        self.simple = None
        if simple is not None:
            beside = 0 if self.other_columns is None else len(self.other_columns)
            self.simple = SimpleModel.from_file(simple, tensors, len(self.labels.names), beside)
        if self.decision is not None and self.decision.simple and self.simple is None:
            raise ArgumentError("its settings have word features, but it holds none")

    def _misfit(self) -> str:
        """Say what does not fit together; "" where all does."""
        model, labels = self.model, len(self.labels.names)
        others = self.other_columns
        fault = network_fault(model, len(self.vocabulary), 0 if others is None else len(others))
        if fault:
            return fault
        fault = outputs_fault(model, labels, self.labels.several)
        if fault or self.shares.shape != (labels,):
            return fault or f"it has {len(self.shares)} shares for {labels} labels"
        if self.settings.maxlen is None:
            return "its settings have no maxlen"
        return ""
