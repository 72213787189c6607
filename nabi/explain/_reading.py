"""How a text classifier read a text: its probabilities after each token, and each token's attribution."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nabi._public import public
from nabi.data import Token
from nabi.errors import ArgumentError, unknown_name
from nabi.explain._word_logits import WordLogits
from nabi.models import TextClassifier, no_columns

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

__all__ = ["Reading", "read_text"]

# The integral over the path from zero vectors to the text's vectors uses Gauss-Legendre quadrature.
_POINTS = 8
_PARTS_AT_ONCE = 8
_MOST_POINTS = 512
_TOLERANCE = 2e-3


@dataclass(frozen=True, eq=False)
class Reading:
    """How a text classifier came to its decision on one text.

    `print` shows it, as does `rich.print` in colours.
    """

    text: str
    tokens: tuple[Token, ...]
    """The tokens that the network read, with their places in `text`."""
    labels: tuple[str, ...]
    label: str
    """The explained label, by default the most probable one."""
    before: npt.NDArray[np.float32]
    """Probability of each label before the first token `[labels]`."""
    probabilities: npt.NDArray[np.float32]
    """Probability of each label after each token, if the text ended there `[tokens, labels]`."""
    attributions: npt.NDArray[np.float64]
    """Contribution of each token to the log-odds of the label `[tokens]`, by integrated gradients."""
    log_odds: float
    """Of the label for the whole text: the logarithm of p / (1 - p)."""
    baseline: float
    """The log-odds if all tokens were zero vectors; baseline plus attributions is the text's log-odds."""
    unread: int = 0
    """Number of tokens beyond `maxlen`, which the network did not read."""
    unread_first: bool = False
    """Whether these are at the beginning of the text."""

    @property
    def curve(self) -> npt.NDArray[np.float32]:
        """Probability of the explained label after each token `[tokens]`."""
        return self.probabilities[:, self.labels.index(self.label)]

    @property
    def probability(self) -> float:
        """Probability of the explained label for the whole text."""
        return float(self.curve[-1])

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        """Yield the parts of the terminal output."""
        from nabi.explain._reading_text import reading_text

        yield from reading_text(
            self.text,
            self.tokens,
            self.attributions,
            label=self.label,
            before=float(self.before[self.labels.index(self.label)]),
            curve=self.curve,
            unread=self.unread,
            unread_first=self.unread_first,
            colours=console.color_system is not None,
        )

    def __str__(self) -> str:
        """Return the terminal output as plain text."""
        from rich.console import Console

        console = Console(width=100, color_system=None, force_terminal=False)
        with console.capture() as captured:
            console.print(self)
        return captured.get().rstrip()


@public
def read_text(
    classifier: TextClassifier, text: str, aspect: str | None = None, *, label: str | None = None
) -> Reading:
    """Explain how a classifier reads a text.

    The probabilities after each token are those of the text cut off there, so they are correct for networks
    of any reading direction. The attributions are integrated gradients over the token vectors (Sundararajan,
    Taly and Yan 2017, "Axiomatic attribution for deep networks", equation 1), from zero vectors to the
    text's, computed in float64. To within two thousandths they add up to the change that the text makes to
    the log-odds of the label, log p - log (1 - p). Adding 0.7 doubles the odds, so that words still count
    when the probability is close to 0 or 1. The start (and aspect) that the network reads first is fixed.

    Args:
        classifier: a trained classifier.
        text: the text to read.
        aspect: the aspect to judge, for a classifier with aspects.
        label: the label to explain; the most probable one by default.

    Raises:
        ArgumentError: for an empty text, a classifier that reads other columns too, and as
            `TextClassifier.predict`.
        UnknownNameError: for a label that the classifier does not have.

    >>> texts = ["a good film", "good and warm", "so good", "bad", "a bad film", "bad and cold"] * 5
    >>> classifier = TextClassifier(units=4, embedding_size=8, epochs=20, learning_rate=0.03)
    >>> report = classifier.fit(texts, (["+"] * 3 + ["-"] * 3) * 5, verbose=0)
    >>> reading = read_text(classifier, "A good film")
    >>> reading.label, [token.text for token in reading.tokens], int(reading.attributions.argmax())
    ('+', ['A', 'good', 'film'], 1)
    """
    no_columns(classifier, "explained word by word")
    text = text.strip()
    codes = classifier.encode([text], None if aspect is None else [aspect])[0]
    names = classifier.labels.names
    if label is not None and label not in names:
        raise unknown_name("label", label, names)
    tokens, read, unread = _read_tokens(classifier, text, codes)
    if not read:
        raise ArgumentError("text: expected a text to read, got none" + (" but the aspect" if aspect else ""))
    first = len(codes) - len(read)
    # What is not read at the end of a text is part of it after the last token.
    ends = [read[0].start, *(token.end for token in read[:-1]), len(text)]
    probabilities = classifier.read(
        [codes[:end] for end in range(first, len(codes) + 1)],
        [text[:end] for end in ends],
        None if aspect is None else [aspect] * len(ends),
    )
    followed = int(probabilities[-1].argmax()) if label is None else names.index(label)
    words = WordLogits.of(classifier, text, aspect, read)
    attributions, baseline, log_odds = _attribute(classifier, codes, first, followed, words)
    return Reading(
        text,
        read,
        names,
        names[followed],
        probabilities[0],
        probabilities[1:],
        attributions,
        log_odds,
        baseline,
        unread,
        bool(unread) and read[-1] is tokens[-1],
    )


