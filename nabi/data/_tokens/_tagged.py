"""Sentences of tokens with their tags, from files."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nabi._public import public
from nabi.data._tables._tables import read_table
from nabi.data._tokens._conll import is_conllu_file, read_conll
from nabi.errors import FileFormatError

__all__ = ["TaggedTokens", "read_tagged"]

_TABLES = (".jsonl", ".ndjson", ".json", ".parquet")
_TOKENS, _TAGS = "tokens", "tags"


@dataclass(frozen=True)
class TaggedTokens:
    """Sentences, each a list of tokens, and the tag of every token.

    Attributes:
        tokens: of each sentence.
        tags: of each sentence, as many; None where they were not read.
        places: where each sentence stands, for messages: "train.conll, line 12".
        documents: of each sentence the number of its document; None where documents are not known.
        token: the column of the tokens, as it was asked for.
        tag: the column of the tags, as it was asked for.
    """

    tokens: list[list[str]]
    tags: list[list[str]] | None
    places: tuple[str, ...]
    documents: tuple[int, ...] | None = None
    token: int | str | None = None
    tag: int | str | None = None

    def __len__(self) -> int:
        return len(self.tokens)


@public
def read_tagged(
    path: str | os.PathLike[str],
    *,
    token: int | str | None = None,
    tag: int | str | None = None,
    encoding: str = "utf-8",
    separator: str | None = None,
    tagged: bool = True,
) -> TaggedTokens:
    """Read sentences whose tokens have tags: names, parts of speech, phrases.

    A file with a token in each line and blank lines between sentences (CoNLL-2003 and the like): columns
    with tabs between them, or spaces. CoNLL-U, whose name ends in `.conllu`: ranges of tokens (`1-2`), empty
    nodes (`1.1`) and comments are no tokens. Or JSON lines or Parquet with lists: `{"tokens": ["It", "is"],
    "tags": ["O", "O"]}`. Files may be compressed.

    Args:
        path: of the file.
        token: column of the tokens, by its number from 0, or its name in CoNLL-U and tables. By default the
            first, FORM, or `tokens`.
        tag: column of the tags. By default the last, UPOS, or `tags`. -1 is the last.
        encoding: of the text.
        separator: between columns; by default a tab where there is one, else spaces.
        tagged: whether tags are read.

    Raises:
        MissingFileError: if there is no such file.
        ArgumentError: for a column that there is not, a folder, or an unknown encoding.
        FileFormatError: for a line that is broken, with its number and what was expected there.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "two.conll"
    >>> _ = path.write_text("John NNP B-PER\\nsleeps VBZ O\\n\\nParis NNP B-LOC\\n")
    >>> read_tagged(path).tags, read_tagged(path, tag=1).tags
    ([['B-PER', 'O'], ['B-LOC']], [['NNP', 'VBZ'], ['NNP']])
    """
    place = Path(path)
    if _of_table(place):
        return _read_lists(place, token, tag, encoding, tagged)
    file = read_conll(place, encoding=encoding, separator=separator)
    conllu = is_conllu_file(place)
    tokens = file.values(file.column(token, 1 if conllu else 0, "token"), "a token")
    tags = None
    if tagged:
        number = file.column(tag, 3 if conllu else -1, "tag")
        if not conllu and file.width == 1:
            raise file.wrong(
                file.sentences[0][0].place, "expected a token and its tag with a tab or space, got 1 column"
            )
        tags = file.values(number, "a tag")
    places = tuple(f"{place}, line {one[0].place + 1}" for one in file.sentences)
    documents = tuple(file.documents) if len(set(file.documents)) > 1 else None
    return TaggedTokens(tokens, tags, places, documents, token, tag)


def _of_table(path: Path) -> bool:
    return any(one.lower() in _TABLES for one in path.suffixes)


def _read_lists(
    path: Path, token: int | str | None, tag: int | str | None, encoding: str, tagged: bool
) -> TaggedTokens:
    """Read a table whose rows are sentences: columns with lists."""
    names = [str(_TOKENS if token is None else token), str(_TAGS if tag is None else tag)]
    table = read_table(path, names if tagged else names[:1], encoding=encoding)
    places = [f"{path}, row {row + 1}" for row in range(len(table))]
    lists = [
        [_listed(place, name, value) for place, value in zip(places, table[name], strict=True)]
        for name in names[: 2 if tagged else 1]
    ]
    if tagged:
        for place, one, other in zip(places, *lists, strict=True):
            if len(one) != len(other):
                raise FileFormatError(
                    f"path: {place}: expected a tag for each of {len(one)} tokens, got {len(other)}"
                )
    return TaggedTokens(lists[0], lists[1] if tagged else None, tuple(places), None, token, tag)


def _listed(place: str, name: str, value: Any) -> list[str]:
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        got = "an empty list" if value == [] else repr(value)[:40]
        raise FileFormatError(f"path: {place}: expected a list of texts in the column {name!r}, got {got}")
    for one in value:
        if isinstance(one, bool) or not isinstance(one, str | int) or not str(one).strip():
            raise FileFormatError(f"path: {place}: expected texts in the list {name!r}, got {one!r}")
    return [str(one) for one in value]
