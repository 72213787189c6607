"""The workers: processes of a `torch.distributed` group that train one model together."""

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from nabi._row_share import RowShare
from nabi.errors import WorkerError

__all__ = ["Workers", "ended_worker", "find_workers", "is_first_worker", "join_workers", "reached"]

_Result = TypeVar("_Result")


def find_workers() -> "Workers | None":
    """Return the workers of the process group that this process is in; None if it works alone."""
    distributed = torch.distributed
    if not distributed.is_available() or not distributed.is_initialized():
        return None
    found = Workers(distributed.get_rank(), distributed.get_world_size())
    return found if found.count > 1 else None


def is_first_worker() -> bool:
    """Whether this process writes files and shows progress: it works alone, or is worker 0."""
    workers = find_workers()
    return workers is None or workers.is_first


def join_workers() -> None:
    """Meet the other workers at the address that `torchrun` gave, in a process group of gloo.

    On one machine, torchrun restarts workers with the same store, in which the addresses of the ended ones
    still are: with `torch.distributed.init_process_group` alone, a new attempt may wait for them. So each
    attempt has names of its own. On several machines they count their restarts separately, but get a new
    store each time.
    """
    if os.environ.get("GROUP_WORLD_SIZE") != "1":
        torch.distributed.init_process_group("gloo")
        return
    distributed: Any = torch.distributed  # whose types do not say that it has these two
    store, number, count = next(distributed.rendezvous("env://"))
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    own = distributed.PrefixStore(f"attempt {attempt}", store)
    distributed.init_process_group("gloo", store=own, rank=number, world_size=count)


def reached(ask: Callable[..., _Result], *arguments: Any, **named: Any) -> _Result:
    """Ask the other workers for something.

    Raises:
        WorkerError: if one of them has ended.
    """
    try:
        return ask(*arguments, **named)
    except RuntimeError as problem:
        if isinstance(problem, WorkerError):
            raise
        reason = " ".join(str(problem).split("\n", 1)[0].split())
        raise ended_worker(f"torch.distributed: {reason[:200]}") from problem


def ended_worker(reason: str) -> WorkerError:
    """Return the error for what the others of a worker see that has ended."""
    return WorkerError(
        "workers: one of them ended or cannot be reached any more; what it wrote says why. Start all of "
        f"them again: training goes on from the last checkpoint, if there is one. ({reason})"
    )


class Workers:
    """All workers, seen from one of them.

    Whatever is asked of the others must be asked by each, in the same order.

    Attributes:
        number: of this one, from 0 on.
        count: how many there are.
        device: where numbers lie that are exchanged.
    """

    def __init__(self, number: int, count: int) -> None:
        self.number, self.count = number, count
        by_nccl = torch.distributed.get_backend() == "nccl"
        self.device = torch.device("cuda", torch.cuda.current_device()) if by_nccl else torch.device("cpu")

    @property
    def is_first(self) -> bool:
        """Whether this one writes files and shows progress."""
        return self.number == 0

    def share(self, rows: int) -> RowShare:
        """Return which of so many rows are this one's."""
        return RowShare.of(rows, self.number, self.count)

    def gather(self, value: Any) -> list[Any]:
        """Return what each has given, in their order."""
        found: list[Any] = [None] * self.count
        reached(torch.distributed.all_gather_object, found, value)
        return found

    def from_first(self, value: Any) -> Any:
        """Return what the first has given; that of others is not looked at."""
        return self._from(0, value)

    def from_last(self, value: Any) -> Any:
        """Return what the last has given, which has rows of every batch, however small; see `share`."""
        return self._from(self.count - 1, value)

    def _from(self, number: int, value: Any) -> Any:
        given = [value if self.number == number else None]
        reached(torch.distributed.broadcast_object_list, given, src=number)
        return given[0]

    def any(self, value: bool) -> bool:
        """Return whether one of them says so."""
        found = torch.tensor([float(value)], device=self.device)
        reached(torch.distributed.all_reduce, found)
        return bool(found.item())

    def meet(self) -> None:
        """Wait until all are here."""
        reached(torch.distributed.all_reduce, torch.zeros(1, device=self.device))

    def take_from_first(self, tensors: Sequence[Tensor]) -> None:
        """Write into tensors what the first has in its own."""
        with torch.no_grad():
            for one in tensors:
                sent = one.detach() if one.is_contiguous() else one.detach().contiguous()
                reached(torch.distributed.broadcast, sent, src=0)
                if sent.data_ptr() != one.data_ptr():
                    one.copy_(sent)

    def all_rows(self, own: Tensor) -> Tensor:
        """Return the rows of all, of which each gives its own `[rows, ...]`."""
        return torch.cat([part.to(own.device) for part in self.gather(own.detach().cpu())])
