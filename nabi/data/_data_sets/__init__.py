"""Data sets that the lectures use: where their files are, and how they are read.

Public as `nabi.datasets`, the name that Keras users know.
"""

from nabi.data._data_sets._fake_news import FAKE_NEWS, TRUTH
from nabi.data._data_sets._imdb import IMDB, SENTIMENTS
from nabi.data._data_sets._nsmc import NSMC
from nabi.data._data_sets._order import shuffled, split
from nabi.data._data_sets._reuters import REUTERS, TOPICS
from nabi.data._data_sets._sources import DataSet, Layout, Part, read_parts

__all__ = [
    "FAKE_NEWS",
    "IMDB",
    "NSMC",
    "REUTERS",
    "SENTIMENTS",
    "TOPICS",
    "TRUTH",
    "DataSet",
    "Layout",
    "Part",
    "read_parts",
    "shuffled",
    "split",
]
