"""What a vocabulary refuses, and how it goes into files and to other processes."""

import pickle

import pytest

from nabi.data import Vocabulary
from nabi.errors import ArgumentError, FileFormatError, UnknownNameError

UNITS = ("words", "characters", "pieces", "subwords")
TEXTS = [
    "The film wasn't good, but the film's music was good.",
    "A good film! A GOOD film!",
]


def test_no_texts_give_no_codes():
    assert Vocabulary.learn(TEXTS).encode([]) == []


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        ([], {}, "to learn from, got none"),
        ([" ", "\n"], {}, "to learn from, got 2 empty ones"),
        (["", ""], {"unit": "characters"}, "to learn from, got 2 empty ones"),
        ("one text", {}, "texts: expected a list of texts, got 'one text'"),
        (None, {}, "texts: expected a list of texts, got None"),
        (["a", None], {}, r"texts\[1\]: expected a text, got None"),
        (["a", b"b"], {}, r"texts\[1\]: expected a text, got b'b'"),
        (["a"], {"size": 4}, "size: expected a whole number of at least 5 or None, got 4"),
        (["a"], {"size": 5, "unit": "pieces"}, "size: expected a whole number of at least 6 or None, got 5"),
        (["a"], {"size": 1e4}, r"size: expected a whole number of at least 5 or None, got 10000\.0"),
        (["a"], {"minimum_count": 0}, "minimum_count: expected a whole number of at least 1, got 0"),
        (["a"], {"minimum_count": 2}, "minimum_count: expected a count that occurs, got 2"),
        (["a"], {"minimum_count": 2, "unit": "pieces"}, "minimum_count: expected a count that occurs, got 2"),
        (
            ["a"],
            {"minimum_count": 2, "unit": "subwords"},
            "minimum_count: expected a count that occurs, got 2",
        ),
        (
            ["a"],
            {"size": 5, "unit": "subwords"},
            "size: expected a whole number of at least 6 or None, got 5",
        ),
    ],
)
def test_errors_of_learning(texts, options, message):
    with pytest.raises(ArgumentError, match=message):
        Vocabulary.learn(texts, **options)


def test_errors_of_encoding():
    vocabulary = Vocabulary.learn(["a b"])
    with pytest.raises(UnknownNameError, match="unit: 'word' is not known; did you mean 'words'"):
        Vocabulary.learn(["a"], "word")
    with pytest.raises(UnknownNameError, match="truncating"):
        vocabulary.encode(["a"], truncating="left")
    for argument, call in {
        "texts: expected a list of texts, got 'a'": lambda: vocabulary.encode("a"),
        r"texts\[1\]: expected a text, got 3": lambda: vocabulary.encode(["a", 3]),
        "maxlen: expected .*, got 0": lambda: vocabulary.encode(["a"], maxlen=0),
        "first: expected 2 texts, as many as texts, got 1": lambda: vocabulary.encode(
            ["a", "b"], first=["a"]
        ),
        "text: expected a text, got None": lambda: vocabulary.tokens(None),
        r"codes\[1\]: expected a whole number from 0 to 5, got 6": lambda: vocabulary.decode([4, 6]),
        r"codes\[0\]: expected .*, got -1": lambda: vocabulary.decode([-1]),
    }.items():
        with pytest.raises(ArgumentError, match=argument):
            call()


@pytest.mark.parametrize(
    ("unit", "damage"),
    [
        ("words", {"layout": 2}),
        ("words", {"unit": "letters"}),
        ("words", {"unit": None}),
        ("words", {"lowercase": "yes"}),
        ("words", {"words": None}),
        ("words", {"words": ["a", "a"]}),
        ("words", {"words": ["[start]"]}),
        ("words", {"words": ["a", 3]}),
        ("words", {"words": ["\ud800"]}),
        ("words", {"merges": [["a", "##b"]]}),
        ("words", {"merges": None}),
        ("characters", {"words": ["ab"]}),
        ("characters", {"words": [""]}),
        ("subwords", {"merges": [["a", "##b"]]}),
        ("subwords", {"words": ["▁", "a"], "merges": [["▁", "a"]]}),
        ("pieces", {"merges": [["a"]]}),
        ("pieces", {"merges": [["a", "b"]]}),
        ("pieces", {"merges": [["a", "##b"]]}),
        ("pieces", {"merges": [["f", 1]]}),
        ("pieces", {"words": ["a", "##b"], "merges": [["a", "##b"]]}),
        ("pieces", {"words": ["a", "#é", "é"], "merges": [["a", "#é"]]}),
    ],
)
def test_a_damaged_description_is_refused(unit, damage):
    described = Vocabulary.learn(TEXTS, unit).to_dict()
    with pytest.raises(FileFormatError, match="vocabulary: "):
        Vocabulary.from_dict({**described, **damage})


@pytest.mark.parametrize("described", [None, [], "words", {}])
def test_what_is_no_description_is_refused(described):
    with pytest.raises(FileFormatError, match="vocabulary: "):
        Vocabulary.from_dict(described)


def test_its_name_says_what_it_is():
    assert repr(Vocabulary.learn(["a b"])) == "Vocabulary(6 words, lowercase=True)"


@pytest.mark.parametrize("unit", UNITS)
def test_it_goes_to_another_process(unit):
    vocabulary = Vocabulary.learn(TEXTS, unit)
    assert (
        pickle.loads(pickle.dumps(vocabulary)).encode(TEXTS)[0].tolist()
        == vocabulary.encode(TEXTS)[0].tolist()
    )
