"""SeriesClassifier: what it reads and refuses, what it learns; `task_checks` has its files and trainings."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from nabi.errors import ArgumentError, FileFormatError, ShapeError
from nabi.files import read_model_file, write_model_file
from nabi.models import SeriesClassifier

from ..sequences.toy import directions, turns
from ..task_checks import *  # noqa: F403
from ..task_checks import Task


def small(**said):
    usual = {"units": 8, "batch_size": 16, "learning_rate": 0.01, "epochs": 12}
    return SeriesClassifier(said.pop("cell", "gru"), **{**usual, **said})


TASK = Task(
    make=lambda **said: small(**{"epochs": 3, "networks": 2, **said}),
    data=directions(100),
    other_data=(directions(100)[0], directions(100)[1][::-1]),
    ask=lambda model: model.predict(directions(6, seed=5)[0]),
    material="series or labels",
)


@pytest.fixture(scope="module")
def task():
    return TASK


def as_ts(inputs, labels) -> str:
    lines = ["@problemName Directions", "@dimensions 2", "@classLabel true down up", "@data"]
    for values, label in zip(inputs, labels, strict=True):
        channels = [",".join("?" if np.isnan(one) else str(one) for one in column) for column in values.T]
        lines.append(":".join([*channels, label]))
    return "\n".join(lines) + "\n"


def as_table(inputs, labels, per_step=False) -> str:
    """Rows of all series mixed, with the time backwards."""
    rows = []
    for number, (values, label) in enumerate(zip(inputs, labels, strict=True)):
        for time, step in enumerate(values):
            said = label[time] if per_step else label
            numbers = ["" if np.isnan(one) else str(one) for one in step]
            rows.append(
                (-time, ",".join([f"s{number}", str(time), *numbers, said or "", f"g{number // 10}"]))
            )
    channels = [f"c{place}" for place in range(inputs[0].shape[1])]
    head = ",".join(["series", "at", *channels, "class", "of"])
    return "\n".join([head, *(text for _, text in sorted(rows, key=lambda row: row[0]))]) + "\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("series")
    (place / "train.ts").write_text(as_ts(*directions(80)))
    (place / "test.ts").write_text(as_ts(*directions(40, seed=3)))
    (place / "train.csv").write_text(as_table(*directions(80)))
    (place / "test.csv").write_text(as_table(*directions(40, seed=3)))
    (place / "steps.csv").write_text(as_table(*turns(80), per_step=True))
    return place


TABLE = {"id": "series", "time": "at", "channels": ["c0", "c1"], "label": "class"}


def test_a_ts_file_a_table_and_arrays_are_the_same_data(folder, tmp_path) -> None:
    models = [small(epochs=4) for _ in range(3)]
    reports = [
        models[0].fit(*directions(80), test=directions(40, seed=3), verbose=0),
        models[1].fit(folder / "train.ts", test=folder / "test.ts", verbose=0),
        models[2].fit(folder / "train.csv", **TABLE, test=folder / "test.csv", verbose=0),
    ]
    assert reports[0].held_out == 40
    said = [
        [one.probabilities for one in model.predict(source)]
        for model, source in zip(
            models,
            [directions(40, seed=3)[0], folder / "test.ts", folder / "test.csv"],
            strict=True,
        )
    ]
    # In the table, the series come in the order of their first rows: the longest one first.
    assert said[0] == said[1]
    # The table has another order of series, and so other batches; what is learnt is alike.
    names = [one.name for one in models[2].predict(folder / "test.csv")]
    assert sorted(names) == sorted(f"s{number}" for number in range(40))
    assert reports[0].accuracy == reports[1].accuracy
    assert reports[2].accuracy > 0.9
    models[2].save(tmp_path / "model.nabi")
    again = SeriesClassifier.load(tmp_path / "model.nabi")
    assert again.columns == models[2].columns
    assert again.evaluate(folder / "test.csv").scores.rows == 40
    assert again.evaluate(folder / "test.csv").accuracy == reports[2].accuracy


def test_every_step_has_its_label(folder) -> None:
    model = small(label_per_step=True, units=12, learning_rate=0.02)
    report = model.fit(
        folder / "steps.csv", id="series", time="at", channels=["c0"], label="class", verbose=0
    )
    assert report.accuracy > 0.98
    assert "held-out steps" in str(report)
    assert report.baselines.keys() == {"majority", "logistic regression on 5 steps"}
    (one, *_) = model.predict(turns(1, seed=4)[0])
    assert list(one.label[1:]) == turns(1, seed=4)[1][0][1:]
    inputs, labels = turns(10, seed=5)
    assert model.evaluate(inputs, labels).accuracy > 0.95


def test_groups_are_held_out_as_a_whole(folder) -> None:
    model = small(epochs=1)
    report = model.fit(folder / "train.csv", **TABLE, group="of", validation_share=0.25, verbose=0)
    assert (report.train, report.held_out) == (60, 20)
    inputs, labels = directions(30)
    report = model.fit(inputs, labels, ["a", "b", "c"] * 10, validation_share=0.3, verbose=0)
    assert report.held_out == 10


def test_a_stream_agrees_with_the_whole() -> None:
    model = small(bidirectional=False, epochs=2)
    inputs, labels = directions(40)
    model.fit(inputs, labels, verbose=0)
    stream = model.stream()
    for step in inputs[0]:
        said = stream.push(step[None])
    np.testing.assert_allclose(said, model.probabilities(inputs[:1])[0], atol=1e-5)


def test_long_series_get_convolutions_unless_told_otherwise() -> None:
    random = np.random.default_rng(0)
    series, labels = random.normal(size=(12, 70)), ["a", "b"] * 6
    for said, expected in [({}, (32, 64)), ({"convolutions": ()}, ()), ({"convolutions": (3,)}, (3,))]:
        model = small(units=2, epochs=1, **said)
        model.fit(series, labels, validation_share=0, verbose=0)
        assert model.settings.convolutions == expected
        assert len(model.network.networks[0].convolutions) == len(expected)
    short = small(units=2, epochs=1)
    short.fit(series[:, :20], labels, validation_share=0, verbose=0)
    assert short.settings.convolutions == ()


def test_what_is_wrong_with_arrays_is_said_before_training() -> None:
    inputs, labels = directions(12)
    nothing = [np.stack([one[:, 0], np.full(len(one), np.nan)], 1) for one in inputs]
    for given, kind, message in [
        ((inputs,), ArgumentError, "labels: expected a label of each series, got none"),
        ((inputs, labels[:3]), ArgumentError, "labels: expected one for each of 12 series, got 3"),
        ((inputs, labels, ["a"]), ArgumentError, "groups: expected one for each of 12 series, got 1"),
        (
            ([*inputs[:11], inputs[0][:0]], labels),
            ArgumentError,
            "series 11: expected a sequence of one step",
        ),
        (([*inputs[:11], inputs[0][:, :1]], labels), ShapeError, "series 11: expected steps of the shape"),
        (([*inputs[:11], "abc"], labels), ArgumentError, "series 11: expected numbers"),
        (
            ([*inputs[:11], [[1.0, np.inf]]], labels),
            ArgumentError,
            "series 11: expected finite numbers or NaN",
        ),
        (
            (np.ones((12, 3, 2, 2)), labels),
            ShapeError,
            r"series 0: expected the shape \[T, channels\] or \[T\]",
        ),
        ((5, labels), ArgumentError, "source: expected a file, or a list of arrays"),
        ((nothing, labels), ArgumentError, "channel 2: it has no value in any series; leave it out"),
        ((inputs, ["up"] * 12), ArgumentError, "expected at least two classes, got only 'up'"),
    ]:
        with pytest.raises(kind, match=message):
            small().fit(*given, verbose=0)
    with pytest.raises(ArgumentError, match=r"validation_share: 0\.01 of 2 series|cannot be held out"):
        small().fit(inputs[:2], labels[:2], validation_share=0.01, verbose=0)
    for name, told in [("validation", 3), ("test", "none.ts")]:
        with pytest.raises((ArgumentError, FileNotFoundError), match=rf"{name}: expected|there is no file"):
            small().fit(inputs, labels, **{name: told}, verbose=0)
    with pytest.raises(ShapeError, match="series 0: expected 2 channels, as in training, got 1"):
        small().fit(inputs, labels, test=([[1, 2]], ["up"]), verbose=0)
    with pytest.raises(ArgumentError, match=r"series 0: expected one of the labels learnt from \(down, up\)"):
        small().fit(inputs, labels, test=(inputs[:1], ["left"]), verbose=0)
    with pytest.raises(ArgumentError, match="series 1: expected a label for each of its 4 steps, got 3"):
        small(label_per_step=True).fit(
            [np.ones(3), np.ones(4)], [["a", "b", "a"], ["a", "b", "a"]], validation_share=0, verbose=0
        )


HEAD = "series,at,c0,class\n"
COLUMNS = {"id": "series", "time": "at", "label": "class"}


@pytest.mark.parametrize(
    ("rows", "said", "message"),
    [
        (
            "a,0,1,x\na,0,2,x\nb,0,1,y",
            {},
            r"table\.csv, row 2: series 'a' has the time 0 twice, also in row 1",
        ),
        ("a,0,one,x\nb,0,1,y", {}, "row 1: column c0: expected a number, got 'one'"),
        ("a,0,inf,x\nb,0,1,y", {}, "row 1: column c0: expected a finite number"),
        ("a,monday,1,x\nb,0,1,y", {}, "row 1: column at: expected a number or a date .*, got 'monday'"),
        ("a,1,1,x\nb,2024-01-01,1,y", {}, "row 2: column at: expected a number, got '2024-01-01'"),
        ("a,0,1,x\na,1,2,y\nb,0,1,y", {}, "row 2: series 'a': column class: expected 'x', as in its other"),
        (",0,1,x\nb,0,1,y", {}, "row 1: column series: expected a series, got nothing"),
        ("a,0,1,\nb,0,1,y", {}, "a: expected a label, got none"),
        ("a,0,,x\nb,0,,y", {}, "column c0: it has no value in any series"),
        ("a,0,1,x\nb,0,1,x", {}, "expected at least two classes, got only 'x'"),
        ("a,0,1,x", {"id": "shop"}, "column: 'shop' is not known"),
        (
            "a,0,1,x",
            {"id": None, "time": None, "label": None},
            "id: expected the column .* the columns series",
        ),
        ("a,0,1,x", {"id": None, "time": None}, "label: it is a column of a table, which needs id as well"),
        ("a,0,1,x", {"channels": "c0"}, "channels: expected a list of texts or None, got 'c0'"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_with_its_row(tmp_path, rows, said, message) -> None:
    path = tmp_path / "table.csv"
    path.write_text(HEAD + rows + "\n")
    with pytest.raises(ArgumentError, match=message):
        small().fit(path, **{**COLUMNS, **said}, verbose=0)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("@targetlabel true\n@data\n1:2\n", ArgumentError, "has numbers to predict"),
        ("@data\n1\n2\n", ArgumentError, "labels: expected a label of each series, got none"),
        (
            "@classLabel true a b\n@data\n1:?\n2:b\n",
            ArgumentError,
            r"waves\.ts:3: expected a label, got none",
        ),
        ("", FileFormatError, "line 1: expected a line @data"),
    ],
)
def test_what_is_wrong_with_a_ts_file_is_said_with_its_line(tmp_path, text, kind, message) -> None:
    path = tmp_path / "waves.ts"
    path.write_text(text)
    with pytest.raises(kind, match=message):
        small().fit(path, verbose=0)


def test_files_and_arguments_go_together(folder, tmp_path) -> None:
    (tmp_path / "bare.csv").write_text("series,class\na,x\nb,y\n")
    with pytest.raises(ArgumentError, match="has no other columns than series, class"):
        small().fit(tmp_path / "bare.csv", id="series", label="class", verbose=0)
    with pytest.raises(ArgumentError, match="whose format has no columns"):
        small().fit(folder / "train.ts", id="series", verbose=0)
    with pytest.raises(ArgumentError, match="has a label for each series; use a long table for labels of"):
        small(label_per_step=True).fit(folder / "train.ts", verbose=0)
    with pytest.raises(ArgumentError, match="labels: expected none for a file, which has its own"):
        small().fit(folder / "train.ts", ["up"], verbose=0)


def test_what_is_asked_wrongly_is_refused(folder, tmp_path) -> None:
    model = small(epochs=1)
    model.fit(*directions(20), verbose=0)
    with pytest.raises(ArgumentError, match=r"series 1: expected one of the labels learnt from \(down, up\)"):
        model.evaluate(directions(2)[0], ["up", "left"])
    with pytest.raises(ArgumentError, match="labels: expected a label of each series, got none"):
        model.evaluate(directions(2)[0])
    with pytest.raises(ShapeError, match="series 0: expected 2 channels, as in training, got 1"):
        model.predict([[1, 2, 3]])
    with pytest.raises(ArgumentError, match="series 0: expected a sequence of one step or more"):
        model.predict([np.ones((0, 2))])
    with pytest.raises(ArgumentError, match="id: expected the column that says which rows are one series"):
        model.predict(folder / "test.csv")
    with pytest.raises(ArgumentError, match="label: expected none, as the model was not trained on a table"):
        model.evaluate(directions(2)[0], ["up", "up"], label="class")
    assert model.predict([]) == []
    with pytest.raises(ArgumentError, match="reads in both directions"):
        model.stream()
    figures = json.loads(json.dumps(model.report.to_dict()))
    assert type(model.report).from_dict(figures) == model.report
    assert model.report.picture(tmp_path / "confusion.png").stat().st_size > 1000


@pytest.mark.parametrize(
    "claim",
    [
        {"settings": {"layers": 10**9}}, {"settings": {"networks": 10**9}}, {"settings": {"networks": 2}},
        {"settings": {"convolutions": [10**9]}}, {"shape": [10**12]}, {"labels": ["a"] * 5}, {"dtype": "O"},
        {"labels": ["down", "left", "up"]}, {"baselines": {"another": 4}},
        {"columns": {"id": 3}}, {"gaps": False},
    ],
    ids=str,
)  # fmt: skip
def test_a_file_that_claims_something_else_is_refused(learnt_alone, tmp_path, claim) -> None:
    path = tmp_path / "model.nabi"
    learnt_alone.save(path)
    file = read_model_file(path)
    header = {name: one for name, one in file.header.items() if name not in ("format", "layout", "kind")}
    settings = {"settings": {**header["settings"], **claim["settings"]}} if "settings" in claim else claim
    write_model_file(path, file.kind, {**header, **settings}, file.tensors)
    with pytest.raises(FileFormatError, match="is damaged: it cannot be made a series classifier again"):
        SeriesClassifier.load(path)


@pytest.fixture(scope="module")
def learnt_alone():
    model = small(epochs=1, convolutions=(3,))
    model.fit(*directions(20), verbose=0)
    return model


def test_the_vowels_are_told_apart() -> None:
    if not os.environ.get("NABI_DATA"):
        pytest.skip("NABI_DATA is not set, the folder with the real data")
    place = Path(os.environ["NABI_DATA"]) / "series"
    model = SeriesClassifier(units=32, epochs=12, learning_rate=0.01, seed=1)
    report = model.fit(place / "JapaneseVowels_TRAIN.ts", test=place / "JapaneseVowels_TEST.ts", verbose=0)
    assert (report.train, report.held_out) == (243, 370)
    assert report.accuracy > 0.93
    # The figure of this baseline from a computation of its own.
    assert report.baselines["logistic regression on 8 steps"] > 0.98
