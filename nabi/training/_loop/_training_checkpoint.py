"""Where a training stands, in a file: everything that the next batch depends on."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from nabi._checks import as_real, short
from nabi.errors import ArgumentError, FileFormatError
from nabi.interchange import (
    ModelFile,
    check_counter,
    check_figures,
    check_tensors,
    part,
    read_kind,
    reading,
    write_model_file,
)
from nabi.training import check_optimizer_state, check_random_state

if TYPE_CHECKING:
    from nabi.training._loop._resumable_training import Position, ResumableTraining

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
    with reading(path, "training cannot go on from it"):
        _fill(training, header, file)


def _fill(training: "ResumableTraining", header: dict[str, Any], file: ModelFile) -> None:
    tensors = file.tensors
    # All checks come first, so that nothing has changed where one fails.
    own = training.network.state_dict()
    weights, best, averages = (part(tensors, name) for name in ("weights/", "best/", "averages/"))
    check_tensors(weights, own, "weights/")
    if best:
        check_tensors(best, own, "best/")
    check_tensors(averages, {str(n): one for n, one in enumerate(training.averages)}, "averages/")
    known = {"random": training.generator.get_state()}
    check_tensors({name: one for name, one in tensors.items() if "/" not in name}, known)
    random = check_random_state("random", tensors["random"])
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in part(tensors, "optimizer/").items():
        number, key = name.split("/")
        state.setdefault(int(number), {})[key] = value
    groups = training.optimizer.state_dict()["param_groups"]
    optimizer = {"state": state, "param_groups": groups}
    check_optimizer_state(optimizer, training.optimizer)
    position = _position(training, header["position"])
    # A subclass checks what it has before it takes it.
    training.set_extra({**header["extra"], **part(tensors, "extra/")})

    training.network.load_state_dict(weights)
    training.best = {name: value.clone() for name, value in best.items()}
    training.position = position
    for place, average in enumerate(training.averages):
        average.copy_(averages[str(place)])
    training.optimizer.load_state_dict(optimizer)
    training.generator.set_state(random)


def _position(training: "ResumableTraining", described: Any) -> "Position":
    found = dict(described)
    for name in ("epoch", "batch", "step", "count", "best_epoch"):
        found[name] = check_counter(f"position.{name}", found[name], 2**53)
    found["best"] = math.inf if found["best"] is None else found["best"]
    for name in ("total", "best", "seconds"):
        number = as_real(found[name])  # the best loss is infinite before the first epoch
        if number is None or math.isnan(number):
            raise FileFormatError(f"position.{name}: expected a number, got {short(found[name])}")
        found[name] = number
    found["history"] = check_figures("position.history", found["history"])
    if found["epoch"] > training.epochs or found["batch"] > found["step"] or found["count"] < found["batch"]:
        raise FileFormatError(f"position: expected one within the training, got {found}")
    return type(training.position)(**found)


def _or_none(value: float) -> float | None:
    return value if value < float("inf") else None  # JSON knows no infinity
