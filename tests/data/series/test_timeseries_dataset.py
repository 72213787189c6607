"""Windows over a time series, as Keras' function of that name cuts them."""

from typing import Any

import numpy as np
import pytest

from nabi.data import timeseries_dataset_from_array
from nabi.errors import ArgumentError, ShapeError


def all_of(dataset: Any) -> tuple[Any, Any]:
    batches = list(dataset)
    return np.concatenate([x for x, _ in batches]), np.concatenate([y for _, y in batches])


@pytest.mark.parametrize("length", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("rate", [1, 2, 3])
@pytest.mark.parametrize(("start", "end"), [(None, None), (2, None), (None, 15), (3, 18)])
def test_windows_are_those_of_the_definition(
    length: int, stride: int, rate: int, start: int | None, end: int | None
) -> None:
    data, targets = np.arange(20) * 10, np.arange(20) * 100
    dataset = timeseries_dataset_from_array(
        data, targets, length, stride, rate, batch_size=3, start_index=start, end_index=end
    )
    part, goals = data[start:end], targets[start:end]
    count = len(part) - (length - 1) * rate
    wanted = [
        (part[first : first + length * rate : rate].tolist(), goals[first])
        for first in range(0, count, stride)
    ]
    x, y = all_of(dataset)
    assert list(zip(x.tolist(), y.tolist(), strict=True)) == wanted
    assert len(dataset) == -(-len(wanted) // 3)


def test_samples_alone_features_and_few_targets() -> None:
    data = np.arange(24.0).reshape(12, 2)
    alone = timeseries_dataset_from_array(data, None, 4, batch_size=5)
    assert [batch.shape for batch in alone] == [(5, 4, 2), (4, 4, 2)]
    few = timeseries_dataset_from_array(data, np.arange(3), 4)
    assert all_of(few)[0].shape == (3, 4, 2)
    single = timeseries_dataset_from_array(data, np.arange(12), 4, batch_size=None)
    x, y = single[2]
    assert (x.shape, int(y), len(single)) == ((4, 2), 2, 9)
    with pytest.raises(IndexError, match="expected 0 to 8, got 9"):
        single[9]


def test_shuffled_windows_keep_their_targets() -> None:
    dataset = timeseries_dataset_from_array(
        np.arange(50), np.arange(50), 3, batch_size=7, shuffle=True, seed=1
    )
    first, second = all_of(dataset), all_of(dataset)
    assert first[1].tolist() != second[1].tolist()
    for x, y in (first, second):
        assert sorted(y) == list(range(48))
        assert (x[:, 0] == y).all()
    again = timeseries_dataset_from_array(np.arange(50), np.arange(50), 3, batch_size=7, shuffle=True, seed=1)
    assert all_of(again)[1].tolist() == first[1].tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sequence_length": 0}, "sequence_length: expected a whole number of at least 1, got 0"),
        ({"sequence_length": 11}, "sequence_length: expected windows that fit into the steps 0 to 10"),
        (
            {"sequence_length": 3, "sampling_rate": 1.5},
            "sampling_rate: expected a whole number of at least 1, got 1.5",
        ),
        ({"sequence_length": 3, "end_index": 12}, "end_index: expected at most 10 steps, got 12"),
        (
            {"sequence_length": 3, "batch_size": 0},
            "batch_size: expected a whole number of at least 1 or None, got 0",
        ),
        (
            {"sequence_length": 3, "start_index": -1},
            "start_index: expected a whole number of at least 0 or None, got -1",
        ),
    ],
)
def test_what_cannot_be(options: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        timeseries_dataset_from_array(np.arange(10), None, **options)
    with pytest.raises(ShapeError, match="data: expected an array"):
        timeseries_dataset_from_array(3, None, 1)  # type: ignore[arg-type]
