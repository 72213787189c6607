"""What a text classifier learns from: tables and lists, and everything that can be wrong with them."""

import gzip
import json

import numpy as np
import pytest

from nabi.errors import ArgumentError, FileFormatError, MissingFileError, UnknownNameError
from nabi.models import TextClassifier

SMALL = {"units": 4, "embedding_size": 6, "epochs": 2, "learning_rate": 0.03, "batch_size": 16}


@pytest.fixture(autouse=True)
def _nothing_is_trained_before_an_error(monkeypatch, request):
    """Where a test expects an error, the network must not even have been made."""
    if "refused" in request.node.name:
        from nabi.models._classifier import _training as _text_training

        def never(*arguments):
            raise AssertionError("training has begun")

        monkeypatch.setattr(_text_training, "build_network", never)


def csv(path, rows, header="text,label"):
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def table(reviews, tmp_path):
    rows = [f"{number},{text},{label}" for number, (text, label) in enumerate(zip(*reviews, strict=True))]
    return csv(tmp_path / "reviews.csv", rows, "id,text,label")


def fit(source, *arguments, **options):
    classifier = TextClassifier(**SMALL)
    classifier.fit(source, *arguments, **{"verbose": 0, **options})
    return classifier


# Where rows come from ---------------------------------------------------------------------------------------


def test_a_table_and_lists_are_the_same(table, reviews):
    from_table = fit(table, text="text", label="label")
    from_lists = fit(*reviews)
    assert from_table.report == from_lists.report
    assert np.array_equal(from_table.probabilities(["film"]), from_lists.probabilities(["film"]))
    assert from_table.evaluate(table) == from_lists.evaluate(*reviews)


def test_compressed_json_lines_and_numpy_arrays(reviews, tmp_path):
    path = tmp_path / "reviews.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for text, label in zip(*reviews, strict=True):
            file.write(json.dumps({"label": int(label == "good"), "text": text}) + "\n")
    classifier = fit(path, text="text", label="label")
    assert classifier.labels.names == ("0", "1")
    same = fit(np.array(reviews[0]), np.array([label == "good" for label in reviews[1]]).astype(float))
    assert same.labels.names == ("0", "1")
    assert same.report == classifier.report


def test_parts_that_are_given(table, reviews, tmp_path):
    rows = [f"{text},{label}" for text, label in zip(*reviews, strict=True)]
    validation = csv(tmp_path / "validation.csv", rows[:50])
    test = csv(tmp_path / "test.csv", rows[50:90])
    classifier = fit(table, text="text", label="label", validation=validation, test=test)
    assert (classifier.report.rows, classifier.validation_report.rows) == (40, 50)
    assert any("40 of the 40 test rows have a text that is trained on too" in x for x in classifier.notes)
    lists = fit(*reviews, validation=(reviews[0][:50], reviews[1][:50]), test_share=0.2)
    assert (lists.report.rows, lists.validation_report.rows) == (60, 50)
    assert fit(*reviews, test_share=0.0).report.part == "validation rows"
    without = fit(*reviews, validation_share=0.0)
    assert without.validation_report is None
    assert len(without.history["loss"]) == 2


def test_every_label_has_its_share_in_every_part():
    texts = [f"word{number % 7} and word{number % 5}" for number in range(200)]
    classifier = fit(texts, ["rare" if number % 20 == 0 else "usual" for number in range(200)])
    counts = {figures.label: figures.rows for figures in classifier.report.by_label}
    assert counts == {"rare": 1, "usual": 19}
    assert classifier.shares.tolist() == [pytest.approx(0.05), pytest.approx(0.95)]


def test_rare_labels_count_as_much_with_balanced_weights():
    texts, labels = [], []
    for number in range(200):
        rare = number % 10 == 0
        texts.append("a film " + ("odd" if rare or number % 3 == 0 else "plain"))
        labels.append("rare" if rare else "usual")
    found = {}
    for weight in (None, "balanced"):
        classifier = TextClassifier(**SMALL | {"epochs": 15}, class_weight=weight)
        classifier.fit(texts, labels, verbose=0)
        found[weight] = classifier.predict(["a film odd"])[0]
    # 20 of 74 "odd" rows are rare; weighed, they are 20 · 5 against 54 · 5/9.
    assert found[None].label == "usual"
    assert found["balanced"].label == "rare"


# What is left out, and said ---------------------------------------------------------------------------------


def test_rows_without_text_or_label_are_left_out_and_counted(reviews, capsys):
    texts, labels = [*reviews[0], "", "   ", None, float("nan"), "a film", "a film"], [*reviews[1]]
    labels += ["good", "good", "good", "good", "", None]
    classifier = fit(texts, labels, verbose=2)
    assert classifier.notes[:2] == (
        "2 rows without label are left out",
        "4 rows without text are left out",
    )
    assert "4 rows without text are left out\n" in capsys.readouterr().out
    assert classifier.evaluate(texts, labels).rows == 300


