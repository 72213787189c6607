"""Where `fit` stands within an epoch, for the file of a run that goes on."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from nabi.errors import FileFormatError
from nabi.files import check_counter, part
from nabi.training._compiled import Compiled
from nabi.training._data._batches import Batches, StreamBatches
from nabi.training._data._random_checks import check_random_state
from nabi.training._loop._checkpoint import Position

__all__ = ["EpochPart"]


class EpochPart:
    """The batches of an epoch that are done: their number, their order, and what loss and metrics counted.

    A run that goes on draws the order of the epoch again, and leaves these batches out.

    Args:
        compiled: what has the figures, and shuffles.
        data: what the epoch goes through.
        position: of the training.

    Attributes:
        batch: how many a file says are done; 0 without such a file.
        is_open: whether a file that is being written is of a time within the epoch, not of its end.
    """

    def __init__(self, compiled: Compiled, data: Batches, position: Position) -> None:
        self._compiled, self._data, self._position = compiled, data, position
        self._order: dict[str, Any] = {}
        self._sums: list[Any] = []
        self.batch, self.is_open = 0, False

    def begin(self) -> None:
        """An epoch begins, whose order is drawn next."""
        own = self._data.get_extra() if isinstance(self._data, StreamBatches) else {}
        self._order = {f"data/{name}": value for name, value in own.items()}
        if self._compiled.generator is not None:
            self._order["shuffle"] = self._compiled.generator.get_state()

    def go_on(self) -> None:
        """Let the data be at the beginning of the epoch of the file, and the figures where they were."""
        if "shuffle" in self._order:
            self._compiled.shuffling().set_state(self._order["shuffle"])
        own = part(self._order, "data/")
        if own and isinstance(self._data, StreamBatches):
            self._data.set_extra(own)
        self._compiled.take_sums(self._sums)

    def get_extra(self) -> dict[str, Any]:
        """Return what says where the training is within its epoch; nothing at its end."""
        if not self.is_open:
            return {}
        tensors: dict[str, Tensor] = {}
        sums = _without_tensors(self._compiled.sums(), tensors)
        order = {f"order/{name}": value for name, value in self._order.items()}
        return {"batch": self._position.batch, "sums": sums, **tensors, **order}

    def set_extra(self, extra: dict[str, Any]) -> None:
        """Take what `get_extra` gave.

        Raises:
            FileFormatError, KeyError, TypeError, ValueError: for what it never gives.
        """
        batch, most = check_counter("epoch/batch", extra["batch"], 2**53), self._data.steps
        if most is not None and batch >= most:
            raise FileFormatError(f"epoch/batch: expected one below {most}, got {batch}")
        order = part(extra, "order/")
        if "shuffle" in order:
            order["shuffle"] = check_random_state("epoch/order/shuffle", order["shuffle"])
        sums = _with_tensors(extra["sums"], extra)
        if not isinstance(sums, list) or [*map(float, sums[0])] != sums[0] or len(sums[0]) != 2:
            raise FileFormatError("epoch/sums: expected the sums of the loss and of each metric")
        self.batch, self._order, self._sums = batch, order, sums


def _without_tensors(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Return lists and numbers, with the name of a tensor, which is put among `tensors`, in its place."""
    if isinstance(value, Tensor):
        name = f"sum/{len(tensors)}"
        tensors[name] = value.detach().cpu()
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"states": {name: _without_tensors(one, tensors) for name, one in value.items()}}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_without_tensors(one, tensors) for one in value]
    return value


def _with_tensors(value: Any, tensors: Mapping[str, Any]) -> Any:
    """Return what `_without_tensors` was given, with lists for other sequences."""
    if isinstance(value, list):
        return [_with_tensors(one, tensors) for one in value]
    if isinstance(value, dict):
        if "tensor" in value:
            return tensors[value["tensor"]]
        return {name: _with_tensors(one, tensors) for name, one in value["states"].items()}
    return value
