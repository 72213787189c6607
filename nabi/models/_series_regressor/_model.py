"""A model that estimates a number from a series."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi._public import public
from nabi.errors import ArgumentError
from nabi.models._classifier._held_out import HeldOut
from nabi.models._regressor._report import RegressionReport
from nabi.models._sequences._fronts import SeriesFront
from nabi.models._sequences._number_model import NumberModel
from nabi.models._sequences._number_samples import NumberData
from nabi.models._sequences._number_training import NumberTraining
from nabi.models._sequences._samples import SequenceSamples
from nabi.models._series._checked import check_like, columns_for, named_columns
from nabi.models._series._model import usual_convolutions
from nabi.models._series._reading import SeriesColumns, read_series
from nabi.models._series_regressor._parts import numbered, read_series_numbers
from nabi.models._series_regressor._settings import SeriesRegressorSettings
from nabi.models._series_regressor._summary import features_of
from nabi.training import as_time_limit

__all__ = ["SeriesRegressor"]

Floats = npt.NDArray[np.float64]


class SeriesNumberTraining(NumberTraining):
    """The training of a series regressor."""

    kind = "series regressor training"
    material = "series or numbers"


class SeriesRegressor(NumberModel):
    """Learns to estimate a number from a series of numbers with several channels, such as the wear of a tool.

    Series may have different lengths and missing values (NaN), as for a `SeriesClassifier`; the networks are
    the same, with one number at their end. The numbers to learn are standardized. Beside the networks stands
    a ridge regression on mean, deviation, eight steps and length of the same series: an estimate is the
    weighted mean of both, unless `with_linear` is "no".

    Raises:
        ArgumentError: for a value that cannot be used; `UnknownNameError` for an unknown name.

    >>> random = np.random.default_rng(0)
    >>> slopes = random.uniform(-1, 1, 60)
    >>> series = [slope * np.arange(random.integers(5, 9)) + random.normal() for slope in slopes]
    >>> regressor = SeriesRegressor(units=8, epochs=20, learning_rate=0.01)
    >>> report = regressor.fit(series, slopes, verbose=0)
    >>> rising, falling = regressor.predict([[0, 1, 2, 3, 4], [0, -1, -2, -3, -4]])
    >>> bool(rising > 0.5), bool(falling < -0.5)
    (True, True)
    """

    _kind = "series regressor"
    _called = "a series regressor"
    _settings_type = SeriesRegressorSettings
    _training_type = SeriesNumberTraining
    _things = "series"
    _linear_name = "ridge regression on simple features"

    settings: SeriesRegressorSettings
    columns: SeriesColumns | None = None
    """Of the table that it was trained on, where `label` is that of the numbers; None for other data."""

    # Training -----------------------------------------------------------------------------------------------

    @public
    def fit(
        self,
        source: Any,
        targets: Sequence[Any] | None = None,
        groups: Sequence[Any] | None = None,
        *,
        id: str | None = None,
        time: str | None = None,
        channels: Sequence[str] | None = None,
        target: str | None = None,
        group: str | None = None,
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
    ) -> RegressionReport:
        """Learn from series with numbers, and measure on series held out.

        Everything that is wrong with them is found before training starts. Ctrl-C ends the training after
        the batch; the best weights so far are kept and measured, and the report is `interrupted`.

        Args:
            source: the path of a `.ts` file with `@targetlabel true`, or of a table (.csv, .tsv, .jsonl,
                .parquet) with a row for each step of each series; or N arrays `[T, channels]` or `[T]` of
                numbers, NaN where a value is missing.
            targets: N finite numbers, where `source` is arrays. Series with None or NaN are left out and
                named.
            groups: of each array what it belongs to, such as a machine; whole groups are held out.
            id: column that says which rows of a table are one series.
            time: column of numbers or dates by which the steps are sorted; the order of the rows by default.
            channels: columns of numbers to read; by default all that have no other meaning.
            target: column of the numbers to learn, the same in all rows of a series.
            group: column of what is held out as a whole.
            validation_share: share of the series that says which weights are kept, and how much the ridge
                regression counts; 0 for none: then the last weights are kept, and both count half.
            test_share: share of the series that the report is about; 0 to report on the validation series,
                on which the figures are a little too good.
            validation: series instead of a share: a file as `source`, or `(arrays, targets)`.
            test: likewise.
            encoding: of the files.
            separator: between the columns of .csv files; detected by default.
            quoted: False for .csv files in which a quote is a character like others.
            header: False for .csv and .xlsx files without one, whose columns are "0", "1", ...
            checkpoint: a file that keeps where training stands, written every minute: the same call goes on
                from there after an interruption, and ends with the same weights as if there had been none.
                It is removed at the end.
            minutes: the time that training may take, None for all that it needs; as for a `SeriesClassifier`.
            verbose: 0 nothing, 1 or "auto" a bar on a terminal, 2 a line per epoch.
            callbacks: objects of `nabi.callbacks`; they hear of epochs, batches and validation.

        Raises:
            MissingFileError, FileFormatError: for a file that is not there or wrong, with the line.
            ArgumentError, ShapeError: for series that do not fit each other or have no steps, a channel
                without any value, a target that is no finite number, fewer than 10 numbers or a single one,
                and shares that leave nothing.
            NotFiniteError: if the loss becomes NaN or infinite.
        """
        limit = as_time_limit(minutes)
        data = read_series_numbers(
            source,
            targets,
            groups,
            columns=named_columns(id, time, channels, group, target=target),
            held_out=HeldOut(validation, test, validation_share, test_share, self.asked.seed),
            reading={"encoding": encoding, "separator": separator, "quoted": quoted, "header": header},
        )
        if verbose != 0:
            for note in data.notes:
                print(note)
        report: RegressionReport = self._learn(
            data, checkpoint=checkpoint, limit=limit, verbose=verbose, callbacks=callbacks
        )
        return report

    def _prepare(self, data: NumberData) -> SeriesRegressorSettings:
        """Also choose the convolutions."""
        settings: SeriesRegressorSettings = super()._prepare(data)
        lengths = data.train.lengths
        return replace(settings, convolutions=usual_convolutions(settings.convolutions, lengths))

    def _take(self, data: NumberData) -> None:
        """Take the columns, the channels, and whether values are missing."""
        self.columns = data.columns
        self._channels = data.train.inputs[0].shape[1]
        self._gaps = any(bool(np.isnan(one).any()) for one in data.train.inputs)

    def _make_front(self) -> SeriesFront:
        """Return a front that standardizes the channels."""
        return SeriesFront(self._channels, self._gaps, self.settings.noise)

    def _linear_features(self, inputs: Sequence[npt.NDArray[Any]]) -> Floats:
        """Return mean, deviation, eight steps and length of series."""
        return features_of(inputs)

    def _example(self) -> npt.NDArray[Any]:
        """Return a series of one step."""
        return np.zeros((1, self._channels))

    # Files --------------------------------------------------------------------------------------------------

    def _own_state(self) -> dict[str, Any]:
        """Return channels, whether values are missing, and the columns."""
        return {
            "channels": self._channels,
            "gaps": self._gaps,
            "columns": None if self.columns is None else self.columns.to_dict(),
        }

    def _set_own_state(self, state: Mapping[str, Any]) -> None:
        """Take what `_own_state` gave."""
        self._channels = _checks.whole("channels", state["channels"], least=1)
        self._gaps = _checks.flag("gaps", state["gaps"])
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
        samples = self._unnumbered(source, reading)
        return list(zip(samples.names, samples.inputs, strict=True))

    @public
    def predict(self, source: Any, **reading: Any) -> Floats:
        """Return the number that is estimated for each series, `[N]`, in the unit of the training.

        Args:
            source: as `fit` takes it; numbers or labels in a file are not looked at.
            **reading: `encoding`, `separator`, `quoted` and `header` of a table.

        Raises:
            MissingFileError, FileFormatError, ArgumentError, ShapeError: as `fit`.
        """
        self._check_trained()
        return self._estimates(self._unnumbered(source, reading))[0]

    @public
    def evaluate(
        self, source: Any, targets: Sequence[Any] | None = None, *, target: str | None = None, **reading: Any
    ) -> RegressionReport:
        """Compare with the right numbers of a file or of lists, with the simpler models beside it.

        Args:
            source, targets: as `fit` takes them.
            target: column of the numbers, if it is not that of the training.
            **reading: as in `predict`.

        Raises:
            MissingFileError, FileFormatError, ArgumentError, ShapeError: as `fit`.
        """
        self._check_trained()
        columns = self.columns
        if target is not None:
            if columns is None:
                raise ArgumentError("target: expected none, as the model was not trained on a table")
            columns = replace(columns, label=target)
        columns = columns_for(source, columns)
        if columns is not None:
            columns = replace(columns, group=None)
        found = read_series(source, targets, columns=columns, numbers=True, called="targets", **reading)
        check_like((self._channels,), found)
        return self._measure(numbered(found)[0], "series", interrupted=False)

    def _unnumbered(self, source: Any, reading: Mapping[str, Any]) -> SequenceSamples:
        columns = columns_for(source, self.columns)
        if columns is not None:
            columns = replace(columns, label=None, group=None)
        found = read_series(source, columns=columns, numbers=None, **reading)
        check_like((self._channels,), found)
        return SequenceSamples(found.inputs, names=found.names)
