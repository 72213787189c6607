"""An animation as one page of HTML that needs nothing else."""

import base64
import html
import json
import re
from importlib.resources import files
from typing import Any

import numpy as np

from nabi._language import Language
from nabi.explain._animation._film import Film, Lane
from nabi.explain._animation._words import WORDS, meaning_of
from nabi.files import writer
from nabi.targets import picture

__all__ = ["page_of"]

_LARGEST = 32767
# Names with an index: h_{t-1}, W_xi, b_f.
_INDEXED = re.compile(r"([^\W_]+)_(?:\{([^}]*)\}|(\w+))")


def page_of(film: Film, language: Language) -> bytes:
    """Return the page, in UTF-8, in which a button changes the language."""
    facts = {
        "cell": film.cell,
        "units": film.program.output_width,
        "steps": len(film.labels),
        "labels": list(film.labels),
        "lanes": [_lane(lane) for lane in film.lanes],
        "says": [list(map(list, said)) for said in film.says] or None,
        "shares": all(0 <= value <= 1 for said in film.says for _, value in said),
        "words": WORDS,
    }
    folder = files("nabi.explain._animation") / "page"
    text = {
        part: (folder / f"animation.{part}").read_text(encoding="utf-8") for part in ("html", "css", "mjs")
    }
    parts = {
        "MARK": f"written by {writer()}",
        "LANGUAGE": language,
        "TITLE": html.escape(film.title, quote=False),
        "STYLE": text["css"].strip(),
        "SCRIPT": text["mjs"].strip(),
        "DIAGRAM": picture.one_step(film.program),
        # No end of a script, and no comment, can stand in it.
        "FACTS": json.dumps(facts, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"),
    }
    # At once, so that nothing that is put in is taken for a place of the template.
    return re.sub("@([A-Z]+)@", lambda found: parts[found[1]], text["html"]).encode()


def _lane(lane: Lane) -> dict[str, Any]:
    numbers = np.nan_to_num(lane.values, nan=0.0, posinf=0.0, neginf=0.0)
    scale = max(float(np.abs(numbers).max()), 1e-9)
    whole = np.round(numbers / scale * _LARGEST).astype("<i2")
    # The scale of colours is not stretched by a few units that are far out.
    limit = float(np.quantile(np.abs(numbers).max(0), 0.95, method="nearest"))
    return {
        "name": lane.name,
        "plain": lane.name,
        "symbol": _symbols(lane.equation.partition(" = ")[0] or f"{lane.name}_t"),
        "equation": _symbols(lane.equation),
        "meaning": meaning_of(lane.name, share=lane.share, state=lane.state),
        "share": lane.share,
        "state": lane.state,
        "width": lane.values.shape[1],
        "scale": scale,
        "limit": max(limit, 1e-6),
        "numbers": base64.b64encode(whole.tobytes()).decode(),
    }


def _symbols(text: str) -> str:
    """Return an equation as HTML, with indices below the line."""
    escaped = html.escape(text, quote=False)
    return _INDEXED.sub(lambda found: f"{found[1]}<sub>{found[2] or found[3]}</sub>", escaped)
