"""Colours and text sizes of the pictures of cells."""

from functools import lru_cache

__all__ = ["FILLS", "INPUT", "LEGEND", "LINE", "PANEL", "STATES", "text_size"]

# Fill and edge of each kind of box.
FILLS = {
    "gate": ("#ffe3a3", "#b07d10"),
    "candidate": ("#cfe8c6", "#4b8a3a"),
    "product": ("#d9dde3", "#6b7684"),
    "reduction": ("#e2d4ef", "#7b55a3"),
    "map": ("#ffffff", "#3c4651"),
}
LEGEND = {
    "gate": "gate: a share between 0 and 1",
    "candidate": "activation of a sum of products",
    "product": "sum of products",
    "reduction": "taken over all units",
    "map": "unit by unit",
}
PANEL = "#f7f9fb"
LINE = "#3c4651"
INPUT = "#1b7f5c"
STATES = ("#1f5fa8", "#c1440e", "#7b3fa0", "#8a6d00")


@lru_cache(maxsize=4096)
def text_size(text: str, points: float) -> tuple[float, float]:
    """Return the width and height of a text in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    box = TextPath((0, 0), text, size=points, prop=FontProperties(family="DejaVu Sans")).get_extents()
    return float(box.width) / 72, float(box.height) / 72
