"""Data sets under their Keras names: `from nabi.datasets import imdb`.

Text data sets have `load_data`, which returns arrays of word codes and labels as in Keras, `load_texts`,
which returns the texts and label names, `get_word_index` and `get_label_names`. Translation data sets
(`multi30k`, `tatoeba`) have `load_pairs`. `shapes` generates images and captions, `moving_shapes`
clips of motions.

The files of the others are read from `path`. Without it, they are searched in the folder of the environment
variable NABI_DATA (and its subfolders `text` and `translation`), then in the folder `data` of nabi's cache
(`~/.cache/nabi` on Linux, or NABI_CACHE_DIR). Otherwise they are downloaded once from their public source
into the cache, and verified by checksum.
"""

from typing import TYPE_CHECKING

from nabi._lazy import names_missing as _names_missing
from nabi.datasets import fake_news, imdb, moving_shapes, multi30k, nsmc, reuters, shapes, tatoeba

__all__ = ["fake_news", "imdb", "moving_shapes", "multi30k", "nsmc", "reuters", "shapes", "tatoeba"]

if not TYPE_CHECKING:
    __getattr__ = _names_missing(__name__)
