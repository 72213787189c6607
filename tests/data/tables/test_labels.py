import json

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from nabi.data import Labels
from nabi.errors import ArgumentError, FileFormatError, ShapeError, UnknownNameError


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["b", "a", "b"], ("a", "b")),
        (["10", "9", "2"], ("2", "9", "10")),
        ([10, 9.0, 2], ("2", "9", "10")),
        (["x", "10", "-1.5", "nan"], ("-1.5", "10", "nan", "x")),
        ([True, False], ("False", "True")),
        ([0.5, 0.25], ("0.25", "0.5")),
        (["a ", " a", "b"], ("a", "b")),
        (np.array([3, 1]), ("1", "3")),
        ([np.int64(3), np.float32(0.5)], ("0.5", "3")),
        (torch.tensor([3, 1]), ("1", "3")),
        (iter(["긍정", "부정"]), ("긍정", "부정")),
    ],
)
def test_names_are_sorted(values, names):
    assert Labels.learn(values).names == names


def test_a_number_and_its_text_are_the_same_label():
    labels = Labels.learn([0, 1.0])
    assert labels.encode(["1", 0, 1, np.float64(0)]).tolist() == [1, 0, 1, 0]


@given(st.lists(st.one_of(st.text(min_size=1), st.integers(), st.booleans(), st.floats(allow_nan=False))))
def test_what_was_learnt_is_encoded_and_decoded(values):
    values = [value for value in values if not isinstance(value, str) or value.strip()]
    values += ["one", "two"]
    labels = Labels.learn(values)
    again = Labels.from_dict(json.loads(json.dumps(labels.to_dict())))
    assert (again.names, again.several, again.separator) == (labels.names, False, None)
    codes = again.encode(values)
    assert codes.dtype == np.int64
    decoded = again.decode(np.eye(len(again))[codes])
    assert labels.encode(decoded).tolist() == codes.tolist()
    assert set(codes.tolist()) == set(range(len(labels)))


def test_several_labels():
    labels = Labels.learn([["tea", "milk"], [], ("sugar",)], several=True)
    assert labels.names == ("milk", "sugar", "tea")
    encoded = labels.encode([["tea", "sugar", "tea"], []])
    assert encoded.tolist() == [[0, 1, 1], [0, 0, 0]]
    assert encoded.dtype == np.float32
    assert labels.decode([[0.2, 0.5, 0.9], [0, 0, 0]]) == [("sugar", "tea"), ()]
    assert labels.decode(torch.tensor([[0.2, 0.5, 0.9]]), threshold=0.6) == [("tea",)]


def test_several_labels_in_one_text():
    labels = Labels.learn(["tea, milk", "", " sugar ,"], several=True, separator=",")
    assert labels.names == ("milk", "sugar", "tea")
    again = Labels.from_dict(json.loads(json.dumps(labels.to_dict())))
    assert again.encode(["sugar,tea", ["milk"], ""]).tolist() == [[0, 1, 1], [1, 0, 0], [0, 0, 0]]


def test_columns_are_labels():
    columns = {"threat": ["0", "1", "0"], "rude": [True, 1.0, 0]}
    labels = Labels.from_columns(columns)
    assert labels.names == ("threat", "rude")
    assert labels.several
    assert labels.encode({"rude": [0], "threat": [1]}).tolist() == [[1, 0]]
    assert labels.encode(columns).tolist() == [[0, 1], [1, 1], [0, 0]]


