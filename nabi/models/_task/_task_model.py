"""What every system has in common: it is made from settings, trained, written into one file, read again."""

import copy
import functools
import inspect
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from nabi import _checks
from nabi._public import public
from nabi.cells import Cell
from nabi.errors import ArgumentError, OutputError
from nabi.interchange import ModelFile, check_figures, check_tensors, read_kind, reading, write_model_file
from nabi.layers import cell_config, cell_from_config, only_tensors_of
from nabi.models._task._cell_choice import CellChoice, cell_name, check_cell, make_cell
from nabi.models._task._described import Described
from nabi.models._task._settings import Settings
from nabi.training import CallbackList, ResumableTraining, as_callbacks, make_display

__all__ = ["TaskModel"]


class TaskModel(ABC):
    """Base of systems: a network of any cell with all that stands around it, from raw data to an answer.

    The README beside this file says what a subclass gives. Its constructor, and the arguments in its
    docstring, are made from `_settings_type`.
    """

    _kind: ClassVar[str]
    """Of its files, such as "captioner"."""
    _called: ClassVar[str]
    """What it is in messages: "a captioner"."""
    _settings_type: ClassVar[Any]
    """A class of `Settings`."""
    _report_type: ClassVar[type[Described]]

    asked: Any
    """The settings as they were given."""
    settings: Any
    """The settings with what `fit` has chosen."""
    cell: Any
    network: Any
    report: Any
    history: dict[str, list[float]]
    """Figures of every epoch."""
    trained: bool
    """Whether it has learnt something."""

    def __init__(self, cell: CellChoice = "lstm", **settings: Any) -> None:
        """Take a cell and the settings by name; a subclass has the signature of its own settings."""
        self._set(cell, settings)

    def __init_subclass__(cls, **options: Any) -> None:
        """Give a subclass that names its settings a constructor for them, and say in its docstring what they
        are."""
        super().__init_subclass__(**options)
        if "_settings_type" in vars(cls):
            cls.__init__ = _constructor(cls)  # type: ignore[method-assign]
            if cls.__doc__ is not None:
                cls.__doc__ = _with_arguments(cls.__doc__, cls._settings_type)

    def _set(self, cell: CellChoice, settings: dict[str, Any]) -> None:
        """Be what the arguments of the constructor say."""
        check_cell(cell, None)
        if isinstance(cell, Cell):
            settings["units"] = cell.units
        self.asked = self.settings = self._settings_type(cell=cell_name(cell), **settings)
        self.cell = make_cell(cell, self.asked.units)
        self.trained = False

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
        shown = {"epochs": settings.epochs, "verbose": verbose, "steps": training.batches_per_epoch}
        training.run(display, CallbackList(as_callbacks(callbacks), self, shown))
        vars(self).update(vars(learnt))
        self.history, self.trained = training.position.history, True
        self.report = self._make_report(data, training)
        return self.report

    def _check_trained(self) -> None:
        if not self.trained:
            raise ArgumentError(
                f"{type(self).__name__}: it has learnt nothing yet; fit it, or load one that has"
            )

    # Files --------------------------------------------------------------------------------------------------

    @public
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything into one file, for `load`.

        Raises:
            OutputError: if the file cannot be written.
            ArgumentError: if nothing has been learnt.
        """
        self._check_trained()
        write_model_file(path, self._kind, *self._to_file())

    @classmethod
    @public
    def load(cls, path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Read a model that `save` wrote.

        Args:
            path: the file.
            custom_objects: classes of your own by name; a cell of your own is there already where its class
                is defined in the program.

        Raises:
            MissingFileError: if there is no such file.
            FileFormatError: if it is damaged, of another program, or holds something else.
            ArgumentError: if it needs a class that is not there.
        """
        model = cls()
        model._from_file(read_kind(path, (cls._kind,)), custom_objects)
        model.trained = True
        return model

    def _to_file(self) -> tuple[dict[str, Any], Mapping[str, Tensor]]:
        """Return header and tensors of a file."""
        header = {
            "cell": cell_config(self.cell),
            "settings": self.settings.to_dict(),
            **self._state(),
            "report": self.report.to_dict(),
            "history": self.history,
        }
        return header, self.network.state_dict()

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
                expected = self._make_network().state_dict()
            check_tensors(tensors, expected)
            self.network = self._make_network()
            with torch.no_grad():
                for name, weight in self.network.state_dict().items():
                    weight.copy_(tensors[name])
            self.report = self._report_type.from_dict(header["report"])
            self.history = check_figures("history", header["history"])


def _constructor(kind: type[TaskModel]) -> Any:
    """Return the `__init__` of a system: the cell by its place, every setting by its name."""
    first = next(iter(inspect.signature(kind._settings_type).parameters.values()))

    def __init__(self: TaskModel, cell: CellChoice = first.default, **settings: Any) -> None:  # noqa: N807
        self._set(cell, settings)

    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    chosen = own.replace(name="cell", default=first.default, annotation=CellChoice)
    parameters = [own, chosen, *kind._settings_type.parameters()]
    signature = inspect.Signature(parameters, return_annotation=None)
    made: Any = functools.update_wrapper(__init__, TaskModel.__init__, ("__module__", "__doc__"))
    made.__qualname__ = f"{kind.__qualname__}.__init__"
    made.__signature__ = signature
    made.__annotations__ = {one.name: one.annotation for one in parameters[1:]} | {"return": None}
    del made.__wrapped__
    return public(made)


def _with_arguments(docstring: str, settings: type[Settings]) -> str:
    """Put the arguments into the docstring of a system, before the errors."""
    raises = re.search(r"^( *)Raises:", docstring, re.MULTILINE)
    assert raises is not None
    place = raises.start()
    return f"{docstring[:place]}{settings.explained(raises[1])}\n\n{docstring[place:]}"
