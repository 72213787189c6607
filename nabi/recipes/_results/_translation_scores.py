"""Scores of written texts: BLEU and chrF, by sacrebleu; error rates, by torchmetrics."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Scores", "score"]


@dataclass(frozen=True)
class Scores:
    """Corpus BLEU and chrF2, each from 0 to 100, with sacrebleu's signatures, and what is right or wrong."""

    bleu: float
    chrf: float
    bleu_signature: str
    chrf_signature: str
    exact: float
    """Share of the texts that are right from beginning to end."""
    word_error_rate: float
    """Words that are wrong, missing or too many, as a share of the words of the references."""
    character_error_rate: float
    """Likewise of characters, for languages that write no spaces between words."""

    def __str__(self) -> str:
        return (
            f"BLEU {self.bleu:.2f} ({self.bleu_signature})\nchrF {self.chrf:.2f} ({self.chrf_signature})\n"
            f"{self.exact:.1%} exactly right; error rate {self.word_error_rate:.1%} of words, "
            f"{self.character_error_rate:.1%} of characters"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as written to a file."""
        return {
            "bleu": round(self.bleu, 4),
            "chrf": round(self.chrf, 4),
            "bleu_signature": self.bleu_signature,
            "chrf_signature": self.chrf_signature,
            "exact": round(self.exact, 6),
            "word_error_rate": round(self.word_error_rate, 6),
            "character_error_rate": round(self.character_error_rate, 6),
        }


def score(translations: Sequence[str], references: Sequence[str]) -> Scores:
    """Compare translations, as plain untokenized text, with one reference each.

    BLEU (Papineni et al. 2002) counts common n-grams of one to four words. chrF (Popović 2015) counts n-grams
    of one to six characters, which is more informative for inflected languages such as Korean. Error rates
    are edit distances (Levenshtein 1966) of all texts together, by the length of the references; they can be
    above 1.

    >>> found = score(["A dog runs home fast."], ["A dog runs home fast."])
    >>> round(found.bleu), round(found.chrf), found.exact
    (100, 100, 1.0)
    >>> found = score(["one two", "three"], ["one too", "three"])
    >>> found.exact, round(found.word_error_rate, 3), round(found.character_error_rate, 3)
    (0.5, 0.333, 0.083)
    """
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF
    from torchmetrics.functional.text import char_error_rate, word_error_rate

    said, right = list(translations), list(references)
    bleu, chrf = BLEU(), CHRF()
    found = [metric.corpus_score(said, [right]).score for metric in (bleu, chrf)]
    signatures = [str(metric.get_signature()) for metric in (bleu, chrf)]
    exact = sum(one.strip() == other.strip() for one, other in zip(said, right, strict=True)) / len(right)
    rates = float(word_error_rate(said, right)), float(char_error_rate(said, right))
    return Scores(found[0], found[1], signatures[0], signatures[1], exact, *rates)
