"""The target for people: a picture of a cell unrolled over time, drawn from its equations."""

from nabi.targets.picture._file import check_suffix, write_figure
from nabi.targets.picture._unrolled import unrolled

__all__ = ["check_suffix", "unrolled", "write_figure"]
