"""The lectures' systems, one file each: data, model, training, and what it shows.

>>> names()
['captions', 'chorales', 'fake-news', 'hello', 'imdb', 'numbers', 'reuters', 'shakespeare', 'song']
>>> get("song").epochs
2000
"""

from nabi.recipes._registry import Recipe, get, names
from nabi.recipes._run import Result, Run
from nabi.recipes._run_folder import RunFolder

__all__ = ["Recipe", "Result", "Run", "RunFolder", "get", "names"]
