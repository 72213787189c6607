"""Multi30k: 31,014 image descriptions, English and German, for training, validation and test 2016.

Elliott et al. 2016, "Multi30K: Multilingual English-German Image Descriptions"."""

import os

from nabi._public import public
from nabi.data._data_sets import MULTI30K_LANGUAGES, Part, multi30k_data, read_parts
from nabi.errors import ArgumentError, unknown_name

__all__ = ["load_pairs"]


@public
def load_pairs(
    path: str | os.PathLike[str] | None = None, source: str = "en", target: str = "de"
) -> tuple[Part, Part, Part]:
    """Return sentences and their translations: `(sources, targets)` of training, validation, test 2016.

    Args:
        path: the folder of the files `train`, `val` and `test_2016_flickr`, each with `.en.gz` and `.de.gz`,
            optionally prefixed with `multi30k_`. None: see `nabi.datasets`; only English and German are
            downloaded.
        source: the language to translate from: "en", "de", "fr" or "cs".
        target: the language to translate into.

    Raises:
        MissingFileError: if the files do not exist and cannot be downloaded.
        FileFormatError: if a file is damaged, or the files of a pair differ in their number of lines.
        ArgumentError: for the same language twice.
        UnknownNameError: for another language.
    """
    for name, language in (("source", source), ("target", target)):
        if language not in MULTI30K_LANGUAGES:
            raise unknown_name(name, language, MULTI30K_LANGUAGES)
    if source == target:
        raise ArgumentError(f"target: expected another language than source, got {target!r}")
    training, validation, test = read_parts(multi30k_data(source, target), path)
    return training, validation, test
