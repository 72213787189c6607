"""Translation scores: BLEU and chrF, by sacrebleu."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Scores", "score"]


@dataclass(frozen=True)
class Scores:
    """Corpus BLEU and chrF2, each from 0 to 100, with sacrebleu's signatures."""

    bleu: float
    chrf: float
    bleu_signature: str
    chrf_signature: str

    def __str__(self) -> str:
        return f"BLEU {self.bleu:.2f} ({self.bleu_signature})\nchrF {self.chrf:.2f} ({self.chrf_signature})"

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as written to a file."""
        return {
            "bleu": round(self.bleu, 4),
            "chrf": round(self.chrf, 4),
            "bleu_signature": self.bleu_signature,
            "chrf_signature": self.chrf_signature,
        }


def score(translations: Sequence[str], references: Sequence[str]) -> Scores:
    """Compare translations, as plain untokenized text, with one reference each.

    BLEU (Papineni et al. 2002) counts common n-grams of one to four words. chrF (Popović 2015) counts n-grams
    of one to six characters, which is more informative for inflected languages such as Korean.

    >>> found = score(["A dog runs home fast."], ["A dog runs home fast."])
    >>> round(found.bleu), round(found.chrf)
    (100, 100)
    """
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    bleu, chrf = BLEU(), CHRF()
    found = [metric.corpus_score(list(translations), [list(references)]).score for metric in (bleu, chrf)]
    signatures = [str(metric.get_signature()) for metric in (bleu, chrf)]
    return Scores(found[0], found[1], signatures[0], signatures[1])
