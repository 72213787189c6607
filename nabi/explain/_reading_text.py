"""A reading in the terminal: the coloured or marked text, the strongest tokens, the probability."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from nabi.explain._reading import Reading

__all__ = ["reading_text"]

_BARS = "▁▂▃▄▅▆▇█"
_CURVE_WIDTH = 60
_STRONGEST = 8
# Minimum share of the strongest attribution for each mark.
_MARKED = ((0.7, 3), (0.4, 2), (0.2, 1))
_FOR = {1: "black on light_sky_blue1", 2: "black on sky_blue2", 3: "bold white on dodger_blue3"}
_AGAINST = {1: "black on light_salmon1", 2: "black on salmon1", 3: "bold white on orange_red1"}


def reading_text(reading: "Reading", colours: bool) -> Iterator[Any]:
    """Yield rich renderables; without colours, `[++ word]` and `[-- word]` mark influential tokens."""
    before = float(reading.before[reading.labels.index(reading.label)])
    yield Text.assemble(
        "probability of ", (reading.label, "bold"), f": {before:.3f} before the first token, ",
        (f"{reading.probability:.3f}", "bold"), " after the last",
    )  # fmt: skip
    yield Text(_curve(reading))
    yield Text()
    yield _marked_text(reading, colours)
    yield Text()
    yield Text(f"what the strongest add to the log-odds of {reading.label} (0.7 doubles the odds):")
    yield _strongest(reading)


def _curve(reading: "Reading") -> str:
    """Return the probability over the text as bars, from 0 (low) to 1 (high)."""
    curve = reading.curve
    parts = np.array_split(curve, min(len(curve), _CURVE_WIDTH))
    return "".join(_BARS[min(int(part[-1] * len(_BARS)), len(_BARS) - 1)] for part in parts)


def _marked_text(reading: "Reading", colours: bool) -> Text:
    strongest = max(float(np.abs(reading.attributions).max()), 1e-12)
    text, end = Text(), reading.tokens[0].start
    if reading.unread_first:
        text.append(f"({reading.unread:,} tokens before this are not read) … ", style="dim")
    for token, attribution in zip(reading.tokens, reading.attributions.tolist(), strict=True):
        text.append(" ".join(reading.text[end : token.start].split("\n")))
        end = token.end
        strength = next((mark for least, mark in _MARKED if abs(attribution) >= least * strongest), 0)
        if not strength:
            text.append(token.text)
        elif colours:
            text.append(token.text, style=(_FOR if attribution > 0 else _AGAINST)[strength])
        else:
            text.append(f"[{('+' if attribution > 0 else '-') * strength} {token.text}]")
    if reading.unread and not reading.unread_first:
        text.append(f" … ({reading.unread:,} more tokens are not read)", style="dim")
    return text


def _strongest(reading: "Reading") -> Table:
    """Return a table of the strongest tokens; the contributions of repeated tokens are summed."""
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}
    for token, attribution in zip(reading.tokens, reading.attributions.tolist(), strict=True):
        sums[token.text] = sums.get(token.text, 0.0) + attribution
        counts[token.text] = counts.get(token.text, 0) + 1
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    for name in sorted(sums, key=lambda name: -abs(sums[name]))[:_STRONGEST]:
        colour = "dodger_blue2" if sums[name] > 0 else "orange_red1"
        times = f" ({counts[name]} times)" if counts[name] > 1 else ""
        table.add_row(Text(f"{sums[name]:+.2f}", style=colour), Text(f"{name}{times}"))
    return table
