"""Texts as numbers, under the names of Keras 2.

>>> tokenizer = Tokenizer()
>>> tokenizer.fit_on_texts(["a good film", "a long film"])
>>> tokenizer.texts_to_sequences(["a good long film"])
[[1, 3, 4, 2]]
"""

from typing import TYPE_CHECKING

from nabi._lazy import names_missing as _names_missing
from nabi.data import Tokenizer, text_to_word_sequence, tokenizer_from_json

__all__ = ["Tokenizer", "text_to_word_sequence", "tokenizer_from_json"]

if not TYPE_CHECKING:
    __getattr__ = _names_missing(__name__)
