"""SeriesRegressor: what it reads, refuses and learns; its files and trainings."""

import numpy as np
import pytest

from nabi.errors import ArgumentError, FileFormatError, ShapeError
from nabi.models import SeriesClassifier, SeriesRegressor

from ..task_checks import (
    Task,
    learnt,  # noqa: F401
    test_a_file_gives_the_same_model,  # noqa: F401
    test_an_interrupted_training_goes_on_as_if_nothing_had_been,  # noqa: F401
    test_the_checkpoint_of_another_training_is_refused,  # noqa: F401
)


def waves(count: int, seed: int = 0) -> tuple[list[np.ndarray], list[float]]:
    """Waves of another frequency each, with gaps; the number follows from the frequency."""
    random = np.random.default_rng(seed)
    inputs, numbers = [], []
    for _ in range(count):
        pace = random.uniform(0.2, 1.2)
        steps = np.sin(pace * np.arange(random.integers(8, 20)) + random.uniform(0, 6))
        steps[random.random(len(steps)) < 0.05] = np.nan
        inputs.append(np.stack([steps, random.normal(size=len(steps))], 1).astype(np.float32))
        numbers.append(1e6 + 1e4 * pace)
    return inputs, numbers


def small(**said):
    usual = {"units": 6, "batch_size": 8, "learning_rate": 0.02, "epochs": 3}
    return SeriesRegressor(said.pop("cell", "gru"), **{**usual, **said})


@pytest.fixture(scope="module")
def task():
    return Task(
        make=lambda **said: small(**{"networks": 2, **said}),
        data=waves(40),
        other_data=(waves(40)[0], waves(40)[1][::-1]),
        ask=lambda model: model.predict(waves(6, seed=5)[0]).tolist(),
        material="series or numbers",
    )


def as_ts(inputs, numbers) -> str:
    lines = ["@problemName Waves", "@dimensions 2", "@targetlabel true", "@data"]
    for values, number in zip(inputs, numbers, strict=True):
        channels = [",".join("?" if np.isnan(one) else str(one) for one in column) for column in values.T]
        lines.append(":".join([*channels, "?" if np.isnan(number) else repr(number)]))
    return "\n".join(lines) + "\n"


def as_table(inputs, numbers) -> str:
    rows = ["sensor,at,a,b,wear"]
    for place, (values, number) in enumerate(zip(inputs, numbers, strict=True)):
        for at, step in enumerate(values):
            told = ["" if np.isnan(one) else str(one) for one in step]
            rows.append(",".join([f"s{place}", str(at), *told, "" if np.isnan(number) else repr(number)]))
    return "\n".join(rows) + "\n"


COLUMNS = {"id": "sensor", "time": "at", "target": "wear"}


def test_numbers_that_a_linear_model_does_not_see_are_learnt() -> None:
    model = small(units=16, epochs=30)
    report = model.fit(*waves(160), verbose=0)
    assert (report.rows, report.part) == (20, "test series")
    assert report.r2 > 0.8
    assert report.baselines[0].r2 < 0.4
    assert report.verdict.startswith("Better than ridge regression")
    others, right = waves(30, seed=9)
    said = model.predict(others)
    assert np.corrcoef(said, right)[0, 1] > 0.9
    # Alone, a series gets what it gets among others.
    np.testing.assert_allclose(model.predict(others[:1]), said[:1], rtol=1e-6)
    assert model.evaluate(others, right).rmse == pytest.approx(np.sqrt(np.mean((said - right) ** 2)))


def test_a_line_is_left_to_the_ridge_regression() -> None:
    inputs = waves(80)[0]
    numbers = [float(np.nanmean(one[:, 1])) for one in inputs]
    model = small(epochs=1)
    report = model.fit(inputs, numbers, verbose=0)
    assert model.share > 0.9
    assert report.r2 > 0.95
    alone = small(epochs=1, with_linear="no")
    assert alone.fit(inputs, numbers, verbose=0).r2 < report.r2
    assert (alone.share, [one.name for one in alone.report.baselines][1:]) == (
        0.0,
        ["the mean of the training", "the median of the training"],
    )


def test_a_ts_file_a_table_and_arrays_are_the_same_data(tmp_path) -> None:
    inputs, numbers = waves(40)
    numbers[3] = float("nan")
    (tmp_path / "a.ts").write_text(as_ts(inputs, numbers))
    (tmp_path / "a.csv").write_text(as_table(inputs, numbers))
    models = [small(epochs=1) for _ in range(3)]
    models[0].fit(inputs, numbers, verbose=0)
    models[1].fit(tmp_path / "a.ts", verbose=0)
    models[2].fit(tmp_path / "a.csv", **COLUMNS, verbose=0)
    said = models[0].predict(inputs).tolist()
    assert models[1].predict(tmp_path / "a.ts").tolist() == said
    assert models[2].predict(tmp_path / "a.csv").tolist() == said
    assert models[2].notes == ("1 series without a number in the column 'wear' left out: s3",)
    models[2].save(tmp_path / "m.nabi")
    again = SeriesRegressor.load(tmp_path / "m.nabi")
    assert (again.columns, again.notes) == (models[2].columns, models[2].notes)
    assert again.evaluate(tmp_path / "a.csv").rows == 39
    assert again.evaluate(tmp_path / "a.csv", target="wear") == again.evaluate(inputs, numbers)


def test_groups_are_held_out_as_a_whole() -> None:
    inputs, numbers = waves(60)
    report = small(epochs=1).fit(inputs, numbers, [row // 20 for row in range(60)], test_share=0.3, verbose=0)
    assert report.rows == 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda inputs, numbers: (inputs, None), "targets: expected a number for each series, got none"),
        (lambda inputs, numbers: (inputs, numbers[1:]), "targets: expected one for each of 20 series"),
        (lambda inputs, numbers: (inputs, ["many", *numbers[1:]]), "finite number, series 0, got 'many'"),
        (lambda inputs, numbers: (inputs, [np.inf, *numbers[1:]]), "finite number, series 0, got inf"),
        (lambda inputs, numbers: (inputs, [2.0] * 20), "expected different numbers, got 2 in all 20 series"),
        (
            lambda inputs, numbers: (inputs[:9], numbers[:9]),
            "expected 10 or more series with a number, got 9",
        ),
        (lambda inputs, numbers: (inputs, [None] * 20), "all 20 series are without a number"),
    ],
)
def test_what_cannot_be_learnt_is_refused(change, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        small().fit(*change(*waves(20)), verbose=0)


def test_files_of_labels_and_of_numbers_are_told_apart(tmp_path) -> None:
    inputs, numbers = waves(20)
    place = tmp_path / "a.ts"
    place.write_text(as_ts(inputs, numbers))
    with pytest.raises(ArgumentError, match="a SeriesRegressor learns them"):
        SeriesClassifier().fit(place, verbose=0)
    model = small(epochs=1)
    model.fit(place, verbose=0)
    place.write_text(as_ts(inputs, numbers).replace("@targetlabel true", "@classLabel true 1 2"))
    with pytest.raises(FileFormatError, match="expected one of the labels") as problem:
        small().fit(place, verbose=0)
    assert "line 5" in str(problem.value)
    with pytest.raises(ShapeError, match="expected 2 channels, as in training, got 1"):
        model.predict([[1, 2, 3]])
