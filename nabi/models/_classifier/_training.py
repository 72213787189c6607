"""How a text classifier learns: vocabulary, settings, network, training."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nabi.data import Labels, LengthGroups, Vocabulary
from nabi.errors import ArgumentError
from nabi.models._classifier._decision import Decisions, as_logits
from nabi.models._classifier._encoding import encode_texts
from nabi.models._classifier._kept_run import KeptRun
from nabi.models._classifier._network import build_network, read_codes
from nabi.models._classifier._samples import Samples
from nabi.models._classifier._scores import balanced_weights
from nabi.models._classifier._settings import TextSettings
from nabi.models._classifier._simple import SimpleModel
from nabi.models._classifier._split import Parts
from nabi.models._sequential import Sequential
from nabi.models._task._cell_choice import CellChoice, make_cell
from nabi.training import Callback, EarlyStopping, TimeLimit, as_callbacks

__all__ = ["Learnt", "train"]

# Defaults; `_choose_settings` has those that depend on the data.
_VOCABULARY_SIZES = {"words": 20_000, "characters": 20_000, "pieces": 8_000}
_DROPOUT = 0.5
_LEARNING_RATE = 2e-3
_PATIENCE = 3
_MANY_ROWS = 20_000
_BATCH_SIZE, _BATCH_SIZE_OF_MANY_ROWS = 32, 64
# A network has learnt what it can once it has read about this many tokens; two cores take minutes for them.
_TOKENS_TO_READ = 30_000_000
_FEWEST_EPOCHS, _MOST_EPOCHS = 3, 30
# A longer maxlen costs little, because batches are padded to their own longest text.
_SHARE_OF_TEXTS_UNCUT = 0.95
_SHORTEST_MAXLEN, _LONGEST_MAXLEN = 50, 400
# Words seen once are unknown words: so the network learns what an unknown word is like.
_MINIMUM_COUNT = 2
# Where more of the words of a new text than this are unknown, its words are cut into pieces.
_MOST_UNKNOWN_WORDS = 0.3
_TEXTS_LOOKED_AT = 2_000
# Texts of no more different letters than proteins have (20, and some for unknown ones), whose "words" are
# longer than those of any language.
_MOST_LETTERS, _LENGTH_WITHOUT_WORDS = 26, 25

# Of a training whose time is up before its first batch, of which there is one.
_LEAST_SECONDS = 0.1

Codes = list[npt.NDArray[np.int32]]


@dataclass(frozen=True)
class Learnt:
    """The result of a training."""

    model: Sequential
    vocabulary: Vocabulary
    labels: Labels
    settings: TextSettings
    reasons: dict[str, str]
    shares: npt.NDArray[np.float64]
    history: dict[str, list[float]]
    interrupted: bool
    simple: SimpleModel | None
    decisions: Decisions
    earlier: float
    """Seconds of training before it was interrupted and went on."""


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
    heard = as_callbacks(callbacks)
    training, validation = parts.train, parts.validation
    held_out = [part for part in (validation, parts.test) if part is not None]
    everyone = [label for part in (training, *held_out) for label in part.labels]
    labels = Labels.learn(everyone, several=training.several)
    targets = labels.encode(training.labels)
    if training.several and asked.class_weight == "balanced":
        raise ArgumentError("class_weight: 'balanced' is not offered with several labels at once")
    asked, reasons = _with_unit(asked, training, held_out[0])
    vocabulary = _learn_vocabulary(training, asked)
    codes = _encode(vocabulary, training, asked, asked.maxlen or _LONGEST_MAXLEN)
    settings, more = _choose_settings(
        asked, [len(sequence) for sequence in codes], getattr(cell, "units", None)
    )
    reasons |= more
    assert settings.units is not None
    assert settings.maxlen is not None
    if any(len(sequence) > settings.maxlen for sequence in codes):
        codes = _encode(vocabulary, training, settings, settings.maxlen)
    earlier = 0.0
    if checkpoint is not None:
        kept = KeptRun(checkpoint, settings, parts)
        earlier = kept.seconds
        heard = [*heard, kept, kept.backup]
    truth = None if validation is None else labels.encode(validation.labels)
    simple = SimpleModel.learn(
        training,
        targets,
        len(labels.names),
        None if validation is None or truth is None else (validation, truth),
        characters=settings.unit != "words",
        balanced=settings.class_weight == "balanced",
        seed=settings.seed,
    )
    if verbose != 0 and simple is not None:
        print(f"beside the network: {simple.described}, learnt in {simple.seconds:.1f} s", flush=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = build_network(
            len(vocabulary), len(labels.names), settings, make_cell(cell, settings.units), labels.several
        )
        if verbose != 0:
            print(*_settings_lines(settings, reasons), sep="\n", flush=True)
        minutes = None if limit is None else max(limit.left - earlier, _LEAST_SECONDS) / 60
        interrupted = _fit(
            model, codes, targets, labels, settings, vocabulary, validation, verbose, heard, minutes
        )
    counts = targets.sum(0) if labels.several else np.bincount(targets, minlength=len(labels.names))
    shares = np.asarray(counts / len(targets), dtype=np.float64)
    decisions = _decide(model, simple, settings, labels, shares, vocabulary, validation)
    more = _told(decisions, simple, settings, validation is not None)
    if verbose != 0:
        print(*_settings_lines(settings, more), sep="\n", flush=True)
    history = {} if model.history is None else model.history.history
    return Learnt(
        model,
        vocabulary,
        labels,
        settings,
        reasons | more,
        shares,
        history,
        interrupted,
        simple,
        decisions,
        earlier,
    )


def _decide(
    model: Sequential,
    simple: SimpleModel | None,
    settings: TextSettings,
    labels: Labels,
    shares: npt.NDArray[np.float64],
    vocabulary: Vocabulary,
    validation: Samples | None,
) -> Decisions:
    """Choose on the validation rows how much network and simple model count."""
    network = words = truth = None
    if validation is not None:
        assert settings.maxlen is not None
        codes = _encode(vocabulary, validation, settings, settings.maxlen)
        network = as_logits(read_codes(model, codes, len(labels.names)), labels.several)
        truth = labels.encode(validation.labels)
        words = None if simple is None else simple.logits(validation.texts, validation.aspects)
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


def _settings_lines(settings: TextSettings, reasons: dict[str, str]) -> list[str]:
    """Return what was chosen and why, a line each: `maxlen 120 (95 of 100 texts have at most 113 tokens)`."""
    return [f"{name} {getattr(settings, name)} ({why})" for name, why in reasons.items()]


def _with_unit(asked: TextSettings, samples: Samples, others: Samples) -> tuple[TextSettings, dict[str, str]]:
    reasons: dict[str, str] = {}
    unit = asked.unit
    if unit == "auto":
        unit, reasons["unit"] = _choose_unit(samples.texts, others.texts)
    return replace(
        asked, unit=unit, vocabulary_size=asked.vocabulary_size or _VOCABULARY_SIZES[unit]
    ), reasons


def _choose_unit(learn_from: Sequence[str], others: Sequence[str]) -> tuple[str, str]:
    """Choose between words, pieces of words and characters; return the choice and why.

    Long runs of few different letters, such as DNA, are read letter by letter: they have no words.

    Words are cut into pieces where many of those in `others` do not occur at least twice in `learn_from`, as
    in Korean with its endings or in a language without spaces.
    """
    learn_from, others = learn_from[:_TEXTS_LOOKED_AT], others[:_TEXTS_LOOKED_AT]
    letters = {letter for text in learn_from for letter in text.lower() if not letter.isspace()}
    words_read = sum(len(text.split()) for text in learn_from)
    length = sum(len(text) for text in learn_from) / max(words_read, 1)
    if len(letters) <= _MOST_LETTERS and length >= _LENGTH_WITHOUT_WORDS:
        return "characters", f"runs of {len(letters)} letters, {length:.0f} long on average, without words"
    try:
        words = Vocabulary.learn(learn_from, "words", size=None, minimum_count=_MINIMUM_COUNT)
    except ArgumentError:  # no word occurs twice
        return "pieces", "no word occurs twice"
    codes = np.concatenate(words.encode(others))
    read = int((codes != Vocabulary.START).sum())
    share = float((codes == Vocabulary.UNKNOWN).sum()) / max(read, 1)
    unit = "pieces" if share > _MOST_UNKNOWN_WORDS else "words"
    return unit, f"{share:.0%} of the words of held-out texts would be unknown"


def _choose_settings(
    asked: TextSettings, lengths: Sequence[int], own_units: int | None
) -> tuple[TextSettings, dict[str, str]]:
    """Fill what is left open, from the lengths of the texts to learn from.

    Args:
        asked: the settings, with a unit.
        lengths: of the texts, in tokens, with START.
        own_units: of a cell that was given as an object.

    Returns:
        the settings, and for those that the data decided, why.
    """
    array = np.asarray(lengths)
    reasons: dict[str, str] = {}
    chosen: dict[str, Any] = {
        "units": own_units or asked.USUAL_UNITS,
        "embedding_size": asked.USUAL_EMBEDDING_SIZE,
        "dropout": _DROPOUT,
        "learning_rate": _LEARNING_RATE,
        "patience": _PATIENCE,
        "batch_size": _BATCH_SIZE if len(array) < _MANY_ROWS else _BATCH_SIZE_OF_MANY_ROWS,
    }
    reasons["batch_size"] = f"for {len(array):,} rows"
    usual = math.ceil(float(np.quantile(array, _SHARE_OF_TEXTS_UNCUT)))
    chosen["maxlen"] = min(max(usual, _SHORTEST_MAXLEN), _LONGEST_MAXLEN)
    reasons["maxlen"] = (
        f"95 of 100 texts have at most {usual} tokens"
        if usual < _LONGEST_MAXLEN
        else f"more than 5 of 100 texts are longer; more than {_LONGEST_MAXLEN} is never chosen"
    )
    tokens = int(np.minimum(array, asked.maxlen or chosen["maxlen"]).sum())
    chosen["epochs"] = min(max(round(_TOKENS_TO_READ / tokens), _FEWEST_EPOCHS), _MOST_EPOCHS)
    reasons["epochs"] = f"at most; an epoch reads {tokens:,} tokens"
    filled = {name: value for name, value in chosen.items() if getattr(asked, name) is None}
    return replace(asked, **filled), {name: why for name, why in reasons.items() if name in filled}


def _learn_vocabulary(samples: Samples, settings: TextSettings) -> Vocabulary:
    texts = list(chain(samples.texts, samples.aspects or ()))
    try:
        return Vocabulary.learn(
            texts, settings.unit, size=settings.vocabulary_size, minimum_count=_MINIMUM_COUNT
        )
    except ArgumentError:  # no token occurs that often
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
    minutes: float | None,
) -> bool:
    """Train; return whether Ctrl-C ended it."""
    from nabi.optimizers import Adam

    assert settings.maxlen is not None
    assert settings.batch_size is not None
    assert settings.epochs is not None
    weights = None
    if settings.class_weight == "balanced":
        weights = balanced_weights(targets, len(labels.names))[targets]
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
