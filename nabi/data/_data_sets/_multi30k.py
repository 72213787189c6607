"""Multi30k: English image descriptions and their German translations."""

from collections.abc import Sequence
from pathlib import Path

from nabi.data._data_sets._download import RemoteFile
from nabi.data._data_sets._sources import DataSet, Layout, Part
from nabi.data._text_files import TextFile
from nabi.errors import FileFormatError

__all__ = ["MULTI30K_LANGUAGES", "multi30k_data"]

MULTI30K_LANGUAGES = ("cs", "de", "en", "fr")

_PARTS = ("train", "val", "test_2016_flickr")
# Pinned to the commit that published them.
_HOME = "https://raw.githubusercontent.com/multi30k/dataset/c9be912dc05a3ebf9ae5bb5f7f58c1791cda43ab/data/task1/raw"
# Sizes and checksums are of copies whose timestamps match that commit.
_CHECKED = {
    "train.de.gz": (637_044, "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6"),
    "train.en.gz": (568_929, "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f"),
    "val.de.gz": (24_681, "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a"),
    "val.en.gz": (21_650, "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28"),
    "test_2016_flickr.de.gz": (22_890, "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8"),
    "test_2016_flickr.en.gz": (21_077, "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9"),
}


def multi30k_data(source: str, target: str) -> DataSet:
    """Return the data set of a language pair; its parts are training, validation and test 2016.

    English and German are downloaded if missing; files of other languages must exist.
    """
    names = [f"{part}.{language}.gz" for part in _PARTS for language in (source, target)]
    home: tuple[RemoteFile, ...] = ()
    if all(name in _CHECKED for name in names):
        home = tuple(RemoteFile(f"multi30k_{name}", (f"{_HOME}/{name}",), *_CHECKED[name]) for name in names)
    prefixed = tuple(f"multi30k_{name}" for name in names)
    return DataSet("multi30k", (Layout(prefixed, _read_parts), Layout(tuple(names), _read_parts)), home)


def _read_parts(files: Sequence[Path]) -> tuple[Part, ...]:
    return tuple(_read_part(*files[start : start + 2]) for start in range(0, len(files), 2))


def _read_part(source: Path, target: Path) -> Part:
    sources, targets = ([line.strip() for line in TextFile(file).lines("\n")] for file in (source, target))
    if len(sources) != len(targets):
        raise FileFormatError(
            f"path: {source} has {len(sources):,} lines and {target.name} {len(targets):,}; expected each "
            "line to be the translation of the other"
        )
    kept = [pair for pair in zip(sources, targets, strict=True) if all(pair)]
    if not kept:
        raise FileFormatError(f"path: expected pairs of sentences, got none in {source} and {target.name}")
    return [pair[0] for pair in kept], [pair[1] for pair in kept]
