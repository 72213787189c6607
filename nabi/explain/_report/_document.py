"""A report as one page of HTML: sections of tables, bars, lines and texts, without a script."""

import base64
import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from nabi._language import Language
from nabi.files import writer

__all__ = [
    "Line",
    "Section",
    "bars",
    "document",
    "facts",
    "lines",
    "marked",
    "matrix",
    "paragraph",
    "picture",
    "table",
]

_WIDTH, _HEIGHT = 640, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 16, 14, 48
_TICKS = 4


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it, as HTML."""

    title: str
    content: str


@dataclass(frozen=True)
class Line:
    """One line of a chart."""

    name: str
    values: Sequence[float]
    """NaN where there is none."""


def document(title: str, about: str, sections: Sequence[Section], language: Language, footer: str) -> bytes:
    """Return the page, in UTF-8; sections without content are left out."""
    style = (files("nabi.explain._report") / "page" / "report.css").read_text(encoding="utf-8").strip()
    shown = [section for section in sections if section.content]
    links = "".join(
        f'<li><a href="#part-{number}">{_plain(section.title)}</a></li>'
        for number, section in enumerate(shown)
    )
    body = "\n".join(
        f'<section aria-labelledby="part-{number}"><h2 id="part-{number}">{_plain(section.title)}</h2>\n'
        f"{section.content}\n</section>"
        for number, section in enumerate(shown)
    )
    return (
        f'<!doctype html>\n<!-- written by {writer()} -->\n<html lang="{language}">\n<head>\n'
        '<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>{_plain(title)}</title>\n<style>\n{style}\n</style>\n</head>\n"
        f'<body data-ready="yes">\n<header><h1>{_plain(title)}</h1><p class="note">{_plain(about)}</p>'
        f"<nav><ul>{links}</ul></nav></header>\n<main>\n{body}\n</main>\n"
        f"<footer><p>{_plain(footer)}</p></footer>\n</body>\n</html>\n"
    ).encode()


def paragraph(text: str, *, note: bool = False) -> str:
    """Return a paragraph; nothing for no text."""
    return f"<p{' class=note' if note else ''}>{_plain(text)}</p>" if text else ""


def table(
    head: Sequence[str], rows: Sequence[Sequence[str | float | int | None]], *, caption: str = ""
) -> str:
    """Return a table whose first column names the rows; numbers are on the right."""
    if not rows:
        return ""
    heads = "".join(f'<th scope="col">{_plain(name)}</th>' for name in head)
    lines_of = []
    for first, *others in rows:
        cells = "".join(
            f"<td{'' if isinstance(one, str) else ' class=number'}>{_plain(shown(one))}</td>"
            for one in others
        )
        lines_of.append(f'<tr><th scope="row">{_plain(shown(first))}</th>{cells}</tr>')
    said = f"<caption>{_plain(caption)}</caption>" if caption else ""
    top = f"<thead><tr>{heads}</tr></thead>" if any(head) else ""
    return f'<div class="wide"><table>{said}{top}<tbody>{"".join(lines_of)}</tbody></table></div>'


def shown(value: str | float | int | None) -> str:
    """Return a value as a table has it: four digits, thousands separated."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) >= 1000 or 0 < abs(value) < 1e-3 else f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) else value


def matrix(names: Sequence[str], counts: Sequence[Sequence[int]], right: str, said: str) -> str:
    """Return a confusion matrix: a row for each right class, shaded by its share of the row."""
    heads = "".join(f'<th scope="col">{_plain(name)}</th>' for name in names)
    rows = []
    for number, (name, row) in enumerate(zip(names, counts, strict=True)):
        total = max(sum(row), 1)
        cells = "".join(
            f'<td class="{"hit" if number == place else "miss"}" style="--share:{count / total:.3f}">'
            f"{count:,}</td>"
            for place, count in enumerate(row)
        )
        rows.append(f'<tr><th scope="row">{_plain(name)}</th>{cells}</tr>')
    return (
        f'<div class="wide"><table class="matrix"><thead><tr>'
        f'<th scope="col">{_plain(right)} ↓ &nbsp; {_plain(said)} →</th>{heads}</tr></thead><tbody>'
        f"{''.join(rows)}</tbody></table></div>"
    )


