"""Data sets that the lectures use: where their files are, how they are read and coded.

Public as `nabi.datasets`, the name that Keras users know.
"""

from nabi.data._data_sets._coding import Arrays, Coding, rank_words
from nabi.data._data_sets._fake_news import FAKE_NEWS, TRUTH
from nabi.data._data_sets._imdb import IMDB
from nabi.data._data_sets._nsmc import NSMC
from nabi.data._data_sets._order import checked_share, kept_count, random_order, shuffled
from nabi.data._data_sets._reuters import REUTERS, TOPICS
from nabi.data._data_sets._sentiments import SENTIMENTS
from nabi.data._data_sets._sources import DataSet, Part, data_folder, read_parts

__all__ = [
    "FAKE_NEWS",
    "IMDB",
    "NSMC",
    "REUTERS",
    "SENTIMENTS",
    "TOPICS",
    "TRUTH",
    "Arrays",
    "Coding",
    "DataSet",
    "Part",
    "checked_share",
    "data_folder",
    "kept_count",
    "random_order",
    "rank_words",
    "read_parts",
    "shuffled",
]
