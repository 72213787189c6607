"""What a translator learns from, made ready and checked before any long work."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nabi import _checks
from nabi.data import Vocabulary
from nabi.errors import ArgumentError
from nabi.models._translator._pairs import Encoded, Pairs, divide, encode_pairs, first_few
from nabi.models._translator._settings import TranslatorSettings

__all__ = ["Prepared", "prepare"]


@dataclass
class Prepared:
    """Vocabularies and pairs as codes."""

    source: Vocabulary
    target: Vocabulary
    train: Encoded
    validation: Encoded
    """Of no pairs, where none were held out."""
    texts: list[list[str]]
    """All texts as they were given, and the share; with the seed they say what is learnt from."""

    @property
    def left_out(self) -> list[str]:
        """Which pairs were left out, and why."""
        return self.train.left_out + self.validation.left_out


def prepare(
    sources: Any, targets: Any, validation: Any, validation_share: float, asked: TranslatorSettings
) -> Prepared:
    """Divide pairs, learn the vocabularies and turn the texts into codes; see `Translator.fit`.

    Raises:
        ArgumentError: for what is no list of texts, another number of targets than of sources, and where no
            pair is left to learn from or to validate with.
    """
    validation_share = _checks.rate("validation_share", validation_share)
    given = train = Pairs.checked(sources, targets)
    if validation is None:
        train, held = divide(given, validation_share, asked.seed)
        texts = [given.sources, given.targets, [str(validation_share)]]
    elif isinstance(validation, list | tuple) and len(validation) == 2:
        held = Pairs.checked(validation[0], validation[1], "validation ")
        texts = [given.sources, given.targets, held.sources, held.targets]
    else:
        raise ArgumentError(
            f"validation: expected a pair (sources, targets), got {type(validation).__name__}"
        )
    both = zip(train.sources, train.targets, strict=True)
    if not any(source.strip() and target.strip() for source, target in both):
        raise ArgumentError(
            f"sources, targets: none of the {len(train)} pairs to learn from has text on both sides"
        )
    source, target = (_learn(texts, asked) for texts in (train.sources, train.targets))
    prepared = Prepared(
        source,
        target,
        encode_pairs(train, source, target, asked.maxlen),
        encode_pairs(held, source, target, asked.maxlen, "" if validation is None else "validation "),
        texts,
    )
    _check_left("sources, targets", train, prepared.train)
    if validation is not None:
        _check_left("validation", held, prepared.validation)
    return prepared


def _learn(texts: Sequence[str], asked: TranslatorSettings) -> Vocabulary:
    size = asked.vocabulary_size
    if size is None:
        size = 20_000
        if asked.unit in ("subwords", "pieces"):
            size = min(max(round(25 * len(texts) ** 0.5), 300), 8_000)
    return Vocabulary.learn(
        texts,
        asked.unit,
        size=size,
        lowercase=asked.lowercase,
        minimum_count=asked.minimum_count,
    )


def _check_left(name: str, given: Pairs, encoded: Encoded) -> None:
    if not len(encoded):
        why = f": {'; '.join(first_few(encoded.left_out))}" if encoded.left_out else ""
        raise ArgumentError(f"{name}: no pair is left of {len(given)}{why}")
