"""The real data sets, where NABI_DATA names their folder."""

from collections import Counter
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import pytest

from nabi.datasets import fake_news, imdb, nsmc, reuters


def once(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that calls another once, whatever it is called with, and gives that result again."""
    results: list[Any] = []

    def answer(*arguments: Any) -> Any:
        if not results:
            results.append(function(*arguments))
        return results[0]

    return answer


pytestmark = pytest.mark.usefixtures("real_data")


def test_reuters_texts() -> None:
    (texts, labels), (test_texts, test_labels) = reuters.load_texts()
    counts = Counter(labels + test_labels)
    assert (len(texts), len(test_texts), len(counts)) == (8982, 2246, 46)
    assert (counts["earn"], counts["acq"]) == (3972, 2423)
    assert set(counts) == set(reuters.get_label_names())


def test_reuters_arrays() -> None:
    """Topics are where they are in Keras' arrays, whose first and last ones many printed."""
    (x, y), (x_test, _) = reuters.load_data(num_words=1000)
    assert (len(x), len(x_test)) == (8982, 2246)
    assert [*y[:3], *y[-3:]] == [3, 4, 3, 25, 3, 25]
    codes = Counter(chain.from_iterable(chain(x, x_test)))
    assert set(codes) == {1, 2, *range(4, 1000)}
    assert codes[1] == 11_228
    index = reuters.get_word_index()
    assert [word for word, rank in index.items() if rank <= 5] == ["the", "of", "to", "in", "said"]
    assert codes[4] > codes[5] > codes[6]
    text = "mcgrath rentcorp said as a result of its december acquisition of space co it expects"
    words = {rank + 3: word for word, rank in index.items()}
    (whole, _), _ = reuters.load_data()
    assert " ".join(words[code] for code in whole[0][1:16]) == text
    assert x[0] == [code if code < 1000 else 2 for code in whole[0]]


@pytest.mark.rotates(days=4)
def test_imdb(monkeypatch: pytest.MonkeyPatch) -> None:
    # The file is read and its words are ranked once, not by each of the functions.
    for module, name in ((imdb, "read_parts"), (imdb, "rank_words")):
        monkeypatch.setattr(module, name, once(getattr(module, name)))
    parts = imdb.load_texts()
    for part in parts:
        assert Counter(part[1]) == {"negative": 12_500, "positive": 12_500}
    (x, y), (x_test, y_test) = imdb.load_data(num_words=5000, skip_top=20, maxlen=200)
    assert 10_000 < len(x) == len(y) < 25_000
    assert max(map(len, chain(x, x_test))) == 199
    assert set(chain.from_iterable(chain(x, x_test))) == {2, *range(20, 5000)}, "2 for the start as well"
    assert set(np.concatenate([y, y_test])) == {0, 1}
    index = imdb.get_word_index()
    assert list(index)[:4] == ["the", "and", "a", "of"]
    assert 88_000 < len(index) < 89_000, "the words of the training reviews"


def test_fake_news() -> None:
    training, validation, test = fake_news.load_texts()
    assert [len(part[0]) for part in (training, validation, test)] == [6420, 2140, 2140]
    assert Counter(training[1]) == {"real": 3360, "fake": 3060}
    arrays = fake_news.load_data(num_words=2000)
    assert [(len(x), int(y.sum())) for x, y in arrays] == [(6420, 3360), (2140, 1120), (2140, 1120)]
    assert max(map(max, arrays[2][0])) < 2000


def test_nsmc() -> None:
    (texts, labels), (test_texts, test_labels) = nsmc.load_texts()
    assert len(texts) + len(test_texts) in (40_000, 200_000)
    assert set(labels) == set(test_labels) == {"negative", "positive"}
    assert any("\uac00" <= character <= "\ud7a3" for character in texts[0])
    (x, _), (x_test, _) = nsmc.load_data(num_words=3000)
    assert (len(x), len(x_test)) == (len(texts), len(test_texts))
    assert max(map(max, x)) == 2999
