"""The lectures' systems, one file each: data, model, training, and what it shows.

>>> "song" in names()
True
>>> get("song").epochs
2000
"""

from nabi.recipes._registry import Choice, Recipe, get, names
from nabi.recipes._run import Result, Run
from nabi.recipes._run_folder import RunFolder

__all__ = ["Choice", "Recipe", "Result", "Run", "RunFolder", "get", "names"]
