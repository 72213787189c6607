"""Reuters-21578: newswire stories of 1987 and their topics."""

import html
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nabi.data._data_sets._archives import archive_members
from nabi.data._data_sets._download import RemoteFile
from nabi.data._data_sets._sources import DataSet, Layout, Part
from nabi.data._tables._tables import read_table
from nabi.errors import FileFormatError

__all__ = ["REUTERS", "TOPICS"]

# In order of first occurrence, as in Keras' get_label_names().
TOPICS = (
    *("cocoa", "grain", "veg-oil", "earn", "acq", "wheat", "copper", "housing", "money-supply", "coffee"),
    *("sugar", "trade", "reserves", "ship", "cotton", "carcass", "crude", "nat-gas", "cpi", "money-fx"),
    *("interest", "gnp", "meal-feed", "alum", "oilseed", "gold", "tin", "strategic-metal", "livestock"),
    *("retail", "ipi", "iron-steel", "rubber", "heat", "jobs", "lei", "bop", "zinc", "orange", "pet-chem"),
    *("dlr", "gas", "silver", "wpi", "hog", "lead"),
)
_FEWEST_STORIES = 15

_SGML_NAME = re.compile(r"(?:.*/)?reut2-\d+\.sgm")
_STORY = re.compile(r"<REUTERS\b([^>]*)>(.*?)</REUTERS>", re.DOTALL)
_NUMBER = re.compile(r'\bNEWID="(\d+)"')
_TOPICS = re.compile(r"<TOPICS>(.*?)</TOPICS>", re.DOTALL)
_TOPIC = re.compile(r"<D>(.*?)</D>", re.DOTALL)
_TEXT = re.compile(r"<TEXT\b[^>]*>(.*?)</TEXT>", re.DOTALL)
_TITLE = re.compile(r"<TITLE>(.*?)</TITLE>", re.DOTALL)
_BODY = re.compile(r"<BODY>(.*?)</BODY>", re.DOTALL)


@dataclass(frozen=True)
class _Story:
    number: int
    topics: tuple[str, ...]
    title: str
    body: str


def _task(path: Path, stories: Iterable[_Story]) -> tuple[Part]:
    """Return the 46-topic task: the first topic of each story, without topics of fewer than 15 stories."""
    labelled = sorted((story for story in stories if story.topics), key=lambda story: story.number)
    counts = Counter(story.topics[0] for story in labelled)
    chosen = [story for story in labelled if counts[story.topics[0]] >= _FEWEST_STORIES]
    if not chosen:
        raise FileFormatError(f"path: {path} has no topic with {_FEWEST_STORIES} stories or more")
    if strange := sorted({story.topics[0] for story in chosen} - set(TOPICS)):
        raise FileFormatError(f"path: {path}: expected one of the 46 topics, got {strange[0]}")
    # Some stories are only a headline.
    return (([story.body or story.title for story in chosen], [story.topics[0] for story in chosen]),)


def _read_lines(files: Sequence[Path]) -> tuple[Part, ...]:
    return _task(files[0], _from_lines(files[0]))


def _from_lines(path: Path) -> Iterator[_Story]:
    table = read_table(path, ("id", "topics", "title", "body"))
    rows = zip(table["id"], table["topics"], table["title"], table["body"], strict=True)
    for row, (number, topics, title, body) in enumerate(rows, 1):
        texts = (title, body, *topics) if isinstance(topics, list) else (None,)
        if not isinstance(number, int) or not all(isinstance(text, str) for text in texts):
            raise FileFormatError(
                f"path: {path}, row {row}: expected id a number, topics a list of texts, title and body "
                f"texts, got {number!r}, {topics!r}, {title!r}, {body!r}"
            )
        yield _Story(number, tuple(topics), title, body)


def _read_archive(files: Sequence[Path]) -> tuple[Part, ...]:
    return _task(files[0], _from_archive(files[0]))


def _from_archive(path: Path) -> Iterator[_Story]:
    for found, content in archive_members(path, _SGML_NAME):
        # Latin-1: one name has an umlaut.
        for attributes, inside in _STORY.findall(content.decode("latin-1")):
            number = _NUMBER.search(attributes)
            if number is None:
                raise FileFormatError(f"path: {path}: a story in {found[0]} has no NEWID")
            text = _inside(_TEXT, inside)
            topics = tuple(html.unescape(topic) for topic in _TOPIC.findall(_inside(_TOPICS, inside)))
            # A story without markup is all body.
            body = _inside(_BODY, text) if "<BODY>" in text or "<TITLE>" in text else text
            yield _Story(int(number[1]), topics, _plain(_inside(_TITLE, text)), _plain(body))


def _inside(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""


def _plain(text: str) -> str:
    """Return a text without entities and control characters, such as the ETX that ends each story."""
    return "".join(c for c in html.unescape(text) if c >= " " or c in "\t\n").strip()


REUTERS = DataSet(
    "reuters",
    (
        Layout(("reuters21578.jsonl.xz",), _read_lines),
        Layout(("reuters21578.tar.gz",), _read_archive),
    ),
    (
        RemoteFile(
            "reuters21578.tar.gz",
            (
                "https://kdd.ics.uci.edu/databases/reuters21578/reuters21578.tar.gz",
                "https://archive.ics.uci.edu/ml/machine-learning-databases/reuters21578-mld/reuters21578.tar.gz",
            ),
            8_150_596,
            # As published with Hugging Face Datasets.
            "3bae43c9b14e387f76a61b6d82bf98a4fb5d3ef99ef7e7075ff2ccbcf59f9d30",
        ),
    ),
)
