"""Where a description came from: the file, its Keras, and what the user gave by name."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nabi._shown import short
from nabi.errors import FileFormatError

__all__ = ["Origin", "version_of"]


@dataclass(frozen=True)
class Origin:
    """A Keras file while it is read.

    Attributes:
        path: of the file, for messages.
        version: of the Keras that wrote it, such as (2, 4).
        in_tensorflow: whether that was the Keras inside TensorFlow.
        custom_objects: the user's classes and functions by name.
        backend: on which that Keras ran, "" if the file does not say.
    """

    path: Path
    version: tuple[int, int]
    in_tensorflow: bool = False
    custom_objects: Mapping[str, Any] = field(default_factory=dict)
    backend: str = ""

    @property
    def major(self) -> int:
        """The version of Keras, 1 to 3."""
        return self.version[0]

    def refusal(self, why: str, layer: str | None = None) -> FileFormatError:
        """Return an error that names the file and, if there is one, the layer."""
        where = "" if layer is None else f"layer {short(layer)}: "
        return FileFormatError(f"path: {self.path}: {where}{why if len(why) < 600 else why[:600] + '...'}")

    @contextmanager
    def naming(self, layer: str) -> Iterator[None]:
        """Turn what goes wrong inside into an error that names the file and the layer."""
        try:
            yield
        except FileFormatError as problem:
            if str(self.path) in str(problem):
                raise
            raise self.refusal(str(problem), layer) from problem
        except RecursionError:
            raise
        except Exception as problem:
            said = str(problem) if isinstance(problem, ValueError) else f"{type(problem).__name__}: {problem}"
            raise self.refusal(said, layer) from problem


def version_of(text: str | None) -> tuple[tuple[int, int], bool]:
    """Return the version of Keras that a file names, and whether it is TensorFlow's.

    Files of the first Keras name none.

    >>> version_of("3.15.1"), version_of("2.2.4-tf"), version_of(None)
    (((3, 15), False), ((2, 2), True), ((1, 0), False))

    Raises:
        ValueError: for anything else, and for versions that are not known.
    """
    if text is None:
        return (1, 0), False
    found = re.match(r"(\d{1,3})\.(\d{1,4})", text)
    if found is None or not 1 <= int(found[1]) <= 3:
        raise ValueError(f"keras_version: expected a version of Keras 1 to 3, got {short(text)}")
    version = (int(found[1]), int(found[2]))
    # The last Keras beside TensorFlow before version 3 was 2.3; from 2.4 on it was TensorFlow's in any case.
    return version, text.endswith("-tf") or (2, 4) <= version < (3, 0)
