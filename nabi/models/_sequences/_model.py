"""Base of systems that read a sequence of vectors."""

import os
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch

from nabi import _checks
from nabi.data import Labels
from nabi.errors import ArgumentError
from nabi.files import ModelFile, reading
from nabi.models._baselines._verdict import verdict
from nabi.models._classifier._report import SECONDS_TO_MEASURE, Report
from nabi.models._sequences._baselines import Baselines, frame_features, stack, summary_features
from nabi.models._sequences._fronts import Front
from nabi.models._sequences._network import BLANK, SequenceNetwork, SequenceNetworks
from nabi.models._sequences._report import SequenceReport
from nabi.models._sequences._samples import NO_LABEL, SequenceSamples
from nabi.models._sequences._settings import SequenceSettings
from nabi.models._sequences._stream import SequenceStream
from nabi.models._sequences._training import (
    BATCH_TO_READ,
    SequenceTraining,
    balanced_weights,
    check_frames,
    usual_epochs,
)
from nabi.models._task._answers import note_answers
from nabi.models._task._task_model import TaskModel
from nabi.training import Afterwards, ResumableTraining, TimeLimit, time_of

__all__ = ["SequenceModel", "SequencePrediction"]

ALONE = "networks without the linear model"
"""Where a linear model is averaged with the networks: their figure in reports."""

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class SequencePrediction:
    """What is said of a sequence."""

    name: str
    """Of the sequence."""
    label: str | tuple[str, ...]
    """Its class; the class of every step; or the classes of a string."""
    probability: float
    """Of the class; for several the mean of the steps' most probable ones."""
    probabilities: dict[str, float] | tuple[dict[str, float], ...]
    """Of all classes; for one class a step, of each step. Empty for strings."""


class SequenceData(NamedTuple):
    """What a training learns from and what it is measured on."""

    train: SequenceSamples
    held_out: SequenceSamples
    labels: Labels
    test: SequenceSamples | None = None
    """What the report is about; what was held out by default."""


