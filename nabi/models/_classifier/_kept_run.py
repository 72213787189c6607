"""The checkpoint of a text classifier's training: whose it is, and how long that took so far."""

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from nabi.errors import ArgumentError
from nabi.files import part, read_kind, reading
from nabi.models._classifier._choices import Texts
from nabi.models._classifier._settings import TextNetworkSettings
from nabi.training import BackupAndRestore, Callback

__all__ = ["KeptRun"]

_PREFIX = "callbacks/KeptRun/0/"
_SECONDS_BETWEEN_CHECKPOINTS = 60.0


class LabelledTexts(Texts, Protocol):
    """Samples of a model of texts, with what they are labelled with."""

    @property
    def labels(self) -> Sequence[Any]:
        """One for each text."""


class KeptRun(Callback):
    """Keeps with the checkpoint of a training what tells it from others, and its seconds.

    Args:
        path: of the checkpoint, which a `BackupAndRestore` writes after every epoch and minute.
        settings: of the training, as they were chosen.
        parts: samples that it learns from and is stopped by.

    Attributes:
        seconds: that the training took before it was interrupted.

    Raises:
        FileFormatError: if the file is damaged or holds something else.
        ArgumentError: if it is of a training with other settings or texts.
    """

    def __init__(
        self, path: Path, settings: TextNetworkSettings, parts: Sequence[LabelledTexts | None]
    ) -> None:
        self._told = {
            # As JSON gives them back.
            "settings": json.loads(json.dumps(settings.to_dict())),
            "fingerprint": _fingerprint(parts),
        }
        self.seconds, self._begun = 0.0, time.perf_counter()
        self.backup = BackupAndRestore(path, seconds=_SECONDS_BETWEEN_CHECKPOINTS)
        """What writes the file, and goes on from it."""
        if not path.exists():
            return
        file = read_kind(path, ("model",))
        with reading(path, "training cannot go on from it"):
            found = part(file.header["training"]["extra"], _PREFIX)
            kept, seconds = {name: found[name] for name in self._told}, float(found["seconds"])
        for name, what in (("settings", "settings"), ("fingerprint", "texts or labels")):
            if kept[name] != self._told[name]:
                raise ArgumentError(
                    f"checkpoint: {path} is of a training with other {what}; take another file, or delete "
                    "this one to begin anew"
                )
        self.seconds = seconds

    def get_extra(self) -> dict[str, Any]:
        """Return what the next run compares, and the seconds so far."""
        return {**self._told, "seconds": self.seconds + time.perf_counter() - self._begun}


def _fingerprint(parts: Sequence[LabelledTexts | None]) -> str:
    """Return a SHA-256 of what is learnt from and stopped by."""
    told = hashlib.sha256()
    for samples in parts:
        for column in () if samples is None else (samples.texts, samples.aspects or (), samples.labels):
            told.update(json.dumps(list(column), default=str).encode())
        if samples is not None and samples.others:
            told.update(json.dumps(samples.others, default=str).encode())
    return told.hexdigest()
