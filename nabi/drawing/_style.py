"""Text settings of all figures, for reproducible files."""

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
    """Return a context with the text settings of all figures."""
    import matplotlib

    return matplotlib.rc_context(_SETTINGS)  # type: ignore[arg-type]
