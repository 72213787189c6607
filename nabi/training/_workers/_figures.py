"""Losses and metrics of all workers made one: sums and counts are added up, never means of means."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nabi.errors import ArgumentError
from nabi.training._compiled import Compiled
from nabi.training._multi_output import Losses
from nabi.training._workers._group import Workers

__all__ = ["figures_of_all"]


def figures_of_all(
    workers: Workers, compiled: Compiled, prefix: str = "", *, loss_is_of_all: bool = True
) -> dict[str, Any]:
    """Return the loss and the metrics of all workers' batches since the last reset; each keeps its own state.

    Args:
        workers: all of them, which must all ask.
        compiled: whose figures.
        prefix: before each name.
        loss_is_of_all: whether the loss is already that of whole batches, as after a step of training.
    """
    counting = [*_counting(compiled, loss_is_of_all)]
    own = [one.sums() for one in counting]
    of_all = workers.gather(own)
    with _having(counting, list(zip(*of_all, strict=True)), own):
        return compiled.figures(prefix)


def _counting(compiled: Compiled, loss_is_of_all: bool) -> Iterator[Any]:
    if not loss_is_of_all:
        yield compiled.mean_loss
    if isinstance(compiled.loss, Losses):
        yield from compiled.loss.means
    for metric in compiled.metrics:
        if not hasattr(metric, "take_sums"):
            raise ArgumentError(
                f"metrics: {metric.name} has no methods sums and take_sums, so what it counts cannot be "
                "added up over several workers; make it a subclass of nabi.metrics.Metric"
            )
        yield metric


@contextmanager
def _having(counting: list[Any], of_all: list[Any], own: list[Any]) -> Iterator[None]:
    """Let everything that counts have the sums of all workers, while it is entered."""
    try:
        for one, sums in zip(counting, of_all, strict=True):
            one.take_sums(sums)
        yield
    finally:
        for one, sums in zip(counting, own, strict=True):
            one.take_sums([sums])
