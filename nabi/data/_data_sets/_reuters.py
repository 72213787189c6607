"""Reuters-21578: newswire stories of 1987 and their topics."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nabi.data._data_sets._files import open_text
from nabi.data._data_sets._sources import DataSet, Layout, Part

__all__ = ["REUTERS", "TOPICS"]

# In the order in which they first occur, which is that of Keras' get_label_names().
TOPICS = (
    *("cocoa", "grain", "veg-oil", "earn", "acq", "wheat", "copper", "housing", "money-supply", "coffee"),
    *("sugar", "trade", "reserves", "ship", "cotton", "carcass", "crude", "nat-gas", "cpi", "money-fx"),
    *("interest", "gnp", "meal-feed", "alum", "oilseed", "gold", "tin", "strategic-metal", "livestock"),
    *("retail", "ipi", "iron-steel", "rubber", "heat", "jobs", "lei", "bop", "zinc", "orange", "pet-chem"),
    *("dlr", "gas", "silver", "wpi", "hog", "lead"),
)
_FEWEST_STORIES = 15


@dataclass(frozen=True)
class _Story:
    topics: tuple[str, ...]
    title: str
    body: str


def _labelled(stories: Iterable[_Story]) -> Part:
    """The 46-topic task: each story's first topic, topics with 15 stories or more."""
    chosen = [story for story in stories if story.topics]
    counts = Counter(story.topics[0] for story in chosen)
    chosen = [story for story in chosen if counts[story.topics[0]] >= _FEWEST_STORIES]
    # Some stories are a headline and nothing else.
    return [story.body or story.title for story in chosen], [story.topics[0] for story in chosen]


def _read_json_lines(files: Sequence[Path]) -> tuple[Part, ...]:
    return (_labelled(_json_stories(files[0])),)


def _json_stories(path: Path) -> Iterator[_Story]:
    with open_text(path) as file:
        for line in file:
            story = json.loads(line)
            yield _Story(tuple(story["topics"]), story["title"], story["body"])


REUTERS = DataSet("reuters", (Layout(("reuters21578.jsonl.xz",), _read_json_lines),))
