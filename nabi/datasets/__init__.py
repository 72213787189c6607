"""Data sets under the name that Keras users know: `from nabi.datasets import imdb`.

Those of texts have `load_data`, which gives arrays of word codes and labels as Keras does, `load_texts`,
which gives the texts and the names of their labels, `get_word_index` and `get_label_names`. Those of
sentences with translations (`multi30k`, `tatoeba`) have `load_pairs`. `shapes` has pictures and captions,
which it makes itself.

The files of the others are looked for where `path` says. Without it they are looked for in the folder of
the environment variable NABI_DATA (or its folders `text` and `translation`), then in the folder `data` of
nabi's cache (`~/.cache/nabi` on Linux, or NABI_CACHE_DIR). If they are in neither, they are downloaded once
from the data's own public home into the cache, and compared with their checksum.
"""

from typing import TYPE_CHECKING

from nabi._lazy import names_missing as _names_missing
from nabi.datasets import fake_news, imdb, multi30k, nsmc, reuters, shapes, tatoeba

__all__ = ["fake_news", "imdb", "multi30k", "nsmc", "reuters", "shapes", "tatoeba"]

if not TYPE_CHECKING:
    __getattr__ = _names_missing(__name__)
