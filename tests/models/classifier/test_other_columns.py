"""Texts joined with other columns of their table: what these become, and what they change."""

import csv
import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from nabi import TextClassifier, TextRegressor
from nabi.errors import ArgumentError, FileFormatError, UnknownNameError
from nabi.files import read_model_file, write_model_file
from nabi.models import OtherColumns, no_columns, predictor

WORDS = {"good": 1, "fine": 1, "bad": -1, "poor": -1}
TEXTS = [f"a {word} thing and {end}" for end in ("some", "more", "then", "so", "now") for word in WORDS] * 8
PRICES = [[5.0, 90.0, None][row // 4 % 2 if row % 37 else 2] for row in range(len(TEXTS))]
KINDS = [("book", "toy")[row // 8 % 2] for row in range(len(TEXTS))]
COLUMNS = {"price": PRICES, "kind": KINDS}


def sign(text: str, price: float | None) -> int:
    """What is cheap and good is bought, and what is dear and bad: neither says it alone."""
    return WORDS[text.split()[1]] * (1 if (price or 0) < 50 else -1)


@pytest.fixture(scope="module")
def classifier():
    labels = ["+" if sign(*row) > 0 else "-" for row in zip(TEXTS, PRICES, strict=True)]
    found = TextClassifier(units=8, embedding_size=8, epochs=12, learning_rate=0.03)
    found.fit(TEXTS, labels, columns=COLUMNS, verbose=0)
    return found


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """The same rows as a table, with numbers to estimate: in the text and in the columns."""
    path = tmp_path_factory.mktemp("columns") / "rows.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "number", "price", "kind"])
        for text, price, kind in zip(TEXTS, PRICES, KINDS, strict=True):
            number = WORDS[text.split()[1]] + (price or 0) / 30 + (kind == "toy")
            rows.writerow([text, number, "" if price is None else price, kind])
    return path


@pytest.fixture(scope="module")
def regressor(table):
    found = TextRegressor(units=4, embedding_size=4, epochs=2, learning_rate=0.02)
    found.fit(table, text="text", target="number", columns=["price", "kind"], verbose=0)
    return found


def test_a_label_that_text_and_column_say_only_together_is_learnt(classifier) -> None:
    cells = {"price": [5, 90, 5, 90], "kind": ["toy"] * 4}
    texts = ["a good thing and more"] * 2 + ["a bad thing and more"] * 2
    assert [one.label for one in classifier.predict(texts, columns=cells)] == ["+", "-", "-", "+"]
    beside = {one.name: one.accuracy for one in classifier.report.baselines}
    assert classifier.report.accuracy > 0.95 > beside["the columns alone"]
    assert "words and pairs of words, columns" in beside


def test_numbers_are_estimated_from_text_and_columns(regressor) -> None:
    texts, cells = ["a good thing and so"] * 3, {"kind": ["book", "toy", "book"], "price": [5, 5, "90"]}
    book, toy, dear = regressor.predict(texts, columns=cells)
    assert toy - book == pytest.approx(1, abs=0.2)
    assert dear - book == pytest.approx(85 / 30, abs=0.3)
    (alone,) = [one for one in regressor.report.baselines if one.name == "the columns alone"]
    assert regressor.report.rmse < alone.rmse


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_a_file_holds_the_columns_and_one_that_was_altered_is_refused(kind, request, tmp_path) -> None:
    model, path = request.getfixturevalue(kind), tmp_path / "m.nabi"
    cells = {name: values[:9] for name, values in COLUMNS.items()}
    model.save(path)
    again = type(model).load(path)
    assert again.other_columns.names == ("price", "kind")
    first, second = (one.predict(TEXTS[:9], columns=cells) for one in (model, again))
    assert np.array_equal(first, second) if kind == "regressor" else first == second
    file = read_model_file(path)
    for name, value in (("deviation", 0.0), ("deviation", math.nan), ("values", []), ("name", "kind")):
        header = {**file.header, kind: {**file.header[kind]}}
        first, *others = header[kind]["other_columns"]
        header[kind]["other_columns"] = [{**first, name: value}, *others]
        write_model_file(path, f"text {kind}", header, file.tensors)
        with pytest.raises(FileFormatError):
            type(model).load(path)
    header[kind]["other_columns"] = others
    write_model_file(path, f"text {kind}", header, file.tensors)
    with pytest.raises(FileFormatError):
        type(model).load(path)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (None, "columns: expected the columns price, kind for each text, got None"),
        ({"price": [1]}, "got no column 'kind'"),
        ({"price": [1], "kind": ["toy"], "day": [1]}, "got the column 'day'"),
        ({"price": ["dear"], "kind": ["toy"]}, "expected a finite number in the column 'price', got 'dear'"),
        ({"price": [1], "kind": [["toy"]]}, "expected a text or a number in the column 'kind'"),
        ({"price": [1, 2], "kind": ["toy"]}, r"columns\['price'\]: expected 1, one for each text, got 2"),
        (["price"], "expected a dictionary"),
    ],
)
def test_columns_that_are_not_those_of_the_training_are_refused(regressor, cells, said) -> None:
    with pytest.raises(ArgumentError, match=said):
        regressor.predict(["a good thing"], columns=cells)


def test_a_table_without_a_column_is_refused_with_its_name(regressor, table, tmp_path) -> None:
    lines = table.read_text().splitlines()
    assert regressor.evaluate(table).mae < 1
    path = tmp_path / "some.csv"
    path.write_text("\n".join(line.rpartition(",")[0] for line in lines))
    with pytest.raises(UnknownNameError, match="'kind'"):
        regressor.evaluate(path)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ([f"2024-01-{1 + row % 28:02d}" for row in range(160)], "'x' holds dates, such as '2024-01-01'"),
        ([f"name {row}" for row in range(160)], "'x' holds 160 different texts in 160 rows"),
        (["same"] * 160, "'x' holds 'same' in every row"),
        ([None] * 160, "'x' is empty in every row"),
    ],
)
def test_columns_of_which_nothing_can_be_learnt_are_refused_before_training(cells, said) -> None:
    with pytest.raises(ArgumentError, match=said):
        TextClassifier(units=2, epochs=1).fit(TEXTS, ["+", "-"] * 80, columns={"x": cells}, verbose=0)


