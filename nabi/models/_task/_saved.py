"""What the models that learn from raw data have in common: they are written into one file and read again."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Self

from nabi._public import public
from nabi.errors import ArgumentError

__all__ = ["Saved"]


class Saved(ABC):
    """Base of models that are of use once they have learnt something; then one file holds all of them.

    A subclass can be made without arguments, and names its functions for files `_save` and `_fill`.
    """

    history: dict[str, list[float]]
    """Figures of every epoch."""
    trained: bool
    """Whether it has learnt something."""

    @public
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything into one file, for `load`.

        Raises:
            OutputError: if the file cannot be written.
            ArgumentError: if nothing has been learnt.
        """
        self._check_trained()
        self._save(path)

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
        model._fill(path, custom_objects)
        return model

    @abstractmethod
    def _save(self, path: str | os.PathLike[str]) -> None:
        """Write a model that has learnt something."""

    @abstractmethod
    def _fill(self, path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None) -> None:
        """Give a new model what a file holds."""

    def _check_trained(self) -> None:
        if not self.trained:
            raise ArgumentError(
                f"{type(self).__name__}: it has learnt nothing yet; fit it, or load one that has"
            )
