"""The target for people: a picture of a cell unrolled over time, drawn from its equations."""

from nabi.targets.picture._file import check_suffix, write_figure
from nabi.targets.picture._fonts import Fonts, fonts_for
from nabi.targets.picture._unrolled import unrolled

__all__ = ["Fonts", "check_suffix", "fonts_for", "unrolled", "write_figure"]