class SequenceModel(TaskModel):
    """Base of systems that read a sequence of vectors; the README beside this file says what one gives."""

    _report_type = SequenceReport
    _training_type: ClassVar[type[SequenceTraining]]
    """With the kind of its checkpoints."""
    _things: ClassVar[str] = "sequences"
    """What it reads, in reports."""

    settings: Any
    network: SequenceNetworks
    report: SequenceReport
    labels: Labels
    """The classes."""
    _linear: bool = False
    """Whether the probabilities of a linear model are averaged with those of the networks."""

    # What a subclass says -----------------------------------------------------------------------------------

    @property
    def _answer(self) -> str:
        """What is said of a sequence: "class", "step" or "string"."""
        return "class"

    @abstractmethod
    def _make_front(self) -> Front:
        """Return a front from settings, `_shape` and what the subclass has of its own."""

    def _features_for_baselines(self, sequence: Array) -> dict[str, Array]:
        """Return features of a sequence `[T, ...]` by the name of the baseline that reads them.

        For the answer "class" each is a vector `[F]`, for "step" `[T, F]`. None of it is asked for strings.
        """
        return frame_features(sequence) if self._answer == "step" else summary_features(sequence)

    def _counted_features(self) -> Mapping[str, int]:
        """Return the baselines that are naive Bayes, with the number of values of each of their features."""
        return {}

    def _one_hot_features(self) -> Collection[str]:
        """Return the baselines whose features are one-hot, which are not standardized."""
        return ()

    @property
    def _averaged_baseline(self) -> str:
        """The baseline that may be averaged with the networks; by default the last."""
        return list(self._widths)[-1]

    def _suggests_linear(self, data: SequenceData) -> bool:
        """Return whether `with_linear="auto"` averages a linear model with the trained networks.

        By default where that makes the cross-entropy on the held-out sequences smaller. Networks that read in
        one direction are left alone, so that they can stream.
        """
        if not len(data.held_out) or not self.settings.bidirectional:
            return False
        targets = _flat(data.held_out.targets)
        losses = []
        for linear in (False, True):
            values = np.stack(self._probabilities(data.held_out, linear)).astype(np.float64)
            losses.append(-np.log(np.maximum(values[np.arange(len(targets)), targets], 1e-12)).mean())
        return bool(losses[1] < losses[0])

    def _own_state(self) -> dict[str, Any]:
        """Return what the system keeps beside the classes, as JSON can hold it."""
        return {}

    def _set_own_state(self, state: Mapping[str, Any]) -> None:
        """Take what `_own_state` gave, from the header of a file."""

    def _decode(self, probabilities: Array) -> tuple[int, ...]:
        """Return the string of classes for probabilities `[T, 1 + classes]`, the first that of the blank.

        By default the most probable class of each step, equal neighbours once, blanks left out.
        """
        path = probabilities.argmax(1)
        kept = np.flatnonzero((path != BLANK) & (np.diff(path, prepend=BLANK) != 0))
        return tuple((path[kept] - 1).tolist())

    # Training -----------------------------------------------------------------------------------------------

    def _fit(
        self,
        train: SequenceSamples,
        held_out: SequenceSamples,
        labels: Labels,
        *,
        checkpoint: str | os.PathLike[str] | None,
        limit: TimeLimit | None,
        verbose: int | str,
        callbacks: Any,
        test: SequenceSamples | None = None,
    ) -> SequenceReport:
        """Train on samples that are read, checked and divided; the end of every `fit`.

        The report is about `test`, where it is given.
        """
        if self._answer == "string" and verbose != 0:
            print("In the first epochs the network usually gives blanks only; this is normal for CTC.")
        data = SequenceData(train, held_out, labels, test)
        report: SequenceReport = self._learn(
            data, checkpoint=checkpoint, limit=limit, verbose=verbose, callbacks=callbacks
        )
        return report

    def _prepare(self, data: SequenceData) -> Any:
        """Take the classes and what a sequence is, and choose how often all are gone through."""
        asked: SequenceSettings = self.asked
        if self._answer == "step" and asked.convolutions and asked.stride > 1:
            raise ArgumentError("stride: expected 1 for labels of every step, got " + str(asked.stride))
        if self._answer != "class" and asked.with_linear == "yes":
            what = {"step": "labels of every step", "string": "strings"}[self._answer]
            raise ArgumentError(f"with_linear: expected 'auto' or 'no' for {what}, got 'yes'")
        first = data.train.inputs[0]
        self.labels, self._shape, self._dtype = data.labels, first.shape[1:], first.dtype
        self._widths = {}
        if self._answer != "string":
            features = self._features_for_baselines(first)
            self._widths = {name: one.shape[-1] for name, one in features.items()}
        return replace(asked, epochs=asked.epochs or usual_epochs(len(data.train)))

    def _make_network(self) -> SequenceNetworks:
        """Return networks with random weights, and baselines that are not fitted."""
        classes = len(self.labels)

        def make() -> SequenceNetwork:
            return SequenceNetwork(self._make_front(), self.cell, self.settings, classes, self._answer)

        baselines = Baselines(self._widths, classes) if self._answer != "string" else None
        return SequenceNetworks(make, self.settings.networks, baselines)

    def _make_training(self, data: SequenceData, checkpoint: Path | None) -> SequenceTraining:
        """Return the training, after fronts and baselines have taken what they need."""
        for network in self.network.networks:
            network.front.learn(data.train.inputs)
        if self._answer == "string":
            for samples in (data.train, data.held_out):
                check_frames(self.network, samples)
        self._fit_baselines(data)
        classes = len(self.labels)
        return self._training_type(
            self.network, data.train, data.held_out, classes, self.settings, checkpoint
        )

    def _fit_baselines(self, data: SequenceData) -> None:
        if self.network.baselines is None:
            return
        weights = balanced_weights(data.train, len(self.labels)) if self.settings.class_weight else None
        train, targets = self._baseline_data(data.train)
        validation = self._baseline_data(data.held_out) if len(data.held_out) else None
        self.network.baselines.fit(
            train, targets, validation, weights, self._counted_features(), self._one_hot_features()
        )

    def _baseline_data(self, samples: SequenceSamples) -> tuple[dict[str, Array], Array]:
        """Features and targets of the sequences, or of the steps that have a label."""
        targets = _flat(samples.targets)
        known = targets != NO_LABEL
        features = self._features(samples)
        return {name: one[known] for name, one in features.items()}, targets[known]

    def _features(self, samples: SequenceSamples) -> dict[str, Array]:
        """What the baselines read of the sequences, or of their steps, by name."""
        return stack([self._features_for_baselines(one) for one in samples.inputs], self._answer == "step")

    def _report_takes(self, data: SequenceData, training: ResumableTraining) -> Afterwards:
        """Return what tells how long the report takes: reading, and searching strings."""
        judged = data.held_out if data.test is None else data.test
        count = len(judged)
        if self._answer != "string":
            # With a linear model beside the networks, all is read by both and by the networks alone.
            linear = self._answer == "class" and self.settings.with_linear != "no"
            return Afterwards((1 + linear) * count / len(data.train), seconds=SECONDS_TO_MEASURE)

        def search_some(model: Self) -> float:
            def search(rows: Sequence[int]) -> None:
                for one in model._probabilities(judged.take(rows), linear=False):
                    model._decode(one)

            return time_of(search, range(count))

        return Afterwards(rehearsal=search_some)

    def _make_report(self, data: SequenceData, training: ResumableTraining) -> SequenceReport:
        """Decide about the linear model, and measure on the test data, or on what was held out."""
        asked = self.settings.with_linear if self._answer == "class" else "no"
        self._linear = asked == "yes" or (asked == "auto" and self._suggests_linear(data))
        return self._measure(
            data.held_out if data.test is None else data.test,
            train=len(data.train),
            seconds=training.position.seconds,
            skipped=data.train.skipped,
            interrupted=training.interrupted,
            part="held-out" if data.test is None else "test",
        )

    # Files --------------------------------------------------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        """Return the classes and what a sequence is."""
        return {
            "labels": list(self.labels.names),
            "shape": list(self._shape),
            "dtype": np.dtype(self._dtype).str,
            "baselines": self._widths,
            "linear": self._linear,
            **self._own_state(),
        }

    def _set_state(self, state: Mapping[str, Any]) -> None:
        """Take what `_state` gave."""
        self.labels = Labels(state["labels"])
        self._shape = tuple(int(one) for one in state["shape"])
        self._dtype = np.dtype(state["dtype"])
        if self._dtype.kind not in "iuf":
            raise ArgumentError(f"dtype: expected one of numbers, got {self._dtype}")
        self._widths = {str(name): int(width) for name, width in state["baselines"].items()}
        self._linear = _checks.flag("linear", state["linear"]) and self._answer == "class"
        self._set_own_state(state)

    def _from_file(self, file: ModelFile, custom_objects: Mapping[str, Any] | None) -> None:
        """Be what a file holds, whose baselines are those that the system has."""
        super()._from_file(file, custom_objects)
        with reading(file.path, f"it cannot be made {self._called} again"):
            if self._answer != "string":
                features = self._features_for_baselines(np.zeros((1, *self._shape), self._dtype))
                if {name: one.shape[-1] for name, one in features.items()} != self._widths:
                    raise ArgumentError("baselines: expected those of the system, got others")

    # Asking -------------------------------------------------------------------------------------------------

    def _probabilities(
        self, samples: SequenceSamples, linear: bool | None = None
    ) -> list[npt.NDArray[np.float32]]:
        """Return probabilities of each sequence: `[classes]`, or `[T, classes]` with one for each step.

        `linear` says whether those of the linear model are averaged with them; by default as was decided
        after training.
        """
        found: list[Any] = [None] * len(samples)
        with torch.no_grad():
            for rows in samples.by_length(BATCH_TO_READ):
                batch = samples.batch(rows)
                values, lengths = self.network.probabilities(batch.inputs, batch.lengths)
                for row, value, length in zip(rows, values.numpy(), lengths.tolist(), strict=True):
                    found[row] = value if self._answer == "class" else value[:length]
        baselines = self.network.baselines
        if baselines is None or not found or not (self._linear if linear is None else linear):
            return found
        features, name = self._features(samples), self._averaged_baseline
        share = self.settings.linear_share
        mean = (1 - share) * np.stack(found) + share * baselines.probabilities(name, features[name])
        return list(mean.astype(np.float32))

    def _predict(self, samples: SequenceSamples) -> list[SequencePrediction]:
        """Return what is said of each sequence."""
        names = self.labels.names
        told = []
        for name, values in zip(samples.names, self._probabilities(samples), strict=True):
            mean = float(values.max(-1).mean())
            if self._answer == "string":
                told.append(
                    SequencePrediction(name, tuple(names[one] for one in self._decode(values)), mean, ())
                )
                continue
            rows = [dict(zip(names, row, strict=True)) for row in np.atleast_2d(values).tolist()]
            label = tuple(names[number] for number in np.atleast_2d(values).argmax(1))
            if self._answer == "class":
                told.append(SequencePrediction(name, label[0], mean, rows[0]))
            else:
                told.append(SequencePrediction(name, label, mean, tuple(rows)))
        return told

    def _measure(
        self,
        samples: SequenceSamples,
        *,
        train: int,
        seconds: float,
        skipped: tuple[str, ...] = (),
        interrupted: bool = False,
        part: str = "test",
    ) -> SequenceReport:
        """Compare what is said of sequences with their labels, and with what simple models say."""
        count = len(samples)
        told: dict[str, Any] = {"scores": None, "error_rate": None, "exact": None}
        measure, baselines, words = "accuracy", {}, ""
        if count and self._answer == "string":
            measure, baselines = "label error rate", {"no labels at all": 1.0}
            said = [self._decode(one) for one in self._probabilities(samples)]
            right = [tuple(one.tolist()) for one in samples.targets or ()]
            told["error_rate"] = _error_rate(said, right)
            told["exact"] = float(np.mean([one == other for one, other in zip(said, right, strict=True)]))
            words = verdict(told["error_rate"], baselines, measure=measure, lower_is_better=True)
        elif count:
            assert self.network.baselines is not None
            features, targets = self._baseline_data(samples)
            values = np.concatenate([np.atleast_2d(one) for one in self._probabilities(samples)])
            if self._answer == "class":
                note_answers(samples.names, targets, values)
            values = values[_flat(samples.targets) != NO_LABEL]
            what = f"{part} {'steps' if self._answer == 'step' else self._things}"
            scores = Report.measure(self.labels.names, targets, values, part=what, interrupted=interrupted)
            figure, own = _accuracy, scores.accuracy
            if self.settings.class_weight is not None:
                # Where rare classes count as much as frequent ones, accuracy says little.
                measure, figure, own = "macro F1", self._macro_f1, scores.macro_f1
            for name, said_by in self.network.baselines.predict(features, len(targets)).items():
                baselines[name] = figure(said_by, targets)
            # One standard error of the figure; steps of one sequence are not independent.
            margin = (own * (1 - own) / count) ** 0.5
            words = verdict(own, baselines, measure=measure, margin=margin)
            told["scores"] = scores
            if self._linear:
                alone = np.stack(self._probabilities(samples, False)).argmax(1)
                baselines[ALONE] = figure(alone, targets)
        return SequenceReport(
            train=train,
            held_out=count,
            **told,
            measure=measure,
            baselines=baselines,
            verdict=words,
            seconds=seconds,
            skipped=skipped,
            interrupted=interrupted,
        )

    def _macro_f1(self, said: Array, targets: Array) -> float:
        values = np.eye(len(self.labels), dtype=np.float32)[said]
        return Report.measure(self.labels.names, targets, values).macro_f1

    def _stream(self) -> SequenceStream:
        """Return a reader of chunks.

        Raises:
            ArgumentError: for a network that reads in both directions, or with which a linear model is
                averaged.
        """
        self._check_trained()
        if self.settings.bidirectional:
            raise ArgumentError(
                "stream: a network that reads in both directions needs the whole sequence; train one with "
                "bidirectional=False"
            )
        if self._linear:
            raise ArgumentError(
                "stream: the linear model that is averaged with the network needs the whole sequence; train "
                "with with_linear='no'"
            )
        return SequenceStream(self.network, self.labels.names, self._shape, self._dtype)


def _flat(targets: Sequence[Any] | None) -> npt.NDArray[np.int64]:
    return np.concatenate([np.atleast_1d(np.asarray(one, np.int64)) for one in targets or ()])


def _accuracy(said: Array, targets: Array) -> float:
    return float((said == targets).mean())


def _error_rate(said: Sequence[tuple[int, ...]], right: Sequence[tuple[int, ...]]) -> float:
    """Edit distance of all strings together, by the labels that are right."""
    from torchmetrics.functional.text import char_error_rate

    # A character of the private planes stands for each class.
    texts = [
        ["".join(chr(0xF0000 + one) for one in string) for string in strings] for strings in (said, right)
    ]
    return float(char_error_rate(*texts))
