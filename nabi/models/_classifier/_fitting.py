"""How the network of a model of texts is fitted to codes."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from nabi.data import LengthGroups
from nabi.models._classifier._choices import Codes
from nabi.models._classifier._network import TextNetwork
from nabi.models._classifier._settings import TextNetworkSettings
from nabi.training import Afterwards, Callback, EarlyStopping, TimeLimit, time_of

Floats = npt.NDArray[np.float32]

__all__ = ["fit_codes", "minutes_left", "reading_takes"]

# Of a training whose time is up before its first batch, of which there is one.
_LEAST_SECONDS = 0.1
# How often each text of an evaluation is encoded, and read by the simple model: with the network and alone.
_READINGS = 2


class _Rows(Protocol):
    """Samples of texts."""

    def __len__(self) -> int:
        """Of the rows."""

    def take(self, rows: Any) -> Any:
        """Return some of them."""


Part = TypeVar("Part", bound=_Rows)


def minutes_left(limit: TimeLimit | None, earlier: float) -> float | None:
    """Return the minutes that a training may take, of which `earlier` seconds are over; None for no limit."""
    return None if limit is None else max(limit.left - earlier, _LEAST_SECONDS) / 60


def fit_codes(
    model: TextNetwork,
    codes: Codes,
    targets: npt.NDArray[Any],
    settings: TextNetworkSettings,
    validation: tuple[Codes, npt.NDArray[Any]] | None,
    beside: tuple[Floats, Floats | None] | None = None,
    *,
    evaluated: int,
    reading: float,
    loss: str,
    metrics: list[str],
    weights: npt.NDArray[Any] | None = None,
    verbose: int | str,
    callbacks: list[Callback],
    minutes: float | None,
) -> bool:
    """Train with Adam until the validation loss no longer falls; return whether Ctrl-C ended it.

    The weights are then those of the best epoch.

    Args:
        model: the network.
        codes: of N texts.
        targets: `[N]` or `[N, outputs]`.
        settings: as they were chosen.
        validation: codes and targets of the rows that say when to stop.
        beside: features of other columns, of the texts and of those rows.
        evaluated: texts that are read after the training, for the estimate of the time.
        reading: seconds of the evaluation beside the network, as `reading_takes` gives them.
        loss: as `compile` takes it.
        metrics: likewise.
        weights: of the texts `[N]`.
        verbose: as `fit` takes it.
        callbacks: that hear of the training.
        minutes: that it may take.
    """
    from nabi.optimizers import Adam

    assert settings.batch_size is not None
    assert settings.epochs is not None
    own, others = beside or (None, None)
    groups = LengthGroups(
        codes, targets, weights, batch_size=settings.batch_size, seed=settings.seed, beside=own
    )
    callbacks = [*callbacks, Afterwards(evaluated / len(codes), seconds=reading)]
    held_out = None
    if validation is not None:
        held_out = LengthGroups(*validation, batch_size=settings.batch_size, shuffle=False, beside=others)
        callbacks = [
            EarlyStopping("val_loss", patience=settings.patience or 0, restore_best_weights=True),
            *callbacks,
        ]
    model.compile(Adam(learning_rate=settings.learning_rate, clipnorm=1.0), loss, metrics=metrics)
    try:
        model.fit(
            groups,
            epochs=settings.epochs,
            validation_data=held_out,
            verbose=verbose,
            callbacks=callbacks,
            minutes=minutes,
        )
    except KeyboardInterrupt:
        # The batch is finished, and the weights are those of the best epoch.
        return True
    return False


def reading_takes(read: Callable[[Part], object], parts: Sequence[Part | None]) -> float:
    """Return about how many seconds an evaluation takes for all but the network.

    Args:
        read: encodes samples, and reads them with the model beside the network.
        parts: of the evaluation.
    """
    found = 0.0
    for part in parts:
        if part is not None:
            found += _READINGS * time_of(_taking(part, read), range(len(part)))
    return found


def _taking(part: Part, read: Callable[[Part], object]) -> Callable[[Any], object]:
    """Return what reads some rows of a part."""
    return lambda rows: read(part.take(rows))
