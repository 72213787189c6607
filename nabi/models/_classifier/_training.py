"""How a text classifier learns: vocabulary, settings, network, training."""

from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nabi.data import Labels, LengthGroups, Vocabulary
from nabi.errors import ArgumentError
from nabi.models._classifier._encoding import encode_texts
from nabi.models._classifier._network import build_network
from nabi.models._classifier._samples import Samples
from nabi.models._classifier._settings import (
    LONGEST_MAXLEN,
    MINIMUM_COUNT,
    VOCABULARY_SIZES,
    TextSettings,
    choose_settings,
    choose_unit,
)
from nabi.models._classifier._split import Parts
from nabi.models._sequential import Sequential
from nabi.models._task._cell_choice import CellChoice, make_cell
from nabi.training import Callback, EarlyStopping, as_callbacks

__all__ = ["Learnt", "settings_lines", "train"]

Codes = list[npt.NDArray[np.int32]]


@dataclass(frozen=True)
class Learnt:
    """What training gives."""

    model: Sequential
    vocabulary: Vocabulary
    labels: Labels
    settings: TextSettings
    reasons: dict[str, str]
    shares: npt.NDArray[np.float64]
    history: dict[str, list[float]]
    interrupted: bool


def train(
    parts: Parts, asked: TextSettings, cell: CellChoice, *, verbose: int | str, callbacks: Any
) -> Learnt:
    """Train on samples that are divided and checked.

    Only torch's own random numbers are drawn, from the seed of the settings; afterwards they go on as if
    nothing had been drawn.

    Raises:
        NotFiniteError: if the loss becomes NaN or infinite.
    """
    heard = as_callbacks(callbacks)
    training, validation = parts.train, parts.validation
    held_out = [part for part in (validation, parts.test) if part is not None]
    everyone = [label for part in (training, *held_out) for label in part.labels]
    labels = Labels.learn(everyone, several=training.several)
    targets = labels.encode(training.labels)
    if training.several and asked.class_weight is not None:
        raise ArgumentError("class_weight: 'balanced' is not offered with several labels at once")
    asked, reasons = _with_unit(asked, training, held_out[0])
    vocabulary = _learn_vocabulary(training, asked)
    codes = _encode(vocabulary, training, asked, asked.maxlen or LONGEST_MAXLEN)
    settings, more = choose_settings(
        asked, [len(sequence) for sequence in codes], getattr(cell, "units", None)
    )
    reasons |= more
    assert settings.units is not None
    assert settings.maxlen is not None
    if any(len(sequence) > settings.maxlen for sequence in codes):
        codes = _encode(vocabulary, training, settings, settings.maxlen)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = build_network(
            len(vocabulary), len(labels.names), settings, make_cell(cell, settings.units), labels.several
        )
        if verbose != 0:
            print(*settings_lines(settings, reasons), sep="\n", flush=True)
        interrupted = _fit(model, codes, targets, labels, settings, vocabulary, validation, verbose, heard)
    counts = targets.sum(0) if labels.several else np.bincount(targets, minlength=len(labels.names))
    history = {} if model.history is None else model.history.history
    shares = np.asarray(counts / len(targets), dtype=np.float64)
    return Learnt(model, vocabulary, labels, settings, reasons, shares, history, interrupted)


def settings_lines(settings: TextSettings, reasons: dict[str, str]) -> list[str]:
    """Return what was chosen and why, a line each: `maxlen 120 (95 of 100 texts have at most 113 tokens)`."""
    return [f"{name} {getattr(settings, name)} ({why})" for name, why in reasons.items()]


def _with_unit(asked: TextSettings, samples: Samples, others: Samples) -> tuple[TextSettings, dict[str, str]]:
    reasons: dict[str, str] = {}
    unit = asked.unit
    if unit == "auto":
        unit, reasons["unit"] = choose_unit(samples.texts, others.texts)
    return replace(asked, unit=unit, vocabulary_size=asked.vocabulary_size or VOCABULARY_SIZES[unit]), reasons


def _learn_vocabulary(samples: Samples, settings: TextSettings) -> Vocabulary:
    texts = list(chain(samples.texts, samples.aspects or ()))
    try:
        return Vocabulary.learn(
            texts, settings.unit, size=settings.vocabulary_size, minimum_count=MINIMUM_COUNT
        )
    except ArgumentError:  # nothing is there so often
        return Vocabulary.learn(texts, settings.unit, size=settings.vocabulary_size)


def _encode(vocabulary: Vocabulary, samples: Samples, settings: TextSettings, maxlen: int) -> Codes:
    return encode_texts(
        vocabulary, samples.texts, samples.aspects, maxlen=maxlen, truncating=settings.truncating
    )


def _fit(
    model: Sequential,
    codes: Codes,
    targets: npt.NDArray[Any],
    labels: Labels,
    settings: TextSettings,
    vocabulary: Vocabulary,
    validation: Samples | None,
    verbose: int | str,
    callbacks: list[Callback],
) -> bool:
    """Train; return whether Ctrl-C ended it."""
    from nabi.optimizers import Adam

    assert settings.maxlen is not None
    assert settings.batch_size is not None
    assert settings.epochs is not None
    weights = _balanced(targets, len(labels.names)) if settings.class_weight is not None else None
    groups = LengthGroups(codes, targets, weights, batch_size=settings.batch_size, seed=settings.seed)
    held_out = None
    if validation is not None:
        held_out = LengthGroups(
            _encode(vocabulary, validation, settings, settings.maxlen),
            labels.encode(validation.labels),
            batch_size=settings.batch_size,
            shuffle=False,
        )
        callbacks = [
            EarlyStopping("val_loss", patience=settings.patience or 0, restore_best_weights=True),
            *callbacks,
        ]
    model.compile(
        Adam(learning_rate=settings.learning_rate, clipnorm=1.0),
        "binary_crossentropy" if labels.several else "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    try:
        model.fit(
            groups, epochs=settings.epochs, validation_data=held_out, verbose=verbose, callbacks=callbacks
        )
    except KeyboardInterrupt:
        # The batch is finished, and the weights are those of the best epoch.
        return True
    return False


def _balanced(targets: npt.NDArray[Any], labels: int) -> npt.NDArray[np.float32]:
    """Weight of each sample, so that all labels together weigh the same, and a sample 1 on average."""
    counts = np.bincount(targets, minlength=labels)
    present = int((counts > 0).sum())
    weights: npt.NDArray[np.float32] = (len(targets) / (present * counts[targets])).astype(np.float32)
    return weights
