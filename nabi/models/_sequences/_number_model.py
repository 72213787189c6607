"""What systems have in common that estimate a number for a sequence."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from nabi import _checks
from nabi.models._regressor._report import RegressionReport
from nabi.models._regressor._training import Scale
from nabi.models._sequences._fronts import Front
from nabi.models._sequences._network import SequenceNetwork
from nabi.models._sequences._number_network import FeatureRegression, NumberNetworks
from nabi.models._sequences._number_samples import numbers_of
from nabi.models._sequences._number_settings import NumberSettings
from nabi.models._sequences._number_training import NumberTraining
from nabi.models._sequences._samples import SequenceSamples
from nabi.models._sequences._training import BATCH_TO_READ, usual_epochs
from nabi.models._task._described import check_fields
from nabi.models._task._task_model import TaskModel
from nabi.training import ResumableTraining

__all__ = ["NumberModel"]

_SHARES = np.linspace(0, 1, 21).round(2)
# Where no validation data say how much the linear model counts.
_USUAL_SHARE = 0.5

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


class NumberModel(TaskModel):
    """Base of systems that estimate a number for a sequence; the README beside this file says more."""

    _report_type = RegressionReport
    _training_type: ClassVar[type[NumberTraining]]
    _things: ClassVar[str]
    """What sequences are called in reports: "series"."""
    _linear_name: ClassVar[str]
    """What the linear model is called in reports."""

    settings: NumberSettings
    network: NumberNetworks
    report: RegressionReport
    scale: Scale
    """Mean, standard deviation and median of the numbers learnt from."""
    share: float
    """How much the ridge regression counts in an estimate, from 0 to 1."""
    notes: tuple[str, ...] = ()
    """What a user should know about the data, such as sequences left out."""

    # What a system says -------------------------------------------------------------------------------------

    @abstractmethod
    def _take(self, data: Any) -> None:
        """Take what a sequence is, before the network is made."""

    @abstractmethod
    def _make_front(self) -> Front:
        """Return a front for one of the networks."""

    @abstractmethod
    def _linear_features(self, inputs: Sequence[Array]) -> Floats:
        """Return what the ridge regression reads of sequences, `[N, features]`."""

    @abstractmethod
    def _example(self) -> Array:
        """Return a sequence as the model reads them, whatever stands in it."""

    @abstractmethod
    def _own_state(self) -> dict[str, Any]:
        """Return what `_take` took, as JSON can hold it."""

    @abstractmethod
    def _set_own_state(self, state: Mapping[str, Any]) -> None:
        """Take what `_own_state` gave."""

    # Training -----------------------------------------------------------------------------------------------

    def _prepare(self, data: Any) -> Any:
        """Take how large numbers are and what a sequence is, and choose how often all are gone through."""
        self.notes, self.scale, self.share = data.notes, Scale.of(numbers_of(data.train)), 0.0
        self._take(data)
        return replace(self.asked, epochs=self.asked.epochs or usual_epochs(len(data.train)))

    def _make_network(self) -> NumberNetworks:
        """Return networks with random weights, and a ridge regression that is not fitted."""

        def make() -> SequenceNetwork:
            return SequenceNetwork(self._make_front(), self.cell, self.settings, 1, "number")

        # A file is checked on the device "meta", where no features can be computed.
        with torch.device("cpu"):
            features = self._linear_features([self._example()]).shape[1]
        linear = FeatureRegression(features, self._linear_name)
        return NumberNetworks(make, self.settings.networks, linear)

    def _make_training(self, data: Any, checkpoint: Path | None) -> NumberTraining:
        """Return the training, after fronts and the ridge regression have taken what they need."""
        for network in self.network.networks:
            network.front.learn(data.train.inputs)
        train, validation = (self._standardized(one) for one in (data.train, data.validation))
        held_out = None
        if len(validation):
            held_out = self._linear_features(validation.inputs), numbers_of(validation)
        self.network.linear.fit(self._linear_features(train.inputs), numbers_of(train), held_out)
        return self._training_type(self.network, train, validation, self.settings, checkpoint)

    def _standardized(self, samples: SequenceSamples) -> SequenceSamples:
        return replace(samples, targets=self.scale.standardized(numbers_of(samples)).tolist())

    def _make_report(self, data: Any, training: ResumableTraining) -> RegressionReport:
        """Choose how much the ridge regression counts, and measure on the test data."""
        self.share = self._best_share(data.validation)
        interrupted = training.interrupted
        if data.test is None:
            return self._measure(data.validation, f"validation {self._things}", interrupted)
        return self._measure(data.test, f"test {self._things}", interrupted)

    def _best_share(self, validation: SequenceSamples) -> float:
        if self.settings.with_linear == "no":
            return 0.0
        if not len(validation):
            return _USUAL_SHARE
        truth = numbers_of(validation)
        _, network, linear = self._estimates(validation)
        errors = [np.mean((share * linear + (1 - share) * network - truth) ** 2) for share in _SHARES]
        return float(_SHARES[int(np.argmin(errors))])

    # Files --------------------------------------------------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        """Return what belongs to the model beyond settings and weights."""
        return {
            **self._own_state(),
            "scale": asdict(self.scale),
            "share": self.share,
            "notes": list(self.notes),
        }

    def _set_state(self, state: Mapping[str, Any]) -> None:
        """Take what `_state` gave."""
        self._set_own_state(state)
        check_fields(Scale, state["scale"], "scale")
        self.scale = Scale(**state["scale"])
        self.share = _checks.real("share", state["share"], least=0, most=1)
        self.notes = tuple(map(str, state["notes"]))

    # Asking -------------------------------------------------------------------------------------------------

    def _estimates(self, samples: SequenceSamples) -> tuple[Floats, Floats, Floats]:
        """Return the estimates, those of the networks alone, and those of the ridge regression."""
        if not len(samples):
            nothing = np.empty(0, np.float64)
            return nothing, nothing, nothing
        network = self.scale.restored(self._numbers(samples))
        linear = self.scale.restored(self.network.linear.predict(self._linear_features(samples.inputs)))
        return self.share * linear + (1 - self.share) * network, network, linear

    def _numbers(self, samples: SequenceSamples) -> Floats:
        """Return what the networks say of sequences, standardized."""
        found = np.empty(len(samples), np.float64)
        with torch.no_grad():
            for rows in samples.by_length(BATCH_TO_READ):
                batch = samples.batch(rows)
                found[rows] = self.network.numbers(batch.inputs, batch.lengths).numpy()
        return found

    def _measure(self, samples: SequenceSamples, part: str, interrupted: bool) -> RegressionReport:
        said, network, linear = self._estimates(samples)
        beside = {self.network.linear.name: linear}
        for name, value in (("mean", self.scale.mean), ("median", self.scale.median)):
            beside[f"the {name} of the training"] = np.full(len(samples), value)
        if self.settings.with_linear != "no":
            beside["the networks alone"] = network
        return RegressionReport.measure(numbers_of(samples), said, beside, part=part, interrupted=interrupted)