def bars(rows: Sequence[tuple[str, float]]) -> str:
    """Return names with a bar each, for shares between 0 and 1."""
    return (
        '<div class="bars">'
        + "".join(
            f'<div class="bar"><span class="name">{_plain(name)}</span><span class="track">'
            f'<span class="fill" style="width:{100 * value:.1f}%"></span></span>'
            f'<span class="share">{value:.1%}</span></div>'
            for name, value in rows
        )
        + "</div>"
    )


def marked(text: str, places: Sequence[tuple[int, int]], strengths: Sequence[float]) -> str:
    """Return a text in which parts are marked: those above zero speak for something, those below against."""
    most = max(map(abs, strengths), default=0.0) or 1.0
    parts, at = [], 0
    for (start, end), strength in sorted(zip(places, strengths, strict=True)):
        parts.append(_plain(text[at:start]))
        share = abs(strength) / most
        word = _plain(text[start:end])
        if share < 0.04:
            parts.append(word)
        else:
            kind = "pro" if strength > 0 else "contra"
            parts.append(
                f'<mark class="{kind}" style="--share:{share:.2f}" title="{strength:+.2f}">{word}</mark>'
            )
        at = end
    return f'<p class="text">{"".join(parts)}{_plain(text[at:])}</p>'


def lines(
    chart: Sequence[Line],
    *,
    across: str,
    up: str,
    told: str,
    first: float = 0.0,
    logarithmic: bool = False,
) -> str:
    """Return a chart of lines as SVG, with a text for those who do not see it.

    Args:
        chart: the lines, over the same places.
        across, up: what the axes are.
        told: the alternative text.
        first: the number of the first place.
        logarithmic: whether heights are logarithms to base ten.
    """
    values = [
        [math.log10(max(one, 1e-12)) if logarithmic and not math.isnan(one) else one for one in line.values]
        for line in chart
    ]
    known = [one for row in values for one in row if math.isfinite(one)]
    if not known:
        return ""
    low, high = min(known), max(known)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    count = max(map(len, values))
    digits = max(0, 2 - math.floor(math.log10(high - low)))

    def x(place: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (place / max(count - 1, 1))

    def y(value: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (high - value) / (high - low)

    parts = [
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{_plain(told)}">',
    ]
    for number in range(_TICKS + 1):
        value = low + (high - low) * number / _TICKS
        written = f"{10**value:.2g}" if logarithmic else f"{value:,.{digits}f}"
        parts.append(f'<path class="grid" d="M{_LEFT} {y(value):.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{written}</text>')
    for place in sorted({round((count - 1) * number / _TICKS) for number in range(_TICKS + 1)}):
        parts.append(
            f'<text x="{x(place):.1f}" y="{_HEIGHT - 28}" text-anchor="middle">{first + place:g}</text>'
        )
    parts.append(f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 6}" text-anchor="end">{_plain(across)}</text>')
    for number, row in enumerate(values):
        path, pen = [], "M"
        for place, value in enumerate(row):
            if math.isfinite(value):
                # "h0" is a dot: one value between two gaps is seen as well.
                path.append(f"{pen}{x(place):.1f} {y(value):.1f}" + ("h0" if pen == "M" else ""))
                pen = "L"
            else:
                pen = "M"
        parts.append(f'<path class="line line-{number % 6}" d="{"".join(path)}"/>')
    parts.append("</svg>")
    key = "".join(
        f'<span><i class="key line-{number % 6}"></i>{_plain(line.name)}</span>'
        for number, line in enumerate(chart)
    )
    about = f'<figcaption>{_plain(up)}<span class="keys">{key}</span></figcaption>'
    return f"<figure>{''.join(parts)}{about}</figure>"


def picture(content: bytes, told: str) -> str:
    """Return a PNG that stands in the page, with a text for those who do not see it."""
    data = base64.b64encode(content).decode()
    return (
        f'<figure><div class="wide"><img src="data:image/png;base64,{data}" alt="{_plain(told)}"></div>'
        f"<figcaption>{_plain(told)}</figcaption></figure>"
    )


def facts(values: Mapping[str, str | float | int | None]) -> str:
    """Return a table of two columns."""
    return table(["", ""], [(name, shown(value)) for name, value in values.items()])


def _plain(text: str) -> str:
    return html.escape(str(text))