def test_probabilities_of_two_classes():
    labels = Labels(["bad", "good"])
    for outputs in ([0.2, 0.5], [[0.2], [0.5]], [[0.8, 0.2], [0.4, 0.6]]):
        assert labels.decode(outputs) == ["bad", "good"]
    assert labels.decode([0.6], threshold=0.7) == ["bad"]
    assert labels.decode(np.empty((0, 2))) == []


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (["a", "a"], {}, "expected at least two classes, got only 'a'"),
        ([], {}, "expected at least two classes, got none"),
        ([[], []], {"several": True}, "labels: expected at least two classes, got none"),
        (["a", None, "b"], {}, r"values\[1\]: the label is missing \(None\)"),
        (["a", "b", " "], {}, r"values\[2\]: the label is missing \(''\)"),
        ([0.0, float("nan")], {}, r"values\[1\]: the label is missing \(nan\)"),
        ([["a"], None], {"several": True}, r"values\[1\]: the label is missing"),
        ([["a"], ["b", None]], {"several": True}, r"values\[1\]\[1\]: the label is missing"),
        (["a b"], {"several": True}, r"values\[0\]: expected a list, or separator= .*, got 'a b'"),
        ([["a", "b"]], {}, r"values\[0\]: expected a text or a number, got list"),
        ([b"a", b"b"], {}, r"values\[0\]: expected a text or a number, got bytes"),
        ("ab", {}, "values: expected a list, got 'ab'"),
        (3, {}, "values: expected a list, got 3"),
        (np.array(3), {}, r"values: expected a list, got array\(3\)"),
        (["a", "b"], {"separator": ","}, "separator: expected a text, with several=True, got ','"),
        (
            ["a", "b"],
            {"several": True, "separator": ""},
            "separator: expected a text, with several=True, got ''",
        ),
    ],
)
def test_errors_of_learning(values, options, message):
    with pytest.raises(ArgumentError, match=message):
        Labels.learn(values, **options)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "columns: expected names with values of 0 and 1, got {}"),
        (["a"], "columns: "),
        ({"a": [0, 2]}, r"a\[1\]: expected 0 or 1, got '2'"),
        ({"a": [0, None]}, r"a\[1\]: the label is missing"),
        ({"a": [0], "b": [0, 1]}, "different lengths"),
    ],
)
def test_errors_of_columns(columns, message):
    with pytest.raises(ArgumentError, match=message):
        Labels.from_columns(columns)


def test_errors_of_encoding():
    labels, several = Labels(["bad", "good"]), Labels(["milk", "tea"], several=True)
    with pytest.raises(UnknownNameError, match=r"values\[1\]: 'goood' .* did you mean 'good'"):
        labels.encode(["bad", "goood"])
    with pytest.raises(UnknownNameError, match=r"values\[0\]: 'tee'"):
        several.encode([["milk", "tee"]])
    with pytest.raises(UnknownNameError, match="values: 'tee'"):
        several.encode({"milk": [0], "tee": [1]})
    with pytest.raises(ArgumentError, match="the column 'tea' is missing"):
        several.encode({"milk": [0]})
    with pytest.raises(ArgumentError, match="several=True"):
        labels.encode({"bad": [0], "good": [1]})
    with pytest.raises(ArgumentError, match="each once"):
        Labels(["a", "a"])


@pytest.mark.parametrize("shape", [(2,), (2, 2), (2, 3, 1), ()])
def test_probabilities_of_another_shape(shape):
    with pytest.raises(ShapeError, match=r"expected the shape \[N, 3\], got"):
        Labels(["a", "b", "c"]).decode(np.zeros(shape))


@pytest.mark.parametrize(
    "damage",
    [
        {"layout": 9},
        {"names": None},
        {"names": ["a"]},
        {"names": ["a", "a"]},
        {"names": ["a", 1]},
        {"names": [["a"], "b"]},
        {"several": 1},
        {"separator": ","},
        {"separator": 1},
    ],
)
def test_a_damaged_description_is_refused(damage):
    with pytest.raises(FileFormatError, match="labels: "):
        Labels.from_dict({**Labels(["a", "b"]).to_dict(), **damage})


@pytest.mark.parametrize("described", [None, [], {}])
def test_what_is_no_description_is_refused(described):
    with pytest.raises(FileFormatError, match="labels: "):
        Labels.from_dict(described)
