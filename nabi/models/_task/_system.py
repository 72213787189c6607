"""What all systems have in common: they are made from settings, and one file holds all that was learnt."""

import functools
import inspect
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from torch import Tensor

from nabi._public import public
from nabi.cells import Cell
from nabi.errors import ArgumentError
from nabi.files import ModelFile, read_kind, write_model_file
from nabi.models._task._cell_choice import CellChoice, cell_name, check_cell, make_cell
from nabi.models._task._settings import Settings

if TYPE_CHECKING:
    from torch.nn import Module

    from nabi.models._quantizing import SmallWeightsReport

__all__ = ["System"]


class System(ABC):
    """Base of what is made from a cell and settings, and is of use once it has learnt something.

    Its constructor, and the arguments in its docstring, are made from `_settings_type`.
    """

    _kind: ClassVar[str]
    """Of its files, such as "captioner"."""
    _settings_type: ClassVar[Any]
    """A class of `Settings`."""

    asked: Any
    """The settings as they were given."""
    settings: Any
    """The settings with what `fit` has chosen."""
    cell: Any
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

    def _check_trained(self) -> None:
        if not self.trained:
            raise ArgumentError(f"{type(self).__name__}: not fitted; call fit() or load()")

    # Smaller weights ----------------------------------------------------------------------------------------

    @public
    def quantize(self, weights: str = "int8") -> "SmallWeightsReport":
        """Store the weights of the network in fewer bits: a quarter (int8) or half of the memory.

        Training again makes a new network with float32 weights. See `docs/small-weights.md`.

        Args:
            weights: `"int8"`, `"bfloat16"` or `"float16"`.

        Returns:
            The sizes, and how much the outputs of the recurrent layers and convolutions change on random
            input.

        Raises:
            UnknownNameError: for another kind.
            ArgumentError: if nothing has been learnt, or the weights are stored so already.
        """
        from nabi.models._quantizing import quantize_network

        self._check_trained()
        return quantize_network(self._own_network(), weights)

    @abstractmethod
    def _own_network(self) -> "Module":
        """Return the network that has learnt."""

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

    @abstractmethod
    def _to_file(self) -> tuple[dict[str, Any], Mapping[str, Tensor]]:
        """Return header and tensors of a file."""

    @abstractmethod
    def _from_file(self, file: ModelFile, custom_objects: Mapping[str, Any] | None) -> None:
        """Be what a file holds."""


def _constructor(kind: type[System]) -> Any:
    """Return the `__init__` of a system: the cell by its place, every setting by its name."""
    first = next(iter(inspect.signature(kind._settings_type).parameters.values()))

    def __init__(self: System, cell: CellChoice = first.default, **settings: Any) -> None:  # noqa: N807
        self._set(cell, settings)

    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    chosen = own.replace(name="cell", default=first.default, annotation=CellChoice)
    parameters = [own, chosen, *kind._settings_type.parameters()]
    signature = inspect.Signature(parameters, return_annotation=None)
    made: Any = functools.update_wrapper(__init__, System.__init__, ("__module__", "__doc__"))
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
