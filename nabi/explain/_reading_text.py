"""A reading in the terminal: the coloured or marked text, the strongest tokens, the probability."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.table import Table
from rich.text import Text

from nabi.data import Token

__all__ = ["reading_text"]

_BARS = "▁▂▃▄▅▆▇█"
_CURVE_WIDTH = 60
_STRONGEST = 8
# Minimum share of the strongest attribution for each mark.
_MARKED = ((0.7, 3), (0.4, 2), (0.2, 1))
_FOR = {1: "black on light_sky_blue1", 2: "black on sky_blue2", 3: "bold white on dodger_blue3"}
_AGAINST = {1: "black on light_salmon1", 2: "black on salmon1", 3: "bold white on orange_red1"}


def reading_text(
    text: str,
    tokens: Sequence[Token],
    attributions: npt.NDArray[np.float64],
    *,
    label: str,
    before: float,
    curve: npt.NDArray[np.float32],
    unread: int,
    unread_first: bool,
    colours: bool,
) -> Iterator[Any]:
    """Yield what rich shows of a `Reading`.

    Args:
        text: the text.
        tokens: those that were read.
        attributions: what each token adds to the log-odds of the label.
        label: the label.
        before: its probability before the first token.
        curve: its probability after each token.
        unread: how many tokens were not read.
        unread_first: whether these are at the beginning.
        colours: without them, `[++ word]` and `[-- word]` mark what moved the decision.
    """
    yield Text.assemble(
        "probability of ", (label, "bold"), f": {before:.3f} before the first token, ",
        (f"{float(curve[-1]):.3f}", "bold"), " after the last",
    )  # fmt: skip
    yield Text(_curve(curve))
    yield Text()
    yield _marked_text(text, tokens, attributions, unread, unread_first, colours)
    yield Text()
    yield Text(f"what the strongest add to the log-odds of {label} (0.7 doubles the odds):")
    yield _strongest(tokens, attributions)


def _curve(curve: npt.NDArray[np.float32]) -> str:
    """Return the probability over the text as bars, from 0 (low) to 1 (high)."""
    parts = np.array_split(curve, min(len(curve), _CURVE_WIDTH))
    return "".join(_BARS[min(int(part[-1] * len(_BARS)), len(_BARS) - 1)] for part in parts)


def _marked_text(
    text: str,
    tokens: Sequence[Token],
    attributions: npt.NDArray[np.float64],
    unread: int,
    unread_first: bool,
    colours: bool,
) -> Text:
    strongest = max(float(np.abs(attributions).max()), 1e-12)
    marked, end = Text(), tokens[0].start
    if unread_first:
        marked.append(f"({unread:,} tokens before this are not read) … ", style="dim")
    for token, attribution in zip(tokens, attributions.tolist(), strict=True):
        marked.append(" ".join(text[end : token.start].split("\n")))
        end = token.end
        strength = next((mark for least, mark in _MARKED if abs(attribution) >= least * strongest), 0)
        if not strength:
            marked.append(token.text)
        elif colours:
            marked.append(token.text, style=(_FOR if attribution > 0 else _AGAINST)[strength])
        else:
            marked.append(f"[{('+' if attribution > 0 else '-') * strength} {token.text}]")
    if unread and not unread_first:
        marked.append(f" … ({unread:,} more tokens are not read)", style="dim")
    return marked


def _strongest(tokens: Sequence[Token], attributions: npt.NDArray[np.float64]) -> Table:
    """Return a table of the strongest tokens; the contributions of repeated tokens are summed."""
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}
    for token, attribution in zip(tokens, attributions.tolist(), strict=True):
        sums[token.text] = sums.get(token.text, 0.0) + attribution
        counts[token.text] = counts.get(token.text, 0) + 1
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for name in sorted(sums, key=lambda name: -abs(sums[name]))[:_STRONGEST]:
        colour = "dodger_blue2" if sums[name] > 0 else "orange_red1"
        times = f" ({counts[name]} times)" if counts[name] > 1 else ""
        table.add_row(Text(f"{sums[name]:+.2f}", style=colour), Text(f"{name}{times}"))
    return table
