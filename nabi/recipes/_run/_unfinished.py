"""Runs that train several networks one after the other, and go on where they were interrupted."""

from typing import Any, TypeVar

from nabi.errors import NabiError
from nabi.recipes._run._run_folder import RunFolder

__all__ = ["Unfinished"]

_Model = TypeVar("_Model", bound=Any)
_MARK = "unfinished.txt"


class Unfinished:
    """Knows whether an earlier run of the same folder was interrupted: then its models count."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._goes_on = (folder / _MARK).exists()
        # By this text the command line knows that the folder is one of its own.
        folder.write_text(
            _MARK,
            "An unfinished run, written by nabi: the same command goes on from here.\n",
        )

    def finished(self, name: str, model: _Model) -> _Model:
        """Return the model of this name from an interrupted run with the same settings, else the new one."""
        file = self._folder / f"{name}.nabi"
        if not self._goes_on or (self._folder / f"{name}.training").exists() or not file.exists():
            return model
        try:
            loaded: _Model = type(model).load(file)
        except NabiError:
            return model
        asked, found = model.asked.to_dict(), loaded.settings.to_dict()
        same = all(found[setting] == value for setting, value in asked.items() if value is not None)
        return loaded if same else model

    def end(self) -> None:
        """Say that everything was done."""
        (self._folder / _MARK).unlink()
