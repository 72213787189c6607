"""Where the training of a language model stands, in a file: everything that the next batch depends on."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nabi.errors import ArgumentError, FileFormatError
from nabi.interchange import write_model_file
from nabi.models._files import read_kind

if TYPE_CHECKING:
    from nabi.models._language_training import Training

__all__ = ["KIND", "resume", "write"]

KIND = "language model training"


def write(training: "Training", path: Path, fingerprint: str) -> None:
    """Write where a training stands.

    Raises:
        OutputError: if the file cannot be written.
    """
    tensors = {f"weights/{name}": value for name, value in training.network.state_dict().items()}
    tensors |= {f"best/{name}": value for name, value in training.best.items()}
    for number, values in training.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{number}/{name}": value for name, value in values.items()}
    for number, layer in enumerate(training.states):
        tensors |= {f"states/{number}/{place}": state for place, state in enumerate(layer)}
    tensors["random"] = training.generator.get_state()
    header = {
        "settings": training.settings.to_dict(),
        "fingerprint": fingerprint,
        "position": {**asdict(training.position), "best": _or_none(training.position.best)},
    }
    write_model_file(path, KIND, header, tensors)


def resume(training: "Training", path: Path, fingerprint: str) -> None:
    """Put a training that has not begun to where it stood when the file was written.

    Raises:
        FileFormatError: if the file is damaged or holds something else.
        ArgumentError: if it belongs to a training with other settings or texts.
    """
    file = read_kind(path, (KIND,))
    header = file.header
    if header.get("settings") != training.settings.to_dict() or header.get("fingerprint") != fingerprint:
        what = "other settings" if header.get("fingerprint") == fingerprint else "other texts"
        raise ArgumentError(
            f"checkpoint: {path} is of a training with {what}; take another file, or delete this one to "
            "begin anew"
        )
    try:
        _fill(training, header, file.tensors)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, RuntimeError) as problem:
        raise FileFormatError(
            f"path: {path} is damaged: training cannot go on from it ({type(problem).__name__}: {problem})"
        ) from problem


def _fill(training: "Training", header: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    training.network.load_state_dict(_part(tensors, "weights/"))
    best = _part(tensors, "best/")
    own = training.network.state_dict()
    if best and {n: v.shape for n, v in best.items()} != {n: v.shape for n, v in own.items()}:
        raise ValueError("its best weights are of another network")
    training.best = best
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in _part(tensors, "optimizer/").items():
        number, key = name.split("/")
        state.setdefault(int(number), {})[key] = value
    groups = training.optimizer.state_dict()["param_groups"]
    training.optimizer.load_state_dict({"state": state, "param_groups": groups})
    expected = training.network.start(training.rows)
    carried = _part(tensors, "states/")
    position = dict(header["position"])
    position["best"] = float("inf") if position["best"] is None else float(position["best"])
    if carried or position["window"]:
        training.states = [
            tuple(carried[f"{number}/{place}"] for place in range(len(layer)))
            for number, layer in enumerate(expected)
        ]
        for found, layer in zip(training.states, expected, strict=True):
            if any(own.shape != zero.shape for own, zero in zip(found, layer, strict=True)):
                raise ValueError("its states are of another network")
    training.generator.set_state(tensors["random"])
    training.position = type(training.position)(**position)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): torch.clone(value)
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _or_none(value: float) -> float | None:
    return value if value < float("inf") else None  # JSON knows no infinity
