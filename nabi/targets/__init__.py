"""What a traced step is turned into: one file or folder for each target.

`eager` (torch, the definition), `latex` and `picture`. The native target for CPUs takes its place here
beside them; nothing outside this room asks which target runs.
"""

from nabi.targets import eager, latex, picture
from nabi.targets._rows import Rows

__all__ = ["Rows", "eager", "latex", "picture"]