def _read_tokens(
    classifier: TextClassifier, text: str, codes: npt.NDArray[np.int32]
) -> tuple[Sequence[Token], tuple[Token, ...], int]:
    """Return all tokens of a text, those that are read, and how many are not."""
    tokens = classifier.vocabulary.tokens(text)
    # The text itself never contains the separator: the aspect comes before it.
    separator = np.flatnonzero(codes == classifier.vocabulary.SEPARATOR).tolist()
    count = len(codes) - 1 - (separator[0] if separator else 0)
    from_end = classifier.settings.truncating == "pre" and count < len(tokens)
    read = tokens[len(tokens) - count :] if from_end else tokens[:count]
    return tokens, tuple(read), len(tokens) - len(read)


def _attribute(
    classifier: TextClassifier, codes: npt.NDArray[np.int32], first: int, label: int, words: WordLogits
) -> tuple[npt.NDArray[np.float64], float, float]:
    """Return integrated gradients of a label's log-odds by code from `first` on; log-odds at both ends."""
    twin: Any = copy.deepcopy(classifier.model).double()
    embedding, *layers, last = twin.layers
    with torch.no_grad():
        vectors = embedding(torch.from_numpy(codes.astype(np.int64))[None].to(twin.device))[0]
    kept, moved = vectors[:first], vectors[first:]
    fixed, added = (torch.from_numpy(one).to(moved) for one in (words.fixed, words.added))

    def values(shares: list[float]) -> tuple[list[float], Tensor]:
        """Return the log-odds at each point of the path, and the contribution of each vector to the slope."""
        points = moved.new_tensor(shares)[:, None, None]
        inner, own = (points * moved).requires_grad_(), (points * added).requires_grad_()
        x: Any = torch.cat([kept.expand(len(shares), *kept.shape), inner], 1)
        # All steps are valid; a text shorter than a convolution window still has one.
        x._keras_mask = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        for layer in layers:
            x = layer(x)
        logits = words.network * (x @ last.kernel + last.bias)
        if logits.shape[1] == added.shape[1]:  # not of a single sigmoid, which has no word features
            logits = logits + fixed + own.sum(1)
        if classifier.labels.several:
            odds = logits[:, label]
        elif logits.shape[1] == 1:  # of a sigmoid, for the second label
            odds = logits[:, 0] if label else -logits[:, 0]
        else:  # of a softmax: against all others together
            others = [number for number in range(logits.shape[1]) if number != label]
            odds = logits[:, label] - logits[:, others].logsumexp(1)
        slope, of_words = torch.autograd.grad(odds.sum(), (inner, own), materialize_grads=True)
        return odds.tolist(), (slope * moved).sum(-1) + (of_words * added).sum(-1)

    attributions, baseline, log_odds = _integrate(values)
    return attributions.cpu().numpy(), baseline, log_odds


def _integrate(values: Callable[[list[float]], tuple[list[float], Tensor]]) -> tuple[Tensor, float, float]:
    """Return the integral from 0 to 1 of the second result of `values`, and its first result at 0 and 1.

    The error over an interval is known: the integral must sum to the difference of the log-odds at its ends.
    Intervals with a large error are halved. For a smooth network one interval is enough; a maximum over time
    has kinks on the path, most of them near the zero vectors, where all steps are alike.
    """
    points, weights = np.polynomial.legendre.leggauss(_POINTS)
    waiting, evaluated = [(0.0, 1.0)], 0
    known: dict[float, float] = {}
    done: list[tuple[float, tuple[float, float], Tensor]] = []  # gap, part, integral over it
    while waiting:
        for start in range(0, len(waiting), _PARTS_AT_ONCE):
            parts = waiting[start : start + _PARTS_AT_ONCE]
            inner = [low + (high - low) * (point + 1) / 2 for low, high in parts for point in points.tolist()]
            ends = sorted({end for part in parts for end in part} - known.keys())
            heights, slopes = values([*inner, *ends])
            known |= dict(zip(ends, heights[len(inner) :], strict=True))
            evaluated += len(inner)
            for (low, high), slope in zip(parts, slopes[: len(inner)].split(_POINTS), strict=True):
                integral = (slope * slope.new_tensor(weights)[:, None]).sum(0) * (high - low) / 2
                done.append((abs(float(integral.sum()) - known[high] + known[low]), (low, high), integral))
        tolerance = _TOLERANCE * max(abs(known[1.0] - known[0.0]), 0.1)
        waiting = []
        if sum(gap for gap, _, _ in done) > tolerance and evaluated < _MOST_POINTS:
            waiting = [
                half
                for gap, (low, high), _ in done
                if gap > tolerance / len(done)
                for half in ((low, (low + high) / 2), ((low + high) / 2, high))
            ]
            done = [one for one in done if one[0] <= tolerance / len(done)]
    return torch.stack([integral for _, _, integral in done]).sum(0), known[0.0], known[1.0]
