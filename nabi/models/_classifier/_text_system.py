"""What every model of texts has beside its answers: how it takes up a training, reads texts, and is saved."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

from nabi import _checks
from nabi.data import Vocabulary
from nabi.errors import OutputError
from nabi.files import check_figures, part
from nabi.models._classifier._beginning import LearntNetwork
from nabi.models._classifier._columns import Columns
from nabi.models._classifier._encoding import encode_texts, texts_and_aspects
from nabi.models._classifier._network import TextNetwork
from nabi.models._classifier._other_columns import OtherColumns
from nabi.models._files import describe_model
from nabi.training import TimeLimit

__all__ = ["TextSystem", "codes_of", "described_system", "learn", "reports", "set_described"]

R = TypeVar("R")
Described = tuple[dict[str, Any] | list[dict[str, Any]], Mapping[str, Tensor]]
"""What a file holds of a part of a model, and its tensors."""


class TextSystem(Protocol):
    """A model of texts, whatever it says of them."""

    model: TextNetwork
    vocabulary: Vocabulary
    cell: Any
    asked: Any
    settings: Any
    reasons: Mapping[str, str]
    notes: tuple[str, ...]
    history: dict[str, list[float]]
    seconds: float
    columns: Columns | None
    has_aspects: bool
    other_columns: OtherColumns | None
    validation_report: Any


class Learnt(Protocol):
    """The result of a training."""

    @property
    def network(self) -> LearntNetwork:
        """What all of them have."""


L = TypeVar("L", bound=Learnt)


def learn(
    system: TextSystem,
    train: Callable[..., L],
    parts: Any,
    *,
    checkpoint: str | os.PathLike[str] | None,
    limit: TimeLimit | None,
    verbose: int | str,
    callbacks: Any,
) -> L:
    """Train a model on samples that are divided, and let it take up what all of them have.

    Args:
        system: the model.
        train: the training of its kind.
        parts: the samples.
        checkpoint, verbose, callbacks: as `fit` takes them.
        limit: the time that there is.
    """
    start = time.perf_counter()
    place = None if checkpoint is None else _checks.path("checkpoint", checkpoint, wrong=OutputError)
    learnt = train(
        parts,
        system.asked,
        system.cell,
        checkpoint=place,
        limit=limit,
        verbose=verbose,
        callbacks=callbacks,
    )
    found = learnt.network
    system.model, system.vocabulary, system.other_columns = found.model, found.vocabulary, found.columns
    system.settings, system.reasons, system.history = found.settings, found.reasons, found.history
    system.columns, system.notes = parts.columns, parts.notes
    system.has_aspects = parts.train.aspects is not None
    system.seconds = found.earlier + time.perf_counter() - start
    return learnt


def reports(parts: Any, measure: Callable[[Any, str], R]) -> tuple[R | None, R]:
    """Return the reports on the rows that said when to stop, if there are some, and on those held out."""
    validation = None if parts.validation is None else measure(parts.validation, "validation rows")
    tested = validation if parts.test is None else measure(parts.test, "test rows")
    assert tested is not None
    return validation, tested


# Texts ----------------------------------------------------------------------------------------------------


def codes_of(
    system: TextSystem, texts: Sequence[str], aspects: Sequence[str] | None, called: str
) -> list[npt.NDArray[np.int32]]:
    """Return the codes of texts as the network reads them, each `[T]` with T up to `maxlen`.

    Args:
        system: the model.
        texts: N texts.
        aspects: N texts, or None.
        called: what the model is in messages, "classifier".

    Raises:
        ArgumentError: for what is no list of texts, and for aspects that are missing or too many.
    """
    texts, aspects = texts_and_aspects(texts, aspects, system.has_aspects, called)
    settings = system.settings
    assert settings.maxlen is not None
    return encode_texts(
        system.vocabulary, texts, aspects, maxlen=settings.maxlen, truncating=settings.truncating
    )


# Files ----------------------------------------------------------------------------------------------------


def described_system(
    system: TextSystem, kind: str, own: Mapping[str, Any], **parts: Described | None
) -> tuple[dict[str, Any], Mapping[str, Tensor]]:
    """Return header and tensors of a file: those of the network, and what stands around it.

    Args:
        system: the model.
        kind: under which the header tells of it, "classifier".
        own: what only its kind has.
        **parts: models beside the network by name, as their `to_file` gives them; None for none.
    """
    header, tensors = describe_model(system.model)
    columns, checked = system.columns, system.validation_report
    described = {
        "vocabulary": system.vocabulary.to_dict(),
        "settings": system.settings.to_dict(),
        "reasons": dict(system.reasons),
        "notes": list(system.notes),
        "aspects": system.has_aspects,
        "columns": None if columns is None else columns.to_list(),
        "history": system.history,
        "seconds": system.seconds,
        "validation_report": None if checked is None else checked.to_dict(),
        **own,
    }
    more = {} if system.other_columns is None else {"other_columns": system.other_columns.to_file()}
    for name, found in {**parts, **more}.items():
        described[name], held = (None, {}) if found is None else found
        prefix = "columns" if name == "other_columns" else name
        tensors = {**tensors, **{f"{prefix}/{key}": value for key, value in held.items()}}
    header[kind] = described
    return header, tensors


def set_described(
    system: TextSystem,
    described: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    *,
    settings: Any,
    report: Any,
    outputs: int,
) -> None:
    """Let a model take up what `described_system` gave, from a file.

    Args:
        system: the model.
        described: what the header tells of it.
        tensors: of the file.
        settings: their class.
        report: the class of its reports.
        outputs: of its network.

    Raises:
        Exception: for what does not fit; the file is then called damaged.
    """
    system.vocabulary = Vocabulary.from_dict(described["vocabulary"])
    system.asked = system.settings = settings.from_dict(described["settings"])
    system.reasons = {str(name): str(why) for name, why in described["reasons"].items()}
    system.notes = tuple(map(str, described["notes"]))
    system.has_aspects = bool(described["aspects"])
    columns = described["columns"]
    system.columns = None if columns is None else Columns.from_list(columns)
    if (others := described.get("other_columns")) is not None:
        system.other_columns = OtherColumns.from_file(others, part(tensors, "columns/"), outputs)
    system.history = check_figures("history", described["history"])
    system.seconds = float(described["seconds"])
    checked = described["validation_report"]
    system.validation_report = None if checked is None else report.from_dict(checked)
