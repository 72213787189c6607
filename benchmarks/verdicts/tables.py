"""Tables such as people have, made from the data sets: short texts, many labels, rare labels, aspects."""

import csv
import json
import lzma
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["TABLES", "Made", "write_tables"]

Row = tuple[str, ...]
Parts = dict[str, list[Row]]
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_CLAUSE = re.compile(r"[.,;:]\s+|\s--\s|\n\n")
PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Made:
    """A table: what it holds, its columns, and what `nabi train` is told of them."""

    what: str
    columns: Row
    make: Callable[[Path], Parts]
    options: Row = ("--text", "text", "--label", "label")


def write_tables(name: str, data: Path, folder: Path) -> dict[str, Path]:
    """Write the three parts of a table as .csv files, if they are not there yet; return their paths."""
    paths = {part: folder / f"{name}-{part}.csv" for part in PARTS}
    if not all(path.exists() for path in paths.values()):
        folder.mkdir(parents=True, exist_ok=True)
        for part, rows in TABLES[name].make(data).items():
            with open(paths[part], "w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([TABLES[name].columns, *rows])
    return paths


# Reviews ----------------------------------------------------------------------------------------------------


def _rows(path: Path) -> Iterator[dict[str, str]]:
    opener: Any = lzma.open if path.suffix == ".xz" else open
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _snippet(text: str) -> str:
    """Return the last sentence of a review that has 6 to 30 words, or nothing."""
    for sentence in reversed(_SENTENCE.split(text.replace("<br />", " "))):
        if 6 <= len(sentence.split()) <= 30:
            return " ".join(sentence.split())
    return ""


def _snippets(data: Path) -> Parts:
    """Like film snippets: one sentence, which has to do for the whole review."""
    found: Parts = {"train": [], "test": []}
    for row in _rows(data / "text/imdb.csv.xz"):
        if sentence := _snippet(row["text"]):
            found[row["split"]].append((sentence, "positive" if row["label"] == "1" else "negative"))
    return {
        "train": found["train"][:9000],
        "validation": found["train"][9000:11000],
        "test": found["test"][:4000],
    }


def _korean(data: Path) -> Parts:
    found: Parts = {"train": [], "test": []}
    for row in _rows(data / "text/nsmc_sample.csv.xz"):
        if row["text"].strip():
            found[row["split"]].append((row["text"], "positive" if row["label"] == "1" else "negative"))
    return {
        "train": found["train"][:12000],
        "validation": found["train"][12000:14000],
        "test": found["test"][:4000],
    }


def _posts(data: Path) -> Parts:
    names = ("Constraint_Train", "Constraint_Val", "english_test_with_labels")
    return {
        part: [(row["tweet"], row["label"]) for row in _rows(data / f"text/covid_fake_news_{name}.csv")]
        for part, name in zip(PARTS, names, strict=True)
    }


# Stories ----------------------------------------------------------------------------------------------------


def _stories(data: Path) -> list[dict[str, Any]]:
    """Return the stories with a topic, in an order of their own."""
    with lzma.open(data / "text/reuters21578.jsonl.xz", "rt", encoding="utf-8") as file:
        found = [story for line in file if (story := json.loads(line))["topics"]]
    return [found[place] for place in np.random.default_rng(0).permutation(len(found))]


def _usual(stories: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those of the 46 topics with at least 15 stories."""
    counts = Counter(story["topics"][0] for story in stories)
    return [story for story in stories if counts[story["topics"][0]] >= 15]


def _beginning(story: dict[str, Any], words: int) -> str:
    return " ".join(f"{story['title']} {story['body']}".split()[:words])


def _cut(rows: list[Any]) -> dict[str, list[Any]]:
    """Divide: seven tenths, a tenth, two tenths."""
    first, second = int(0.7 * len(rows)), int(0.8 * len(rows))
    return {"train": rows[:first], "validation": rows[first:second], "test": rows[second:]}


def _titles(data: Path) -> Parts:
    return _cut([(story["title"], story["topics"][0]) for story in _usual(_stories(data)) if story["title"]])


def _clauses(data: Path) -> Parts:
    """Each part of a sentence says what its story is about; the stories are divided, not the clauses."""
    parts = _cut(_usual(_stories(data)))
    found: Parts = {}
    for part, stories in parts.items():
        found[part] = [
            (" ".join(clause.split()), story["topics"][0])
            for story in stories
            for clause in _CLAUSE.split(story["body"])
            if 4 <= len(clause.split()) <= 14
        ]
        order = np.random.default_rng(1).permutation(len(found[part]))
        found[part] = [found[part][place] for place in order]
    return {"train": found["train"], "validation": found["validation"][:6000], "test": found["test"][:12000]}


def _rare(data: Path) -> Parts:
    """One story of fifty is about ships."""
    parts = _cut(_stories(data))
    found: Parts = {}
    for part, stories in parts.items():
        yes = [story for story in stories if "ship" in story["topics"]]
        no = [story for story in stories if "ship" not in story["topics"]][: 49 * len(yes)]
        yes = yes[: len(no) // 49]
        rows = [(_beginning(story, 25), "yes") for story in yes] + [
            (_beginning(story, 25), "no") for story in no
        ]
        found[part] = [rows[place] for place in np.random.default_rng(2).permutation(len(rows))]
    return found


def _aspects(data: Path) -> Parts:
    """Whether a story is mainly, also or not about a topic; the topics asked for are often confused."""
    near = (
        ("grain", "wheat", "corn", "oilseed", "soybean", "veg-oil"), ("crude", "ship", "nat-gas", "gas"),
        ("money-fx", "dlr", "interest", "money-supply"), ("trade", "bop", "gnp", "cpi"),
        ("coffee", "sugar", "cocoa", "cotton"), ("acq", "earn"),
    )  # fmt: skip
    found: Parts = {}
    for part, stories in _cut(_stories(data)).items():
        rows: list[Row] = []
        for number, story in enumerate(stories):
            group = next((group for group in near if story["topics"][0] in group), None)
            if group is None or number % (6 if group == near[-1] else 2):
                continue
            others = [topic for topic in group if topic not in story["topics"]]
            asked = [*(topic for topic in group if topic in story["topics"]), *others[:2]]
            for topic in asked:
                label = (
                    "main" if topic == story["topics"][0] else "also" if topic in story["topics"] else "no"
                )
                rows.append((_beginning(story, 25), topic, label))
        found[part] = rows
    return found


def _several(data: Path) -> Parts:
    """All topics of a story that 50 stories have; the published division of the stories."""
    stories = _stories(data)
    counts = Counter(topic for story in stories for topic in story["topics"])
    rows: Parts = {"TRAIN": [], "TEST": [], "NOT-USED": []}
    for story in stories:
        kept = [topic for topic in story["topics"] if counts[topic] >= 50]
        if kept:
            rows[story["lewis_split"]].append((_beginning(story, 40), ";".join(kept)))
    train = rows["TRAIN"]
    return {
        "train": train[: len(train) * 7 // 8],
        "validation": train[len(train) * 7 // 8 :],
        "test": rows["TEST"],
    }


TABLES = {
    "snippets": Made("sentences of film reviews", ("text", "label"), _snippets),
    "korean": Made("Korean film reviews, one line each", ("text", "label"), _korean),
    "posts": Made("posts about COVID-19", ("text", "label"), _posts),
    "titles": Made("titles of newswire stories", ("text", "label"), _titles),
    "clauses": Made("clauses of newswire stories", ("text", "label"), _clauses),
    "rare": Made("one story in fifty is about ships", ("text", "label"), _rare),
    "aspects": Made(
        "whether a story is mainly, also or not about a topic",
        ("text", "topic", "label"),
        _aspects,
        ("--text", "text", "--label", "label", "--aspect", "topic"),
    ),
    "several": Made(
        "all topics of a story",
        ("text", "label"),
        _several,
        ("--text", "text", "--label", "label", "--label-separator", ";"),
    ),
}