def test_a_label_that_is_seen_once_stays_in_training_and_is_named(reviews):
    classifier = fit([*reviews[0], "such a scene"], [*reviews[1], "ugly"])
    assert "1 label is seen once and cannot be tested, the row stays in training: ugly" in classifier.notes
    assert classifier.labels.names == ("bad", "good", "ugly")
    assert [figures.rows for figures in classifier.report.by_label] == [15, 15, 0]
    assert classifier.shares[2] > 0


# What is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"text": "text", "label": "lable"},
            "'lable' is not known; did you mean 'label'. Known are: id, label",
        ),
        ({"text": "txt", "label": "label"}, "'txt' is not known; did you mean 'text'"),
        ({"text": "text", "label": "text"}, "expected different columns"),
        ({"text": "text", "label": "label", "aspect": "topic"}, "'topic' is not known"),
        (
            {"text": "text", "label": "id"},
            "300 different labels in 300 rows, such as .* not look like a column of labels",
        ),
        (
            {"text": "text", "label": ["label", "id"]},
            "expected 0 or 1 in each of several columns, got 'bad' in label, row 1 of",
        ),
        ({"text": "text"}, "label: expected the column of a table"),
        ({"label": "label"}, "is taken as the path of a table; give text="),
        ({"text": "text", "label": "label", "labels": ["a"]}, "labels: expected None for a table"),
        ({"text": "text", "label": "label", "separator": ";"}, "columns: 'text' is not known"),
        (
            {"text": "text", "label": "label", "encoding": "utf8x"},
            "encoding: expected a text encoding such as 'utf-8', got 'utf8x'",
        ),
        ({"text": "text", "label": "label", "test_share": 1}, "test_share: expected a rate of at least 0"),
        ({"text": "text", "label": "label", "test_share": 0.9}, "leave no rows to train on"),
        (
            {"text": "text", "label": "label", "test_share": 0, "validation_share": 0},
            "one of them must be above",
        ),
        ({"text": "text", "label": "label", "test": (["a"], ["so so"])}, "test: it has the label 'so so'"),
        ({"text": "text", "label": "label", "test": "none.csv"}, "there is no file none.csv"),
        ({"text": "text", "label": "label", "test": ["a"]}, "test: expected the path of a table"),
    ],
)
def test_refused_options(table, options, message):
    with pytest.raises((ArgumentError, MissingFileError), match=message):
        fit(table, **options)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a header and rows, got an empty file"),
        (b"text,label\n", "has a header but no rows"),
        (b"text,label\n,a\n ,b\n", "all 2 rows are without text"),
        (b"text,label\nx,\ny,\n", "all 2 rows are without label"),
        (b"text,label\n" + b"a film,good\n" * 20, "expected at least two different labels, got only 'good'"),
        (b"text,label\na,x\nb,y\n", "not look like a column of labels"),
        (b"text,label\na,x\nb,y\nc,x\nd,x\n", "at least two labels that occur twice .* seen once: y"),
        ("text,label\ncafé,a\nthé,b\n".encode("latin-1"), r"line 2: byte 15 .*0xe9.* is not utf-8"),
        (
            b'text,label\n"a film,good\na story,bad\n',
            "line 2: a field in quotes begins here, and it never ends",
        ),
        (b"text,label\na film,good\none,two,three\n", "line 3: expected 2 fields as in the header, got 3"),
    ],
)
def test_refused_tables(tmp_path, content, message):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises((ArgumentError, FileFormatError), match=message):
        fit(path, text="text", label="label")


@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        ([], [], "texts: it has no rows"),
        (["a", "b"], ["x"], "labels: expected 2, one for each text, got 1"),
        (["a", ["b"]], ["x", "y"], r"text: expected text in texts\[1\], got list"),
        (["a", "b"], ["x", {}], r"label: expected text, a number or a list of them in texts\[1\], got dict"),
        (["a", "b"], None, "label: expected the column of a table"),
        ("a film", None, "is taken as the path of a table"),
        (3, ["x"], "texts: expected a list, got 3"),
        (["a", "b"], "xy", "labels: expected a list or None, got 'xy'"),
    ],
)
def test_refused_lists(texts, labels, message):
    with pytest.raises(ArgumentError, match=message):
        fit(texts, labels)


def test_refused_columns_beside_lists(reviews):
    with pytest.raises(
        ArgumentError, match="text: expected a table to go with a column, got texts and text='text'"
    ):
        fit(*reviews, text="text")


def test_a_quote_that_means_nothing_and_another_encoding(reviews, tmp_path):
    path = tmp_path / "reviews.csv"
    rows = [f'"{text};{label}é' for text, label in zip(*reviews, strict=True)]
    path.write_bytes("\n".join(["text;label", *rows]).encode("cp1252"))
    classifier = fit(path, text="text", label="label", quoted=False, encoding="cp1252")
    assert classifier.labels.names == ("badé", "goodé")
    with pytest.raises(FileFormatError, match="quotes"):
        fit(path, text="text", label="label", encoding="cp1252")


