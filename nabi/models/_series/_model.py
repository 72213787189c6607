"""A model that says of which class a series is, or each of its steps."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi._public import public
from nabi.data import Labels
from nabi.errors import ArgumentError
from nabi.models._sequences._fronts import SeriesFront
from nabi.models._sequences._labels import encode_labels, learn_labels
from nabi.models._sequences._model import SequenceData, SequenceModel, SequencePrediction
from nabi.models._sequences._report import SequenceReport
from nabi.models._sequences._samples import SequenceSamples
from nabi.models._sequences._stream import SequenceStream
from nabi.models._series._checked import check_channels, check_like, columns_for, named_columns
from nabi.models._series._reading import Series, SeriesColumns, read_series
from nabi.models._series._settings import SeriesSettings
from nabi.models._series._training import SeriesTraining
from nabi.training import as_time_limit

__all__ = ["SeriesClassifier"]

# Series of more steps than this get convolutions by default.
_LONG = 60
_CONVOLUTIONS = (32, 64)


def usual_convolutions(asked: tuple[int, ...] | None, lengths: npt.NDArray[np.int64]) -> tuple[int, ...]:
    """Return the convolutions that are asked for; otherwise some for long series, and none for short ones."""
    if asked is not None:
        return asked
    return _CONVOLUTIONS if float(np.median(lengths)) > _LONG else ()


class SeriesClassifier(SequenceModel):
    """Learns the class of series of numbers with several channels, or the class of each of their steps.

    Series may have different lengths and missing values (NaN): a channel that has some is 0 there, and a
    second channel says what was observed. Channels are standardized. Several small networks of any cell are
    trained side by side and their probabilities averaged; long series first go through convolutions.

    Beside it stand logistic regressions on simple features of the same series, and the report says whether
    the network is better than these. Where that helps on the series held out, the probabilities of one of
    them are averaged with those of the networks (`with_linear`).

    Raises:
        ArgumentError: for a value that cannot be used; `UnknownNameError` for an unknown name.

    >>> random = np.random.default_rng(0)
    >>> labels = ["rises", "falls"] * 20
    >>> slopes = {"rises": 1, "falls": -1}
    >>> series = [slopes[label] * np.arange(random.integers(5, 9)) + random.normal() for label in labels]
    >>> classifier = SeriesClassifier(units=8, epochs=20, learning_rate=0.01)
    >>> report = classifier.fit(series, labels, verbose=0)
    >>> [one.label for one in classifier.predict([[0, 1, 2, 3, 4], [0, -1, -2, -3, -4]])]
    ['rises', 'falls']
    """

    _kind = "series classifier"
    _called = "a series classifier"
    _settings_type = SeriesSettings
    _training_type = SeriesTraining
    _things = "series"

    settings: SeriesSettings
    columns: SeriesColumns | None = None
    """Of the table that it was trained on; None for other data."""

    @property
    def _answer(self) -> str:
        return "step" if self.settings.label_per_step else "class"

    # Training -----------------------------------------------------------------------------------------------

    @public
    def fit(
        self,
        source: Any,
        labels: Sequence[Any] | None = None,
        groups: Sequence[Any] | None = None,
        *,
        id: str | None = None,
        time: str | None = None,
        channels: Sequence[str] | None = None,
        label: str | None = None,
        group: str | None = None,
        validation_share: float = 0.1,
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
    ) -> SequenceReport:
        """Learn from series with labels, and measure on series held out.

        Everything that is wrong with them is found before training starts. Ctrl-C ends the training after
        the batch; the best weights so far are kept and measured, and the report is `interrupted`.

        Args:
            source: the path of a `.ts` file, or of a table (.csv, .tsv, .jsonl, .parquet) with a row for
                each step of each series; or N arrays `[T, channels]` or `[T]` of numbers, NaN where a value
                is missing.
            labels: N labels, where `source` is arrays; with `label_per_step` N lists of T labels, None for
                a step without one.
            groups: of each array what it belongs to, such as a speaker; whole groups are held out.
            id: column that says which rows of a table are one series.
            time: column of numbers or dates by which the steps are sorted; the order of the rows by default.
            channels: columns of numbers; by default all that have no other meaning.
            label: column of the labels.
            group: column of what is held out as a whole.
            validation_share: share of the series that are held out, to keep the weights that are best on
                them; 0 for none: then the last weights are kept.
            validation: series instead of a share: a file as `source`, or `(arrays, labels)`.
            test: series that the report is about, likewise; those of the validation by default, on which
                the figures are a little too good.
            encoding: of the files.
            separator: between the columns of .csv files; detected by default.
            quoted: False for .csv files in which a quote is a character like others.
            header: False for .csv and .xlsx files without one, whose columns are "0", "1", ...
            checkpoint: a file that keeps where training stands, written every minute: the same call goes on
                from there after an interruption, and ends with the same weights as if there had been none.
                It is removed at the end.
            minutes: the time that training may take, None for all that it needs: there are as many steps as
                fit into it, at most all epochs, and the learning rate goes through its whole course in them.
                The clock runs from the call on; what is measured after the last validation comes on top.
            verbose: 0 nothing, 1 or "auto" a bar on a terminal, 2 a line per epoch.
            callbacks: objects of `nabi.callbacks`; they hear of epochs, batches and validation.

        Raises:
            MissingFileError, FileFormatError: for a file that is not there or wrong, with the line.
            ArgumentError, ShapeError: for series that do not fit each other or have no steps, a channel
                without any value, missing and unknown labels, fewer than two classes, and a share that leaves
                nothing.
            NotFiniteError: if the loss becomes NaN or infinite.
        """
        limit = as_time_limit(minutes)
        columns = named_columns(id, time, channels, group, label=label)
        reading: dict[str, Any] = {
            "encoding": encoding,
            "separator": separator,
            "quoted": quoted,
            "header": header,
        }
        per_step = self.asked.label_per_step
        found = read_series(source, labels, groups, columns=columns, per_step=per_step, **reading)
        if found.labels is None:
            raise ArgumentError(
                "labels: expected a label of each series, got none"
                + ("; name its column with label" if columns is not None else "")
            )
        answer = "step" if per_step else "class"
        classes = learn_labels(found.labels, found.names, answer)
        samples = _samples(found, classes, answer)
        check_channels(samples, found.columns)
        parts: dict[str, SequenceSamples | None] = {"validation": None, "test": None}
        for name, given in (("validation", validation), ("test", test)):
            if given is not None:
                more = self._given(name, given, found.columns, reading)
                parts[name] = _samples(more, classes, answer)
                check_like(samples.inputs[0].shape[1:], more)
        train, held_out = samples, parts["validation"]
        if held_out is None:
            train, held_out = samples.divided(validation_share, self.asked.seed)
        self._columns_read = found.columns
        return self._fit(
            train,
            held_out,
            classes,
            test=parts["test"],
            checkpoint=checkpoint,
            limit=limit,
            verbose=verbose,
            callbacks=callbacks,
        )

    def _given(
        self, name: str, given: Any, columns: SeriesColumns | None, reading: Mapping[str, Any]
    ) -> Series:
        """The series of `validation` or `test`."""
        per_step = self.asked.label_per_step
        if isinstance(given, str | os.PathLike):
            found = read_series(given, columns=columns, per_step=per_step, **reading)
        elif isinstance(given, tuple) and len(given) == 2:
            found = read_series(given[0], given[1])
        else:
            raise ArgumentError(f"{name}: expected a file or (arrays, labels), got {type(given).__name__}")
        if found.labels is None:
            raise ArgumentError(f"{name}: expected series with labels, got none")
        return found

    def _prepare(self, data: SequenceData) -> SeriesSettings:
        """Choose convolutions by the length of the series, and whether gaps are told."""
        settings: SeriesSettings = super()._prepare(data)
        self.columns = self._columns_read
        self._gaps = any(bool(np.isnan(one).any()) for one in data.train.inputs)
        return replace(settings, convolutions=usual_convolutions(settings.convolutions, data.train.lengths))

    def _make_front(self) -> SeriesFront:
        """Return a front that standardizes, and says what was observed where training data had gaps."""
        return SeriesFront(self._shape[0], self._gaps, self.settings.noise)

    def _own_state(self) -> dict[str, Any]:
        """Return whether there were gaps, and the columns of the table."""
        return {"gaps": self._gaps, "columns": None if self.columns is None else self.columns.to_dict()}

    def _set_own_state(self, state: Mapping[str, Any]) -> None:
        """Take what `_own_state` gave."""
        self._gaps = bool(state["gaps"])
        self.columns = None if state["columns"] is None else SeriesColumns.from_dict(state["columns"])

    # Asking -------------------------------------------------------------------------------------------------

    @public
    def read(self, source: Any, **reading: Any) -> list[tuple[str, npt.NDArray[np.float32]]]:
        """Return what the model reads of a source: the name of each series, and its values `[T, channels]`.

        Args:
            source, **reading: as in `predict`, which takes the values too.

        Raises:
            MissingFileError, FileFormatError, ArgumentError, ShapeError: as `fit`.
        """
        self._check_trained()
        samples = self._unlabelled(source, reading)
        return list(zip(samples.names, samples.inputs, strict=True))

    @public
    def predict(self, source: Any, **reading: Any) -> list[SequencePrediction]:
        """Return the class of each series, or of each of its steps, with all probabilities.

        Args:
            source: as `fit` takes it; labels in a file are not looked at.
            **reading: `encoding`, `separator`, `quoted` and `header` of a table.

        Raises:
            MissingFileError, FileFormatError, ArgumentError, ShapeError: as `fit`.
        """
        self._check_trained()
        return self._predict(self._unlabelled(source, reading))

    @public
    def probabilities(self, source: Any, **reading: Any) -> list[npt.NDArray[np.float32]]:
        """Return the probabilities of the classes, in the order of `labels`, of each series or of its steps.

        Args:
            source, **reading: as in `predict`.

        Returns:
            For each series `[classes]`, or with `label_per_step` `[T, classes]`.

        Raises:
            MissingFileError, FileFormatError, ArgumentError, ShapeError: as `fit`.
        """
        self._check_trained()
        return self._probabilities(self._unlabelled(source, reading))

    @public
    def evaluate(
        self, source: Any, labels: Sequence[Any] | None = None, *, label: str | None = None, **reading: Any
    ) -> SequenceReport:
        """Return how good the model is on series with labels, and the simple models beside it.

        Args:
            source, labels: as `fit` takes them.
            label: column of the labels, if it is not that of the training.
            **reading: as in `predict`.

        Raises:
            ArgumentError: for labels that were not learnt, naming the series, and as `fit`.
            MissingFileError, FileFormatError, ShapeError: as `fit`.
        """
        self._check_trained()
        columns = self.columns
        if label is not None:
            if columns is None:
                raise ArgumentError("label: expected none, as the model was not trained on a table")
            columns = replace(columns, label=label)
        found = read_series(
            source,
            labels,
            columns=columns_for(source, columns),
            per_step=self.settings.label_per_step,
            **reading,
        )
        if found.labels is None:
            raise ArgumentError("labels: expected a label of each series, got none")
        check_like(self._shape, found)
        return self._measure(
            _samples(found, self.labels, self._answer), train=self.report.train, seconds=self.report.seconds
        )

    @public
    def stream(self) -> SequenceStream:
        """Return a reader of one series in chunks, whose answer does not depend on where it is cut.

        Raises:
            ArgumentError: for a network that reads in both directions, or with which a linear model is
                averaged.

        >>> classifier = SeriesClassifier(units=4, epochs=1, bidirectional=False)
        >>> _ = classifier.fit([[0, 1], [1, 0, 2]] * 4, ["a", "b"] * 4, validation_share=0, verbose=0)
        >>> stream = classifier.stream()
        >>> for value in [1, 0, 2]:
        ...     probabilities = stream.push([[value]])
        >>> probabilities.shape
        (2,)
        """
        return self._stream()

    def _unlabelled(self, source: Any, reading: Mapping[str, Any]) -> SequenceSamples:
        columns = columns_for(source, self.columns)
        if columns is not None:
            columns = replace(columns, label=None, group=None)
        found = read_series(source, columns=columns, **reading)
        check_like(self._shape, found)
        return SequenceSamples(found.inputs, names=found.names)


def _samples(found: Series, labels: Labels, answer: str) -> SequenceSamples:
    assert found.labels is not None
    lengths = [len(one) for one in found.inputs]
    targets = encode_labels(found.labels, found.names, answer, labels, lengths)
    return SequenceSamples(found.inputs, targets, found.names, found.groups)
