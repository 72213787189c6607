"""How text looks in every figure: the same font and the same bytes every time."""

from contextlib import AbstractContextManager
from typing import Any

__all__ = ["text_settings"]

_SETTINGS: dict[str, Any] = {
    "mathtext.fontset": "dejavusans",
    "font.family": "DejaVu Sans",
    "svg.fonttype": "path",
    "svg.hashsalt": "nabi",
    "axes.unicode_minus": True,
}


def text_settings() -> AbstractContextManager[None]:
    """Return a context in which matplotlib writes as all the pictures do, the same bytes every time."""
    import matplotlib

    return matplotlib.rc_context(_SETTINGS)  # type: ignore[arg-type]