# Several labels and aspects ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def topics():
    """Texts that name what they are about, one thing, two or none, and the labels of each."""
    draw = np.random.default_rng(0)
    texts, labels = [], []
    for _ in range(300):
        own = [name for name in ("music", "sport", "war") if draw.random() < 0.4]
        words = [*draw.choice(["a", "the", "of", "and"], 4), *own]
        texts.append(" ".join(draw.permutation(words)))
        labels.append(own)
    return texts, labels


def several(**options):
    return TextClassifier(**SMALL | {"epochs": 25}, **options)


def test_several_labels_as_lists_columns_and_separated_text(topics, tmp_path):
    texts, labels = topics
    from_lists = several()
    report = from_lists.fit(texts, labels, verbose=0)
    assert report.several
    assert report.confusion is None
    assert report.micro_f1 > 0.9
    prediction = from_lists.predict(["a song of sport and war", "of the and"])
    assert [one.label for one in prediction] == [("sport", "war"), ()]
    assert prediction[0].probabilities["war"] > 0.5
    assert from_lists.predict(["war"], threshold=1.0)[0].label == ()

    names = ["music", "sport", "war"]
    rows = [
        ",".join([text, *(str(int(name in own)) for name in names)])
        for text, own in zip(texts, labels, strict=True)
    ]
    from_columns = several()
    path = csv(tmp_path / "columns.csv", rows, "text," + ",".join(names))
    assert from_columns.fit(path, text="text", label=names, verbose=0) == report

    rows = [f"{text},{'; '.join(own)}" for text, own in zip(texts, labels, strict=True)]
    separated = several(label_separator=";")
    path = csv(tmp_path / "separated.csv", rows)
    assert separated.fit(path, text="text", label="label", verbose=0).macro_f1 > 0.9
    assert separated.labels.names == tuple(names)
    separated.save(tmp_path / "model.nabi")
    assert TextClassifier.load(tmp_path / "model.nabi").evaluate(path) == separated.evaluate(path)


def test_refused_with_several_labels(topics, tmp_path):
    with pytest.raises(ArgumentError, match="class_weight: 'balanced' is not offered with several"):
        several(class_weight="balanced").fit(*topics, verbose=0)
    path = csv(tmp_path / "t.csv", ["a,1,0,0", "b,1,1,0", "c,0,1,0", "d,0,1,0"] * 3, "text,x,y,z")
    with pytest.raises(ArgumentError, match="label: the column z has 1 in no row"):
        several().fit(path, text="text", label=["x", "y", "z"], verbose=0)


@pytest.fixture(scope="module")
def opinions():
    """Texts about food and service, asked about one of them."""
    draw = np.random.default_rng(0)
    texts, aspects, labels = [], [], []
    for _ in range(400):
        said = {name: draw.choice(["good", "bad"]) for name in ("food", "service")}
        texts.append(" ".join(f"{name} {said[name]}" for name in draw.permutation(list(said))))
        aspects.append(str(draw.choice(["food", "service"])))
        labels.append(str(said[aspects[-1]]))
    return texts, labels, aspects


def test_an_aspect_says_what_the_text_is_asked_about(opinions, tmp_path):
    texts, labels, aspects = opinions
    rows = [",".join(row) for row in zip(texts, aspects, labels, strict=True)]
    path = csv(tmp_path / "opinions.csv", rows, "text,aspect,label")
    classifier = TextClassifier(**SMALL | {"units": 16, "embedding_size": 16, "epochs": 60, "patience": 60})
    report = classifier.fit(path, text="text", label="label", aspect="aspect", verbose=0)
    assert report.accuracy > 0.9
    both = ["food good service bad"] * 2
    assert [one.label for one in classifier.predict(both, ["food", "service"])] == ["good", "bad"]
    classifier.save(tmp_path / "model.nabi")
    again = TextClassifier.load(tmp_path / "model.nabi")
    assert again.evaluate(path) == classifier.evaluate(texts, labels, aspects)
    assert len(again.predict(["food good"], ["food " * 100_000])) == 1
    for wrong, message in (
        (None, "trained with aspects"),
        (["food"] * 2, "expected 1, one for each text, got 2"),
    ):
        with pytest.raises(ArgumentError, match=f"aspects: .*{message}"):
            again.predict(["food good"], wrong)


def test_rows_without_an_aspect_are_left_out(opinions):
    texts, labels, aspects = opinions
    classifier = TextClassifier(**SMALL)
    classifier.fit([*texts, "food good"], [*labels, "good"], [*aspects, ""], verbose=0)
    assert "1 row without aspect is left out" in classifier.notes


def test_unknown_labels_in_an_evaluation_are_named(reviews, tmp_path):
    classifier = fit(*reviews)
    with pytest.raises(UnknownNameError, match="'goood' is not known"):
        classifier.evaluate(csv(tmp_path / "t.csv", ["a,goood"]), text="text", label="label")
    with pytest.raises(ArgumentError, match="give text="):
        classifier.evaluate(tmp_path / "t.csv")
