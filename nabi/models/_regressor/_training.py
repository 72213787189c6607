"""How a text regressor learns: vocabulary, settings, network, linear model, and how much each counts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nabi import layers
from nabi.data import Vocabulary
from nabi.models._baselines._ridge import RidgeRegression
from nabi.models._classifier._beginning import LearntNetwork, begin, columns_alone
from nabi.models._classifier._choices import encode_samples, settings_lines
from nabi.models._classifier._fitting import fit_codes, minutes_left, reading_takes
from nabi.models._classifier._network import TextNetwork, built, outputs_of, reading_layers
from nabi.models._classifier._other_columns import OtherColumns, features_of
from nabi.models._regressor._samples import NumberSamples
from nabi.models._regressor._settings import RegressorSettings
from nabi.models._regressor._split import NumberParts
from nabi.models._regressor._words import WordRegression
from nabi.models._task._cell_choice import CellChoice, make_cell
from nabi.training import TimeLimit

__all__ = ["Learnt", "Scale", "train"]

# Where no validation rows say how much the linear model counts.
_USUAL_SHARE = 0.5
_SHARES = np.linspace(0, 1, 21).round(2)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    """How numbers are standardized; also what a regressor that has learnt nothing else would say."""

    mean: float
    deviation: float
    median: float

    @classmethod
    def of(cls, targets: Floats) -> "Scale":
        """Return mean, standard deviation and median of the numbers learnt from."""
        # Divided first: the mean of numbers near the largest that there are is still a number.
        size = float(np.abs(targets).max()) or 1.0
        deviation = float((targets / size).std()) * size
        return cls(float((targets / size).mean()) * size, deviation or 1.0, float(np.median(targets)))

    def standardized(self, targets: Floats) -> Floats:
        """Return numbers of mean 0 and deviation 1 where they were learnt from."""
        found: Floats = (targets - self.mean) / self.deviation
        return found

    def restored(self, values: npt.NDArray[Any]) -> Floats:
        """Return standardized numbers in their own unit."""
        found: Floats = values.astype(np.float64) * self.deviation + self.mean
        return found


@dataclass(frozen=True)
class Learnt:
    """The result of a training."""

    network: LearntNetwork
    scale: Scale
    words: WordRegression | None
    share: float
    """How much the linear model counts, from 0 to 1; the network counts the rest."""


def train(
    parts: NumberParts,
    asked: RegressorSettings,
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
    scale = Scale.of(training.targets)
    targets = scale.standardized(training.targets)
    begun = begin(parts, asked, cell, checkpoint, callbacks)
    settings, reasons, unseen = begun.settings, begun.reasons, begun.unseen
    assert settings.units is not None
    truth = None if validation is None else scale.standardized(validation.targets)
    words = WordRegression.learn(
        training,
        targets,
        None if validation is None or truth is None else (validation, truth),
        begun.columns,
        characters=settings.unit != "words",
        seed=settings.seed,
    )
    if verbose != 0 and words is not None:
        print(f"beside the network: {words.described}, learnt in {words.seconds:.1f} s", flush=True)

    def fit_columns(own: Tensor) -> tuple[Tensor, Tensor]:
        linear = RidgeRegression.fit(own, torch.from_numpy(targets))
        return linear.weight[:, None], torch.tensor([linear.bias])

    columns, beside = columns_alone(begun.columns, training, validation, fit_columns, verbose)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        stack = reading_layers(len(begun.vocabulary), settings, make_cell(cell, settings.units))
        last = layers.Dense(1, name="number")
        model = built([*stack, last], "text_regressor", 0 if columns is None else len(columns))
        if verbose != 0:
            print(*settings_lines(settings, reasons), sep="\n", flush=True)
        interrupted = fit_codes(
            model,
            begun.codes,
            targets[:, None].astype(np.float32),
            settings,
            None if unseen is None or truth is None else (unseen, truth[:, None].astype(np.float32)),
            beside,
            # The validation rows once more, to decide how much the linear model counts.
            evaluated=2 * _count(validation) + _count(parts.test),
            reading=reading_takes(
                lambda some: _read_beside(begun.vocabulary, settings, words, columns, some),
                (validation, parts.test),
            ),
            loss=settings.loss,
            metrics=["mae"],
            verbose=verbose,
            callbacks=begun.heard,
            minutes=minutes_left(limit, begun.earlier),
        )
    share, why = _share(model, words, columns, settings, unseen, validation, truth)
    if why:
        reasons = {**reasons, "word_features": why}
        if verbose != 0:
            print(*settings_lines(settings, {"word_features": why}), sep="\n", flush=True)
    network = LearntNetwork(
        model,
        begun.vocabulary,
        settings,
        reasons,
        {} if model.history is None else model.history.history,
        interrupted,
        columns,
        begun.earlier,
    )
    return Learnt(network, scale, words, share)


def _read_beside(
    vocabulary: Vocabulary,
    settings: RegressorSettings,
    words: WordRegression | None,
    columns: OtherColumns | None,
    samples: NumberSamples,
) -> None:
    """Do to samples what an evaluation does to them beside the network."""
    assert settings.maxlen is not None
    encode_samples(vocabulary, samples, settings, settings.maxlen)
    if words is not None:
        words.predict(samples.texts, samples.aspects, features_of(columns, samples))


def _count(samples: NumberSamples | None) -> int:
    return 0 if samples is None else len(samples.texts)


def _share(
    model: TextNetwork,
    words: WordRegression | None,
    columns: OtherColumns | None,
    settings: RegressorSettings,
    codes: Any,
    validation: NumberSamples | None,
    truth: Floats | None,
) -> tuple[float, str]:
    """Return how much the linear model counts, and why."""
    if words is None or not settings.word_features:
        return 0.0, ""
    if validation is None or truth is None:
        return _USUAL_SHARE, f"{words.name}: half, as there are no validation rows to choose by"
    beside = features_of(columns, validation)
    network = outputs_of(model, codes, beside)[:, 0].astype(np.float64)
    linear = words.predict(validation.texts, validation.aspects, beside)
    errors = [float(np.mean((share * linear + (1 - share) * network - truth) ** 2)) for share in _SHARES]
    share = float(_SHARES[int(np.argmin(errors))])
    return share, f"{words.name}: they count {share:.0%}, the network the rest; chosen on the validation rows"
