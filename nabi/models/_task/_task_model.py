"""A system whose network of a cell is trained by `ResumableTraining`: from data to a report, and files."""

import copy
import os
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from nabi import _checks
from nabi.cells import Cell
from nabi.errors import ArgumentError, OutputError
from nabi.files import ModelFile, check_figures, check_tensors, reading
from nabi.layers import (
    cell_config,
    cell_from_config,
    only_tensors_of,
    quantize_as,
    small_weights_header,
)
from nabi.models._task._system import System
from nabi.small_weights import arrays_of
from nabi.training import (
    Afterwards,
    CallbackList,
    ResumableTraining,
    TimeLimit,
    as_callbacks,
    make_display,
)

__all__ = ["TaskModel"]


class TaskModel(System):
    """Base of systems: a network of any cell with all that stands around it, from raw data to an answer.

    The README beside this file says what a subclass gives.
    """

    _called: ClassVar[str]
    """What it is in messages: "a captioner"."""
    _report_type: ClassVar[Any]
    """A class of `Described`."""

    network: Any
    report: Any

    # What a subclass says -----------------------------------------------------------------------------------

    @abstractmethod
    def _prepare(self, data: Any) -> Any:
        """Take from the data what has to be known before the network is made, such as a vocabulary.

        It is kept as attributes: those that `_state` writes. Returns the settings, with what was left open
        chosen; `epochs` must be a number.
        """

    @abstractmethod
    def _make_network(self) -> torch.nn.Module:
        """Return a network with weights from torch's random numbers, from `settings`, `cell` and the state.

        It is asked before training and for a file. All of its tensors must be created where torch's default
        device says, which is "meta" while a file is checked.
        """

    @abstractmethod
    def _make_training(self, data: Any, checkpoint: Any) -> ResumableTraining:
        """Return the training of `network` on the data; `checkpoint` is a `Path` or None."""

    @abstractmethod
    def _make_report(self, data: Any, training: ResumableTraining) -> Any:
        """Return how good the trained model is."""

    def _report_takes(self, data: Any, training: ResumableTraining) -> Afterwards:
        """Return what tells how long `_make_report` takes; by default as long as a validation."""
        return Afterwards(training.validation_share)

    @abstractmethod
    def _state(self) -> dict[str, Any]:
        """Return what belongs to the model beyond settings, weights and figures, as JSON can hold it."""

    @abstractmethod
    def _set_state(self, state: Mapping[str, Any]) -> None:
        """Take what `_state` gave, from the header of a file.

        Raises:
            Exception: for what does not fit; the file is then called damaged.
        """

    # Training -----------------------------------------------------------------------------------------------

    def _learn(
        self,
        data: Any,
        *,
        checkpoint: str | os.PathLike[str] | None,
        limit: TimeLimit | None,
        verbose: int | str,
        callbacks: Any,
    ) -> Any:
        """Train on data that is read, checked and divided, and return the report; the end of every `fit`.

        Where it fails, the model is what it was before.
        """
        display = make_display(verbose)
        learnt = copy.copy(self)
        settings = learnt.settings = learnt._prepare(data)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            learnt.network = learnt._make_network()
        place = None if checkpoint is None else _checks.path("checkpoint", checkpoint, wrong=OutputError)
        training = learnt._make_training(data, place)
        training.limit = limit
        shown = {"epochs": settings.epochs, "verbose": verbose, "steps": training.batches_per_epoch}
        heard = CallbackList([*as_callbacks(callbacks), learnt._report_takes(data, training)], self, shown)
        # What follows the training can be tried with the network as it is by then.
        learning = copy.copy(learnt)
        learning.trained = True
        for callback in heard.callbacks:
            if isinstance(callback, Afterwards):
                callback.learning = learning
        training.run(display, heard)
        vars(self).update(vars(learnt))
        self.history, self.trained = training.position.history, True
        self.report = self._make_report(data, training)
        return self.report

    # Files --------------------------------------------------------------------------------------------------

    def _to_file(self) -> tuple[dict[str, Any], Mapping[str, Tensor]]:
        """Return header and tensors of a file."""
        header = {
            "cell": cell_config(self.cell),
            "settings": self.settings.to_dict(),
            **self._state(),
            "report": self.report.to_dict(),
            "history": self.history,
        }
        return {**header, **small_weights_header(self.network)}, arrays_of(self.network.state_dict())

    def _network_for(self, header: Mapping[str, Any]) -> torch.nn.Module:
        """Return a network whose weights are stored as the header of a file says."""
        network = self._make_network()
        quantize_as(network, header)
        return network

    def _own_network(self) -> torch.nn.Module:
        return self.network  # type: ignore[no-any-return]

    def _from_file(self, file: ModelFile, custom_objects: Mapping[str, Any] | None) -> None:
        """Be what a file holds, whose tensors are compared with the network before this takes memory."""
        header, tensors, result = file.header, file.tensors, f"it cannot be made {self._called} again"
        with reading(file.path, result, of_own_classes=True):
            cell = cell_from_config(header["cell"], custom_objects)
        held = only_tensors_of((one.shape for one in tensors.values()), spare=False)
        with reading(file.path, result), torch.random.fork_rng(devices=[]):
            if not isinstance(cell, Cell):
                raise ArgumentError(f"cell: expected a cell, got {type(cell).__name__}")
            self.settings = self.asked = self._settings_type.from_dict(header["settings"])
            if self.settings.units != cell.units:
                raise ArgumentError(
                    f"units: expected those of its cell, {cell.units}, got {self.settings.units}"
                )
            self.cell = cell
            self._set_state(header)
            with held, torch.device("meta"):
                expected = arrays_of(self._network_for(header).state_dict())
            check_tensors(tensors, expected)
            self.network = self._network_for(header)
            with torch.no_grad():
                for name, weight in arrays_of(self.network.state_dict()).items():
                    weight.copy_(tensors[name])
            self.report = self._report_type.from_dict(header["report"])
            self.history = check_figures("history", header["history"])
