"""Data sets used in the lectures: finding, reading and coding their files.

Public under the Keras name, `nabi.datasets`.
"""

from nabi.data._data_sets._coding import Arrays, Coding, rank_words
from nabi.data._data_sets._fake_news import FAKE_NEWS, TRUTH
from nabi.data._data_sets._imdb import IMDB
from nabi.data._data_sets._multi30k import MULTI30K_LANGUAGES, multi30k_data
from nabi.data._data_sets._nsmc import NSMC
from nabi.data._data_sets._order import checked_share, kept_count, random_order, shuffled
from nabi.data._data_sets._reuters import REUTERS, TOPICS
from nabi.data._data_sets._sentiments import SENTIMENTS
from nabi.data._data_sets._sources import DataSet, Part, data_folder, read_parts
from nabi.data._data_sets._tatoeba import TATOEBA

__all__ = [
    "FAKE_NEWS",
    "IMDB",
    "MULTI30K_LANGUAGES",
    "NSMC",
    "REUTERS",
    "SENTIMENTS",
    "TATOEBA",
    "TOPICS",
    "TRUTH",
    "Arrays",
    "Coding",
    "DataSet",
    "Part",
    "checked_share",
    "data_folder",
    "kept_count",
    "multi30k_data",
    "random_order",
    "rank_words",
    "read_parts",
    "shuffled",
]
