"""From text to number: everything between a table of texts with numbers and a trained network."""

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nabi import _checks
from nabi._public import public
from nabi.data import Vocabulary
from nabi.errors import ArgumentError, TableWarning
from nabi.files import ModelFile, part, reading
from nabi.models._classifier._columns import Columns, TableFormat
from nabi.models._classifier._held_out import HeldOut
from nabi.models._classifier._network import TextNetwork, network_fault, outputs_of
from nabi.models._classifier._other_columns import OtherColumns, beside_texts
from nabi.models._classifier._text_system import (
    codes_of,
    described_system,
    learn,
    reports,
    set_described,
)
from nabi.models._regressor._report import RegressionReport
from nabi.models._regressor._samples import NumberSamples, collect_numbers
from nabi.models._regressor._settings import RegressorSettings
from nabi.models._regressor._split import NumberParts, named_columns, read_number_parts
from nabi.models._regressor._training import Scale, train
from nabi.models._regressor._words import WordRegression
from nabi.models._task._cell_choice import CellChoice, cell_name, check_cell
from nabi.models._task._described import check_fields
from nabi.models._task._system import System
from nabi.training import as_time_limit

__all__ = ["TextRegressor"]

Floats = npt.NDArray[np.float64]


class TextRegressor(System):
    """Learns to estimate a number from a text, such as the stars of a review; like `TextClassifier`.

    It reads a table of texts and numbers (or lists), standardizes the numbers, learns a vocabulary, trains an
    embedding and a recurrent layer until held-out rows no longer improve, and measures itself on others in
    the unit of the numbers. Beside the network, ridge regression learns from words and pairs of words: unless
    `word_features` is False, the estimate is the weighted mean of both. Settings that are None (or "auto")
    are chosen from the data; `settings` holds the choices.

    Raises:
        ArgumentError: for a value that cannot be used; `UnknownNameError` for an unknown name.

    >>> words = {"superb": 5.0, "good": 4.0, "dull": 2.0, "awful": 1.0}
    >>> texts = [f"{a} film and {b} music" for a in words for b in words] * 4
    >>> stars = [(words[a] + words[b]) / 2 for a in words for b in words] * 4
    >>> regressor = TextRegressor(units=4, embedding_size=8, epochs=30, learning_rate=0.03)
    >>> report = regressor.fit(texts, stars, verbose=0)
    >>> bad, good = regressor.predict(["awful film and dull music", "superb film and good music"])
    >>> bool(bad < 2.5), bool(good > 3.5)
    (True, True)
    """

    _kind = "text regressor"
    _settings_type = RegressorSettings

    model: TextNetwork
    """The network: codes `[B, T]`, with `columns` also their features `[B, F]`, to standardized numbers
    `[B, 1]`."""
    words: WordRegression | None
    """Ridge regression on words and pairs of words; None where no two texts have one in common."""
    share: float
    """How much that counts in an estimate, from 0 to 1."""
    scale: Scale
    """Mean, standard deviation and median of the numbers learnt from."""
    vocabulary: Vocabulary
    report: RegressionReport
    """Of the rows that were held out."""
    validation_report: RegressionReport | None
    """Of the rows that said when to stop."""
    seconds: float
    """How long training took."""
    reasons: Mapping[str, str]
    """Why settings were chosen as they were."""
    notes: tuple[str, ...]
    """What a user should know about the data, such as rows left out."""
    settings: RegressorSettings
    """As they were chosen."""
    columns: Columns | None = None
    """Of the table that it was trained on, where `label` is that of the numbers; None for lists."""
    has_aspects: bool = False
    """Whether each text comes with an aspect that it is asked about."""
    other_columns: OtherColumns | None = None
    """Columns that are read beside the text, and how."""

    def _set(self, cell: CellChoice, settings: dict[str, Any]) -> None:
        """Keep the cell as it was given: it is made when its units are chosen."""
        check_cell(cell, settings.get("units"))
        self.asked = self.settings = RegressorSettings(cell=cell_name(cell), **settings)
        self.cell = cell
        self.trained = False

    # Training -----------------------------------------------------------------------------------------------

    @public
    def fit(
        self,
        source: Any,
        targets: Sequence[Any] | None = None,
        aspects: Sequence[str] | None = None,
        *,
        text: str | None = None,
        target: str | None = None,
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
    ) -> RegressionReport:
        """Learn from a table or from lists, and measure on rows held out.

        Everything that is wrong with the data is found before training starts. Ctrl-C ends the training after
        the batch; the best weights so far are kept and measured, and the report is `interrupted`.

        Args:
            source: the path of a table (.csv, .tsv, .jsonl, .parquet, also compressed), or N texts.
            targets: N finite numbers, where `source` is texts. Rows with None or NaN are left out and named.
            aspects: N texts, where `source` is texts: what each is asked about.
            text: name of the column of texts.
            target: name of the column of numbers.
            aspect: name of a column that says what the text is asked about.
            columns: names of other columns to read beside the text; with lists, N cells for each by name. A
                column in which every cell is a number or empty is read as numbers, others as categories.
            validation_share: share of the rows that says when to stop; 0 for all epochs.
            test_share: share of the rows that the report is about; 0 to report on the validation rows.
            validation: a table with the same columns, or `(texts, targets)`, instead of a share.
            test: likewise.
            encoding: of the tables.
            separator: between the columns of .csv files; found out by default.
            quoted: False for .csv files in which a quote is a character like others.
            header: False for .csv and .xlsx files without one, whose columns are "0", "1", ...
            checkpoint: a file that keeps where training stands, written every minute and after every
                epoch: the same call goes on from there after an interruption, and ends with the same weights
                as if there had been none. It is removed at the end.
            minutes: the time that training may take, None for all that it needs: it ends by the clock, with
                the best weights so far.
            verbose: 0 nothing, 1 or "auto" what was chosen and a bar on a terminal, 2 a line per epoch.
            callbacks: objects of `nabi.callbacks`.

        Raises:
            MissingFileError, FileFormatError: for a table that is not there or damaged, a damaged checkpoint.
            ArgumentError: for columns, numbers or shares from which nothing can be learnt; a cell that is no
                finite number is named with its row.
        """
        limit = as_time_limit(minutes)
        parts = read_number_parts(
            source,
            targets,
            aspects,
            columns,
            columns=named_columns(source, text, target, aspect, columns),
            held_out=HeldOut(validation, test, validation_share, test_share, self.asked.seed),
            table=TableFormat(encoding, separator, quoted, header),
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
        parts: NumberParts,
        *,
        checkpoint: str | os.PathLike[str] | None = None,
        minutes: float | None = None,
        verbose: int | str = "auto",
        callbacks: Any = None,
    ) -> RegressionReport:
        """Learn from samples that are read and divided already; see `fit`."""
        limit = as_time_limit(minutes)
        return self._fit_parts(
            parts, checkpoint=checkpoint, limit=limit, verbose=verbose, callbacks=callbacks
        )

    def _fit_parts(self, parts: NumberParts, **how: Any) -> RegressionReport:
        learnt = learn(self, train, parts, **how)
        self.words, self.share, self.scale = learnt.words, learnt.share, learnt.scale
        self.trained = True
        self.validation_report, self.report = reports(
            parts, lambda samples, part: self._measure(samples, part, learnt.network.interrupted)
        )
        return self.report

    # Asking -------------------------------------------------------------------------------------------------

    def encode(
        self, texts: Sequence[str], aspects: Sequence[str] | None = None
    ) -> list[npt.NDArray[np.int32]]:
        """Return the codes of texts as the network reads them, each `[T]` with T up to `maxlen`.

        Raises:
            ArgumentError: for what is no list of texts, and for aspects that are missing or too many.
        """
        self._check_trained()
        return codes_of(self, texts, aspects, "regressor")

    @public
    def predict(
        self,
        texts: Sequence[str],
        aspects: Sequence[str] | None = None,
        *,
        columns: Mapping[str, Sequence[Any]] | None = None,
    ) -> Floats:
        """Return the number that is estimated for each text, `[N]`, in the unit of the training.

        A text without a single word gets the mean of the training. Unknown words are read as such, and a text
        is read up to `maxlen` tokens.

        Args:
            texts: N texts.
            aspects: N texts, for a regressor that was trained with aspects.
            columns: N cells for each of the other columns of the training, by name. A category that is not
                known, and a missing cell, is read as such.

        Raises:
            ArgumentError: as `encode`; for columns that are not those of the training, and cells that cannot
                be read.
        """
        return self._estimates(texts, aspects, columns)[0]

    def _estimates(
        self,
        texts: Sequence[str],
        aspects: Sequence[str] | None,
        columns: Mapping[str, Sequence[Any]] | None,
    ) -> tuple[Floats, Floats, Floats | None]:
        """Return the estimates, those of the network alone, and those of the linear model."""
        sequences = self.encode(texts, aspects)
        beside = beside_texts(self.other_columns, columns, len(sequences))
        if not sequences:
            nothing = np.empty(0, np.float64)
            return nothing, nothing, None
        empty = [not text.strip() for text in texts]
        network = self.scale.restored(outputs_of(self.model, sequences, beside)[:, 0])
        linear = None
        if self.words is not None:
            linear = self.scale.restored(self.words.predict(texts, aspects, beside))
        said = network
        if linear is not None and self.share:
            said = self.share * linear + (1 - self.share) * network
        found = [said, network, linear]
        for values in found:
            if values is not None:
                values[empty] = self.scale.mean
        return said, network, linear

    @public
    def evaluate(
        self,
        source: Any,
        targets: Sequence[Any] | None = None,
        aspects: Sequence[str] | None = None,
        *,
        text: str | None = None,
        target: str | None = None,
        aspect: str | None = None,
        columns: Mapping[str, Sequence[Any]] | None = None,
        encoding: str = "utf-8",
        separator: str | None = None,
        quoted: bool = True,
        header: bool = True,
        wrong_rows: str = "raise",
    ) -> RegressionReport:
        """Compare with the right numbers of a table or of lists; arguments as in `fit`.

        The columns of a table are those of the training unless others are named. `wrong_rows` says whether a
        row that cannot be read is an error ("raise"), or is left out and named by a `TableWarning` ("keep").

        Raises:
            ArgumentError, MissingFileError, FileFormatError: as `fit`.
        """
        self._check_trained()
        samples = collect_numbers(
            source,
            targets,
            aspects,
            columns,
            columns=self.columns_of(source, text, target, aspect),
            table=TableFormat(encoding, separator, quoted, header, wrong_rows),
            known=self.other_columns,
        )
        if samples.wrong:
            warnings.warn(samples.wrong, TableWarning, stacklevel=3)
        return self._measure(samples, "rows", interrupted=False)

    def columns_of(
        self, source: Any, text: str | None = None, target: str | None = None, aspect: str | None = None
    ) -> Columns | None:
        """Return the columns of a table, those of the training where none are named; None for lists."""
        trained, others = self.columns, () if self.other_columns is None else self.other_columns.names
        if not isinstance(source, str | os.PathLike):
            return named_columns(source, text, target, aspect)
        if trained is None:
            return named_columns(source, text, target, aspect, others)
        assert isinstance(trained.label, str)
        return Columns(text or trained.text, target or trained.label, aspect or trained.aspect, others)

    def _measure(self, samples: NumberSamples, part: str, interrupted: bool) -> RegressionReport:
        said, network, linear = self._estimates(samples.texts, samples.aspects, samples.others)
        beside: dict[str, Floats] = {}
        if linear is not None:
            assert self.words is not None
            beside[self.words.name] = linear
        for name, value in (("mean", self.scale.mean), ("median", self.scale.median)):
            beside[f"the {name} of the training"] = np.full(len(samples), value)
        if linear is not None and self.settings.word_features:
            beside["the network alone"] = network
        if self.other_columns is not None:
            features = self.other_columns.features(samples.others, len(samples))
            beside["the columns alone"] = self.scale.restored(self.other_columns.alone(features)[:, 0])
        return RegressionReport.measure(samples.targets, said, beside, part=part, interrupted=interrupted)

    # Files --------------------------------------------------------------------------------------------------

    def _own_network(self) -> torch.nn.Module:
        return self.model

    def _to_file(self) -> tuple[dict[str, Any], Mapping[str, Tensor]]:
        """Return header and tensors of a file: those of the network, and what stands around it."""
        own = {"scale": asdict(self.scale), "share": self.share, "report": self.report.to_dict()}
        words = None if self.words is None else self.words.to_file()
        return described_system(self, "regressor", own, words=words)

    def _from_file(self, file: ModelFile, custom_objects: Mapping[str, Any] | None) -> None:
        """Be what a file holds."""
        from nabi.models._keras_models import make_model

        model: Any = make_model(file, custom_objects)
        self.model = model  # `_misfit` rejects it unless it is a `Sequential`
        with reading(file.path, "it cannot be made a text regressor again"):
            described = file.header["regressor"]
            set_described(
                self,
                described,
                file.tensors,
                settings=RegressorSettings,
                report=RegressionReport,
                outputs=1,
            )
            check_fields(Scale, described["scale"], "scale")
            self.scale = Scale(**described["scale"])
            self.share = _checks.real("share", described["share"], least=0, most=1)
            self.report = RegressionReport.from_dict(described["report"])
            words = described["words"]
            self.words = None
            if words is not None:
                beside = 0 if self.other_columns is None else len(self.other_columns)
                self.words = WordRegression.from_file(words, part(file.tensors, "words/"), beside)
            fault = self._misfit()
            if fault:
                raise ArgumentError(fault)

    def _misfit(self) -> str:
        """Say what does not fit together; "" where all does."""
        model = self.model
        others = self.other_columns
        fault = network_fault(model, len(self.vocabulary), 0 if others is None else len(others))
        if fault:
            return fault
        if model.output_shape != (None, 1):
            return f"its network gives {model.output_shape}, expected one number for each text"
        if self.share and self.words is None:
            return "its linear model counts, but it holds none"
        if self.settings.maxlen is None:
            return "its settings have no maxlen"
        return ""
