"""Files of what a forecaster carries along of a series."""

import os
from datetime import datetime
from typing import Any

import numpy as np

from nabi.data import Series
from nabi.errors import ArgumentError
from nabi.files import read_kind, reading, write_model_file
from nabi.models._forecaster._state import Engine, ForecastState, state_from

__all__ = ["read_state", "time_from_json", "time_to_json", "write_state"]

_KIND = "forecast state"


def write_state(state: ForecastState, path: str | os.PathLike[str], fingerprint: str) -> None:
    """Write a state; the fingerprint is of the weights that it goes with."""
    header = {"name": state.name, "start": time_to_json(state.start), "forecaster": fingerprint}
    write_model_file(path, _KIND, header, state.tensors())


def read_state(path: str | os.PathLike[str], engine: Engine, fingerprint: str) -> ForecastState:
    """Return the state in a file.

    Raises:
        MissingFileError: if there is no such file.
        FileFormatError: if it is damaged or holds something else.
        ArgumentError: if it was written for other weights.
    """
    file = read_kind(path, (_KIND,))
    if file.header.get("forecaster") != fingerprint:
        raise ArgumentError(f"path: {file.path} is the state of another forecaster")
    with reading(file.path, "a forecast cannot go on from it"):
        tensors, plan = file.tensors, engine.inputs.plan
        target = tensors["target"].numpy().copy()
        series = Series(
            str(file.header["name"]),
            time_from_json(file.header["start"]),
            target,
            tensors["known"].numpy().copy(),
            np.full((len(target), plan.past), np.nan),
            tensors["static"].numpy().copy(),
        )
        return state_from(engine, series, tensors)


def time_to_json(time: datetime | int) -> str | int:
    """Return a time as JSON can hold it."""
    return time.isoformat() if isinstance(time, datetime) else time


def time_from_json(time: Any) -> datetime | int:
    """Return the time that `time_to_json` gave."""
    return time if isinstance(time, int) and not isinstance(time, bool) else datetime.fromisoformat(time)
