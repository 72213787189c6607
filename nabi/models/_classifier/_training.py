"""How a text classifier learns: vocabulary, settings, network, training."""

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nabi.data import Labels, Vocabulary
from nabi.errors import ArgumentError
from nabi.models._baselines._logistic import LogisticRegression
from nabi.models._classifier._beginning import LearntNetwork, begin, columns_alone
from nabi.models._classifier._choices import Codes, encode_samples, settings_lines
from nabi.models._classifier._decision import Decisions, as_logits
from nabi.models._classifier._fitting import fit_codes, minutes_left, reading_takes
from nabi.models._classifier._network import TextNetwork, build_network, read_codes
from nabi.models._classifier._other_columns import OtherColumns, features_of
from nabi.models._classifier._report import SECONDS_TO_MEASURE
from nabi.models._classifier._samples import Samples
from nabi.models._classifier._scores import balanced_weights
from nabi.models._classifier._settings import TextSettings
from nabi.models._classifier._simple import SimpleModel
from nabi.models._classifier._split import Parts
from nabi.models._task._cell_choice import CellChoice, make_cell
from nabi.training import TimeLimit

# Of the linear model of the columns alone.
_TOLERANCE = 1e-6

__all__ = ["Learnt", "train"]


@dataclass(frozen=True)
class Learnt:
    """The result of a training."""

    network: LearntNetwork
    labels: Labels
    shares: npt.NDArray[np.float64]
    simple: SimpleModel | None
    decisions: Decisions


def train(
    parts: Parts,
    asked: TextSettings,
    cell: CellChoice,
    *,
    checkpoint: Path | None,
    limit: TimeLimit | None,
    verbose: int | str,
    callbacks: Any,
) -> Learnt:
    """Train on samples that are divided and checked.

    Random numbers come from torch's generator, seeded from the settings; its state is restored afterwards.

    Raises:
        NotFiniteError: if the loss becomes NaN or infinite.
        FileFormatError, ArgumentError: as `KeptRun`, for a checkpoint that is there.
    """
    training, validation = parts.train, parts.validation
    everyone = [part.labels for part in (training, validation, parts.test) if part is not None]
    labels = Labels.learn(list(chain(*everyone)), several=training.several)
    targets = labels.encode(training.labels)
    if training.several and asked.class_weight == "balanced":
        raise ArgumentError("class_weight: 'balanced' is not offered with several labels at once")
    begun = begin(parts, asked, cell, checkpoint, callbacks)
    settings, vocabulary = begun.settings, begun.vocabulary
    assert settings.units is not None
    truth = None if validation is None else labels.encode(validation.labels)
    simple = SimpleModel.learn(
        training,
        targets,
        len(labels.names),
        None if validation is None or truth is None else (validation, truth),
        begun.columns,
        characters=settings.unit != "words",
        balanced=settings.class_weight == "balanced",
        seed=settings.seed,
    )
    if verbose != 0 and simple is not None:
        print(f"beside the network: {simple.described}, learnt in {simple.seconds:.1f} s", flush=True)

    def fit_columns(own: Tensor) -> tuple[Tensor, Tensor]:
        wanted = torch.from_numpy(targets)
        linear = LogisticRegression.fit(own, wanted, len(labels.names), tolerance=_TOLERANCE)
        return linear.weight, linear.bias

    columns, beside = columns_alone(begun.columns, training, validation, fit_columns, verbose)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = build_network(
            len(vocabulary),
            len(labels.names),
            settings,
            make_cell(cell, settings.units),
            labels.several,
            0 if columns is None else len(columns),
        )
        if verbose != 0:
            print(*settings_lines(settings, begun.reasons), sep="\n", flush=True)
        balanced = settings.class_weight == "balanced"
        interrupted = fit_codes(
            model,
            begun.codes,
            targets,
            settings,
            None if begun.unseen is None or truth is None else (begun.unseen, truth),
            beside,
            evaluated=_evaluated(parts, twice=simple is not None and settings.word_features),
            reading=SECONDS_TO_MEASURE
            + reading_takes(
                lambda some: _read_beside(begun.vocabulary, settings, simple, columns, some),
                (validation, parts.test),
            ),
            loss="binary_crossentropy" if labels.several else "sparse_categorical_crossentropy",
            metrics=["accuracy"],
            weights=balanced_weights(targets, len(labels.names))[targets] if balanced else None,
            verbose=verbose,
            callbacks=begun.heard,
            minutes=minutes_left(limit, begun.earlier),
        )
    counts = targets.sum(0) if labels.several else np.bincount(targets, minlength=len(labels.names))
    shares = np.asarray(counts / len(targets), dtype=np.float64)
    decisions = _decide(model, simple, columns, settings, labels, shares, vocabulary, validation)
    more = _told(decisions, simple, settings, validation is not None)
    if verbose != 0:
        print(*settings_lines(settings, more), sep="\n", flush=True)
    network = LearntNetwork(
        model,
        vocabulary,
        settings,
        begun.reasons | more,
        {} if model.history is None else model.history.history,
        interrupted,
        columns,
        begun.earlier,
    )
    return Learnt(network, labels, shares, simple, decisions)


def _evaluated(parts: Parts, *, twice: bool) -> int:
    """Return how many texts the network reads after the training, to decide and to be measured.

    With `twice` it is measured with word features and alone.
    """
    validation, test = (0 if part is None else len(part.texts) for part in (parts.validation, parts.test))
    return validation + (1 + twice) * (validation + test)


def _read_beside(
    vocabulary: Vocabulary,
    settings: TextSettings,
    simple: SimpleModel | None,
    columns: OtherColumns | None,
    samples: Samples,
) -> None:
    """Do to samples what an evaluation does to them beside the network."""
    _codes(vocabulary, samples, settings)
    if simple is not None:
        simple.logits(samples.texts, samples.aspects, features_of(columns, samples))


def _codes(vocabulary: Vocabulary, samples: Samples, settings: TextSettings) -> Codes:
    assert settings.maxlen is not None
    return encode_samples(vocabulary, samples, settings, settings.maxlen)


def _decide(
    model: TextNetwork,
    simple: SimpleModel | None,
    columns: OtherColumns | None,
    settings: TextSettings,
    labels: Labels,
    shares: npt.NDArray[np.float64],
    vocabulary: Vocabulary,
    validation: Samples | None,
) -> Decisions:
    """Choose on the validation rows how much network and simple model count."""
    network = words = truth = None
    if validation is not None:
        codes, beside = _codes(vocabulary, validation, settings), features_of(columns, validation)
        network = as_logits(read_codes(model, codes, len(labels.names), beside), labels.several)
        truth = labels.encode(validation.labels)
        words = None if simple is None else simple.logits(validation.texts, validation.aspects, beside)
    return Decisions.choose(
        network,
        words,
        truth,
        shares,
        several=labels.several,
        moving=settings.class_weight == "auto",
        has_simple=simple is not None,
    )


def _told(
    decisions: Decisions, simple: SimpleModel | None, settings: TextSettings, chosen: bool
) -> dict[str, str]:
    """Return in words what was decided."""
    told: dict[str, str] = {}
    used = decisions.together if settings.word_features else decisions.network
    if simple is not None and settings.word_features:
        by = "chosen on the validation rows" if chosen else "no validation rows to choose by"
        told["word_features"] = (
            f"{simple.name}: their logits count {used.simple:g}, the network's {used.network:g}; {by}"
        )
    if used.move:
        told["class_weight"] = (
            f"a label is rare, and decisions are moved towards rare ones by {used.move:g} of the logarithms "
            "of the labels' shares: best for the macro F1 of the validation rows"
        )
    return told