@given(
    st.lists(st.none() | st.floats(-1e300, 1e300), min_size=3).filter(
        lambda cells: len({one for one in cells if one is not None}) > 1
    )
)
def test_numbers_are_finite_features_and_missing_ones_are_marked(cells) -> None:
    found = OtherColumns.learn({"x": cells}, []).features({"x": cells}, len(cells))
    assert found.shape == (len(cells), 2)
    assert np.isfinite(found).all()
    assert found[:, 1].tolist() == [float(cell is None) for cell in cells]
    assert not found[found[:, 1] == 1, 0].any()


def test_unknown_and_missing_categories_are_no_known_one() -> None:
    columns = OtherColumns.learn({"x": ["a", "a", 3, 3.0, "once", None]}, [])
    found = columns.features({"x": ["a", "3", 3.0, "new", "once", "", None]}, 7)
    assert found.tolist() == [[0, 1], [1, 0], [1, 0], [0, 0], [0, 0], [0, 0], [0, 0]]


def test_rows_of_tables_give_the_columns(classifier, regressor, tmp_path) -> None:
    rows = {"text": TEXTS[:3], "price": PRICES[:3], "kind": KINDS[:3]}
    cells = {name: rows[name] for name in COLUMNS}
    for model, name in ((classifier, "probability"), (regressor, "number")):
        model.save(tmp_path / "m.nabi")
        found = predictor(tmp_path / "m.nabi")(rows)[name]
        said = model.predict(TEXTS[:3], columns=cells)
        assert list(found) == pytest.approx([getattr(one, "probability", one) for one in said])


def test_what_has_no_place_for_columns_says_so(classifier) -> None:
    with pytest.raises(ArgumentError, match="it reads the columns price, kind of the table"):
        no_columns(classifier, "explained")
    with pytest.raises(ArgumentError, match="text, label, aspect, columns: expected different columns"):
        TextClassifier().fit("rows.csv", text="text", label="kind", columns=["kind"])
