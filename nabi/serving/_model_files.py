"""Where models come from: their files, loaded again when asked, or when they change."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nabi import _checks
from nabi._public import public

__all__ = ["ModelFiles"]


class ModelFiles:
    """The files of a server's models, for those who replace models while it runs.

    Clients can have a file loaded again, never name one.

    Args:
        files: of each model, by name.
        load: makes a model from a file, such as `nabi.TextClassifier.load`; by default `nabi.load_model`, for
            models of layers.
        watch: seconds between two looks at whether files have changed; without it nobody looks.

    Raises:
        ArgumentError: for seconds that are not positive.

    >>> from nabi.serving import ModelFiles
    >>> ModelFiles({"reviews": "reviews.nabi"}, watch=2.0).names
    ('reviews',)
    """

    @public
    def __init__(
        self,
        files: Mapping[str, str | os.PathLike[str]],
        load: Callable[[Path], Any] | None = None,
        *,
        watch: float | None = None,
    ) -> None:
        """Look at the files as they are now."""
        self._files = {name: Path(file) for name, file in files.items()}
        self._load = load
        self.watch = None if watch is None else _checks.real("watch", watch, above=0)
        self._seen = {name: _state(file) for name, file in self._files.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the models."""
        return tuple(self._files)

    def load(self, name: str) -> Any:
        """Load a model.

        Raises:
            KeyError: for a name without a file.
            NabiError: for a file that cannot be loaded.
        """
        file = self._files[name]
        self._seen[name] = _state(file)
        if self._load is not None:
            return self._load(file)
        from nabi.models import load_model

        return load_model(file)

    def changed(self) -> list[str]:
        """Return the names of models whose files have changed since they were loaded."""
        return [
            name
            for name, file in self._files.items()
            if (now := _state(file)) is not None and now != self._seen[name]
        ]


def _state(file: Path) -> tuple[int, int, int] | None:
    """Return what is different once a file has changed; None if it is not there."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
