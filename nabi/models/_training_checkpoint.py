"""Where a training stands, in a file: everything that the next batch depends on."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nabi.errors import ArgumentError, FileFormatError
from nabi.interchange import write_model_file
from nabi.models._files import read_kind

if TYPE_CHECKING:
    from nabi.models._resumable_training import ResumableTraining

__all__ = ["resume", "write"]


def write(training: "ResumableTraining", path: Path) -> None:
    """Write where a training stands.

    Raises:
        OutputError: if the file cannot be written.
    """
    tensors = {f"weights/{name}": value for name, value in training.network.state_dict().items()}
    tensors |= {f"best/{name}": value for name, value in training.best.items()}
    tensors |= {f"averages/{number}": value for number, value in enumerate(training.averages)}
    for number, values in training.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{number}/{name}": value for name, value in values.items()}
    extra = training.extra()
    tensors |= {f"extra/{name}": value for name, value in extra.items() if isinstance(value, Tensor)}
    tensors["random"] = training.generator.get_state()
    header = {
        "settings": training.settings.to_dict(),
        "fingerprint": training.fingerprint,
        "position": {**asdict(training.position), "best": _or_none(training.position.best)},
        "extra": {name: value for name, value in extra.items() if not isinstance(value, Tensor)},
    }
    write_model_file(path, training.kind, header, tensors)


def resume(training: "ResumableTraining", path: Path) -> None:
    """Put a training that has not begun to where it stood when the file was written.

    Raises:
        FileFormatError: if the file is damaged or holds something else.
        ArgumentError: if it belongs to a training with other settings or texts.
    """
    file = read_kind(path, (training.kind,))
    header = file.header
    same = header.get("fingerprint") == training.fingerprint
    if header.get("settings") != training.settings.to_dict() or not same:
        what = "settings" if same else training.material
        raise ArgumentError(
            f"checkpoint: {path} is of a training with other {what}; take another file, or delete this one "
            "to begin anew"
        )
    try:
        _fill(training, header, file.tensors)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, RuntimeError) as problem:
        raise FileFormatError(
            f"path: {path} is damaged: training cannot go on from it ({type(problem).__name__}: {problem})"
        ) from problem


def _fill(training: "ResumableTraining", header: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    training.network.load_state_dict(_part(tensors, "weights/"))
    best = _part(tensors, "best/")
    own = training.network.state_dict()
    if best and {n: v.shape for n, v in best.items()} != {n: v.shape for n, v in own.items()}:
        raise ValueError("its best weights are of another network")
    training.best = best
    averages = _part(tensors, "averages/")
    for place, average in enumerate(training.averages):
        average.copy_(averages[str(place)])
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in _part(tensors, "optimizer/").items():
        number, key = name.split("/")
        state.setdefault(int(number), {})[key] = value
    for place, own_state in state.items():
        shape = training.weights[place].shape
        if any(own_state[key].shape != shape for key in ("exp_avg", "exp_avg_sq")) or "step" not in own_state:
            raise ValueError("its optimiser is of another network")
    groups = training.optimizer.state_dict()["param_groups"]
    training.optimizer.load_state_dict({"state": state, "param_groups": groups})
    position = dict(header["position"])
    position["best"] = float("inf") if position["best"] is None else float(position["best"])
    training.position = type(training.position)(**position)
    training.generator.set_state(tensors["random"])
    training.set_extra({**header["extra"], **_part(tensors, "extra/")})


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): torch.clone(value)
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _or_none(value: float) -> float | None:
    return value if value < float("inf") else None  # JSON knows no infinity
