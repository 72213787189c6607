"""Asking a text classifier that has learnt something: codes, probabilities, labels, figures."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi._public import public
from nabi.data import Labels, LengthGroups, Vocabulary
from nabi.errors import ArgumentError
from nabi.models._classifier._encoding import as_texts, encode_texts
from nabi.models._classifier._prediction import Prediction
from nabi.models._classifier._report import Report
from nabi.models._classifier._samples import Columns, Samples, TableFormat, collect_samples, name_columns
from nabi.models._classifier._settings import TextSettings
from nabi.models._sequential import Sequential
from nabi.models._task._saved import Saved

__all__ = ["Asking"]

_BATCH_SIZE = 64  # of predictions


class Asking(Saved):
    """What a `TextClassifier` has once it has learnt something, and what it can be asked."""

    model: Sequential
    """The network: codes `[B, T]` to probabilities `[B, labels]`."""
    vocabulary: Vocabulary
    labels: Labels
    measured: Report | None
    """Of the rows that were held out; None for a classifier made from parts that was not measured."""
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
    columns: Columns | None
    """Of the table that it was trained on; None for lists."""
    has_aspects: bool
    """Whether a text is asked about something."""

    @property
    def report(self) -> Report:
        """Of the rows that were held out.

        Raises:
            ArgumentError: if it was never measured, as a classifier that was made from parts.
        """
        if self.measured is None:
            raise ArgumentError("report: the classifier was not measured on held-out rows; evaluate does it")
        return self.measured

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

    @public
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
        result[:] = self.read(sequences)
        result[[not text.strip() for text in texts]] = self.shares
        return result

    def read(self, sequences: Sequence[npt.NDArray[np.int32]]) -> npt.NDArray[np.float32]:
        """Return the probability of each label, `[N, labels]`, for codes as `encode` gives them."""
        groups = LengthGroups(sequences, batch_size=_BATCH_SIZE, shuffle=False)
        outputs = self.model.predict(groups)
        if outputs.shape[1] < len(self.labels.names):  # a sigmoid gives the probability of the second label
            outputs = np.concatenate([1 - outputs, outputs], 1)
        result = np.empty((len(sequences), len(self.labels.names)), dtype=np.float32)
        result[groups.order] = outputs
        return result

    @public
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
        threshold = _checks.real("threshold", threshold, least=0, most=1)
        found = self.probabilities(texts, aspects)
        names = self.labels.names
        given: Sequence[str | tuple[str, ...]] = self.labels.decode(found, threshold)
        return [
            Prediction(label, float(row.max()), dict(zip(names, row.tolist(), strict=True)))
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
            return name_columns(source, text, label, aspect)
        return name_columns(
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
