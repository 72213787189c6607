"""The same collection through Keras' own load_data and Tokenizer, in its installed package.

Keras reads ranks that somebody counted from an .npz file; here they are counted as nabi counts them. What
Keras makes of them (start, unknown words, limits, order, split) is compared with what nabi makes of them.
"""

import itertools
import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nabi.data._data_sets import TOPICS, rank_words
from nabi.data._data_sets._coding import _words
from nabi.datasets import imdb, reuters

from .conftest import write_json_lines, write_reviews

SCRIPT = """
import json, sys
import numpy as np
from keras.src.datasets import imdb, reuters
from keras.src.legacy.preprocessing.text import Tokenizer

cases = json.load(open(folder + "/cases.json"))
module = {"imdb": imdb, "reuters": reuters}
for name in module:
    module[name].get_file = lambda fname, name=name, **unused: f"{folder}/{name}.npz"
found = []
for name, arguments in cases:
    try:
        parts = module[name].load_data(**arguments)
        found.append([[[list(map(int, row)) for row in x], list(map(int, y))] for x, y in parts])
    except ValueError:
        found.append(None)
tokenizer = Tokenizer()
tokenizer.fit_on_texts(json.load(open(folder + "/texts.json")))
labels = [list(reuters.get_label_names()), dict(tokenizer.word_counts)]
json.dump([found, labels], open(folder + "/found.json", "w"))
"""

VALUES: dict[str, list[Any]] = {
    "num_words": [None, 9, 25],
    "skip_top": [0, 1, 6],
    "maxlen": [None, 9, 2],
    "start_char": [1, None, 7],
    "oov_char": [2, None, 9],
    "index_from": [3, 0, 5],
    "seed": [113, 5],
}


def some_cases() -> list[tuple[str, dict[str, Any]]]:
    """Every pair of values of two arguments, and a hundred at random."""
    draw = random.Random(0)
    every: list[dict[str, Any]] = [{}]
    for (one, these), (other, those) in itertools.combinations(VALUES.items(), 2):
        every += [{one: this, other: that} for this in these for that in those]
    every += [{name: draw.choice(values) for name, values in VALUES.items()} for _ in range(100)]
    return [
        *(("imdb", case) for case in every),
        *(("reuters", case | {"test_split": draw.choice([0.2, 0.5, 0.33])}) for case in every),
    ]


def some_texts(count: int, draw: random.Random) -> list[str]:
    """Words of one to three letters, the first letters more often; marks between them."""
    letters = [f"{a}{b}" for a in "abcdef" for b in ["", "x", "yz"]] + ["isn't", "ÀB", "영화"]
    weights = [1 / (place + 1) for place in range(len(letters))]
    marks = [" ", ", ", "  ", "\n", "-", "<br />", "! "]

    def text() -> str:
        chosen = draw.choices(letters, weights, k=draw.randint(1, 14))
        return "".join(draw.choice([word, word.upper()]) + draw.choice(marks) for word in chosen)

    return [text() for _ in range(count)]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory, in_keras: Callable[..., bytes]) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("keras")
    draw = random.Random(1)
    reviews = [(draw.choice(["train", "test"]), draw.randint(0, 1), text) for text in some_texts(60, draw)]
    topics = ["earn", "acq", "gold"] * 17
    stories = [
        {"id": number, "topics": [topic], "title": "none", "body": text}
        for number, (topic, text) in enumerate(zip(topics, some_texts(51, draw), strict=True))
    ]
    paths = {
        "imdb": write_reviews(folder / "imdb.csv", reviews),
        "reuters": write_json_lines(folder / "reuters.jsonl", stories),
    }
    ranks = rank_words(text for split, _, text in reviews if split == "train")
    halves = {}
    for half in ("train", "test"):
        rows = [
            [ranks[word] for word in _words(text) if word in ranks]
            for split, _, text in reviews
            if split == half
        ]
        halves[f"x_{half}"] = objects(rows)
        halves[f"y_{half}"] = np.array([label for split, label, _ in reviews if split == half])
    np.savez(folder / "imdb.npz", **halves)
    ranks = rank_words(str(story["body"]) for story in stories)
    x = objects([[ranks[word] for word in _words(str(story["body"]))] for story in stories])
    y = np.array([TOPICS.index(topic) for topic in topics])
    np.savez(folder / "reuters.npz", x=x, y=y)

    (folder / "cases.json").write_text(json.dumps(some_cases()))
    (folder / "texts.json").write_text(json.dumps([text for _, _, text in reviews]))
    in_keras(f"folder = {str(folder)!r}\n{SCRIPT}")
    found, (names, counts) = json.loads((folder / "found.json").read_text())
    texts = [text for _, _, text in reviews]
    return {"paths": paths, "found": found, "names": names, "counts": counts, "texts": texts}


def objects(rows: list[list[int]]) -> Any:
    return np.fromiter(rows, dtype=object, count=len(rows))


def test_load_data(samples: dict[str, Any]) -> None:
    kinds = {None: 0, "same": 0}
    for (name, arguments), expected in zip(some_cases(), samples["found"], strict=True):
        load = {"imdb": imdb.load_data, "reuters": reuters.load_data}[name]
        path = samples["paths"][name]
        if expected is None or not any(x for x, _ in expected):
            kinds[None] += 1
            with pytest.raises(ValueError, match="maxlen"):
                load(path, **arguments)
            continue
        if not arguments.get("num_words"):
            # Keras takes the largest code for the limit, so that the rarest word is lost; nabi keeps it.
            whole = load(path, **arguments | {"num_words": None, "skip_top": 0, "oov_char": None})
            arguments = arguments | {"num_words": max(max(row, default=0) for x, _ in whole for row in x)}
        found = [[x.tolist(), y.tolist()] for x, y in load(path, **arguments)]
        assert found == expected, f"{name} {arguments}"
        kinds["same"] += 1
    assert min(kinds.values()) > 20, "both kinds of cases are among them"


def test_words_and_how_often(samples: dict[str, Any]) -> None:
    ranks = rank_words(samples["texts"])
    counts = samples["counts"]
    assert set(ranks) == set(counts)
    assert [counts[word] for word in ranks] == sorted(counts.values(), reverse=True)


def test_topics(samples: dict[str, Any]) -> None:
    assert samples["names"] == list(TOPICS)
