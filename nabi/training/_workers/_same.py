"""What workers must have in common, compared before the first step."""

import zlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nabi._version import __version__
from nabi.errors import ArgumentError, NabiError, WorkerError
from nabi.training._workers._group import Workers

__all__ = ["checksum", "compare", "have_compared", "report_failure"]

# What to do about a difference.
_ADVICE = {
    "nabi": "install the same version for every worker",
    "torch": "install the same version for every worker",
    "the data": "give every worker the same, in the same order; each takes its own rows of every batch",
    "the network": "make the same network in every worker",
}
_LONGEST = 80
_compared = False


def compare(workers: Workers, told: Mapping[str, Any]) -> None:
    """Compare what each worker tells of itself, by name; the versions of nabi and torch are compared, too.

    Raises:
        ArgumentError: in every worker, if something differs.
        WorkerError: if another worker could not begin.
    """
    global _compared
    own = {"nabi": __version__, "torch": torch.__version__, **told}
    _compared = True
    first, *others = workers.gather(own)
    for number, one in enumerate([first, *others]):
        if isinstance(one, NabiError):
            raise WorkerError(f"workers: worker {number} of {workers.count} could not begin: {one}")
    for number, other in enumerate(others, 1):
        for name in dict.fromkeys([*first, *other]):
            if first.get(name) != other.get(name):
                advice = _ADVICE.get(name, f"give {name} the same value in every worker")
                raise ArgumentError(
                    f"{name}: expected the same in all {workers.count} workers, got "
                    f"{_short(first.get(name))} in worker 0 and {_short(other.get(name))} in worker "
                    f"{number}; {advice}"
                )


def have_compared() -> bool:
    """Whether this worker has compared anything with others yet; until then, it can report a failure."""
    return _compared


def report_failure(workers: Workers, problem: NabiError) -> None:
    """Tell the others, which are about to compare, that this worker cannot begin."""
    workers.gather(problem)


def checksum(*parts: Tensor | None) -> str:
    """Return what differs for tensors of other shapes, dtypes or values.

    >>> import torch
    >>> checksum(torch.tensor([1.0, 2.0]), None) == checksum(torch.tensor([1.0, 2.0]), None)
    True
    >>> checksum(torch.tensor([1.0, 2.0])) == checksum(torch.tensor([2.0, 1.0]))
    False
    """
    found, shapes = 0, []
    for one in parts:
        if one is None:
            shapes.append("-")
            continue
        shapes.append(f"{list(one.shape)} {str(one.dtype).removeprefix('torch.')}")
        flat = one.detach().cpu().contiguous().reshape(-1)
        found = zlib.crc32(flat.view(torch.uint8).numpy().data, found) if len(flat) else found
    return f"{', '.join(shapes)}, checksum {found:08x}"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 2 :]}"
