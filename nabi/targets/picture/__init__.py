"""Pictures of a cell unrolled over time, drawn from its equations."""

from nabi.drawing import Fonts, check_suffix, fonts_for, write_figure
from nabi.targets.picture._one_step import one_step
from nabi.targets.picture._unrolled import unrolled

__all__ = ["Fonts", "check_suffix", "fonts_for", "one_step", "unrolled", "write_figure"]
