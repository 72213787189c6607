"""What the training of every model of texts begins with, and what it leaves behind."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nabi.data import Vocabulary
from nabi.models._classifier._choices import Codes, encode_samples, prepare_texts
from nabi.models._classifier._kept_run import KeptRun, LabelledTexts
from nabi.models._classifier._network import TextNetwork
from nabi.models._classifier._other_columns import OtherColumns, features_of
from nabi.models._classifier._settings import TextNetworkSettings
from nabi.models._task._cell_choice import CellChoice
from nabi.training import Callback, as_callbacks

__all__ = ["Beginning", "LearntNetwork", "begin", "columns_alone"]

Floats = npt.NDArray[np.float32]
S = TypeVar("S", bound=TextNetworkSettings)


class TextParts(Protocol):
    """What is learnt from, what says when to stop, and what is tested on."""

    @property
    def train(self) -> LabelledTexts:
        """Samples."""

    @property
    def validation(self) -> LabelledTexts | None:
        """Others."""

    @property
    def test(self) -> LabelledTexts | None:
        """Others."""


@dataclass(frozen=True)
class Beginning(Generic[S]):
    """What is known before a network is made."""

    settings: S
    """As they were chosen."""
    reasons: dict[str, str]
    vocabulary: Vocabulary
    codes: Codes
    """Of the texts to learn from."""
    unseen: Codes | None
    """Of those to stop by."""
    columns: OtherColumns | None
    """That are read beside the text; no linear model has learnt from them yet."""
    heard: list[Callback]
    """What hears of the training."""
    earlier: float
    """Seconds of training before it was interrupted and goes on."""


@dataclass(frozen=True)
class LearntNetwork:
    """What every model of texts has after its training."""

    model: TextNetwork
    vocabulary: Vocabulary
    settings: Any
    reasons: dict[str, str]
    history: dict[str, list[float]]
    interrupted: bool
    columns: OtherColumns | None
    """That are read beside the text."""
    earlier: float
    """Seconds of training before it was interrupted and went on."""


def begin(
    parts: TextParts, asked: S, cell: CellChoice, checkpoint: Path | None, callbacks: Any
) -> Beginning[S]:
    """Choose what is left open, encode the texts, and look whether a training is to go on.

    Raises:
        FileFormatError, ArgumentError: as `KeptRun`, for a checkpoint that is there; as `OtherColumns.learn`.
    """
    heard: list[Callback] = list(as_callbacks(callbacks))
    training, validation = parts.train, parts.validation
    held_out = [part for part in (validation, parts.test) if part is not None]
    columns = None
    if training.others is not None:
        columns = OtherColumns.learn(training.others, [part.others for part in held_out])
    settings, reasons, vocabulary, codes = prepare_texts(asked, cell, training, held_out[0])
    earlier = 0.0
    if checkpoint is not None:
        kept = KeptRun(checkpoint, settings, (training, validation))
        earlier = kept.seconds
        heard = [*heard, kept, kept.backup]
    unseen = None
    if validation is not None:
        assert settings.maxlen is not None
        unseen = encode_samples(vocabulary, validation, settings, settings.maxlen)
    return Beginning(settings, reasons, vocabulary, codes, unseen, columns, heard, earlier)


def columns_alone(
    columns: OtherColumns | None,
    training: LabelledTexts,
    validation: LabelledTexts | None,
    fit: Callable[[Tensor], tuple[Tensor, Tensor]],
    verbose: int | str,
) -> tuple[OtherColumns | None, tuple[Floats, Floats | None] | None]:
    """Let a linear model learn from the other columns alone, which the report compares with.

    Args:
        columns: that are read beside the text, if there are some.
        training: samples to learn from.
        validation: those to stop by.
        fit: takes features `[N, F]` and returns weights `[F, outputs]` and biases `[outputs]`.
        verbose: 0 to print nothing.

    Returns:
        the columns with what was learnt, and their features of both samples.
    """
    if columns is None:
        return None, None
    own = columns.features(training.others, len(training.texts))
    columns = columns.with_linear(*fit(torch.from_numpy(own)))
    if verbose != 0:
        print(f"beside the text: {columns.described}", flush=True)
    return columns, (own, None if validation is None else features_of(columns, validation))
