"""Figures written to files, and the fonts and text settings they share."""

from typing import TYPE_CHECKING

from nabi._lazy import loaded_when_asked

if TYPE_CHECKING:
    from nabi.drawing._file import check_suffix, write_figure
    from nabi.drawing._fonts import Fonts, fonts_for
    from nabi.drawing._style import text_settings
else:
    # Loads matplotlib only when something is drawn.
    __getattr__, __dir__ = loaded_when_asked(
        __name__,
        {
            "nabi.drawing._file": ["check_suffix", "write_figure"],
            "nabi.drawing._fonts": ["Fonts", "fonts_for"],
            "nabi.drawing._style": ["text_settings"],
        },
    )

__all__ = ["Fonts", "check_suffix", "fonts_for", "text_settings", "write_figure"]
