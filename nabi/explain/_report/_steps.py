"""Which steps of a sequence spoke for a classifier's answer: gradient times input."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["Reading", "contributions", "watched_reading"]

Reading = list[tuple[Tensor, Tensor]]
"""What a network on sequences was given, call by call: sequences `[B, T, ...]` and their lengths `[B]`."""


@contextmanager
def watched_reading(model: Any) -> Iterator[Reading]:
    """Collect what the network of a classifier of sequences is given while the body runs.

    Of a model of another kind nothing is collected.
    """
    seen: Reading = []
    networks = getattr(getattr(model, "network", None), "members", None)
    if networks is None:
        yield seen
        return

    def look(_: Any, given: tuple[Any, ...]) -> None:
        seen.append((given[0], given[1]))

    hook = networks[0].register_forward_pre_hook(look)
    try:
        yield seen
    finally:
        hook.remove()


def contributions(model: Any, reading: Reading, label: str) -> npt.NDArray[np.float64] | None:
    """Return how much each step of the first sequence that was read speaks for a class, `[T']`.

    It is the gradient of the log-odds of the class with respect to the vector that the network reads at a
    step, times the difference of that vector from the mean vector of the sequence: what the log-odds would
    lose, to first order, if the step were like the average step. Several networks are averaged.

    Returns:
        None where the model does not give one class to a sequence, and for a sequence of one step.
    """
    if not reading or model.network.answer != "class":
        return None
    x, lengths = reading[0][0][:1], reading[0][1][:1]
    x = x[:, : int(lengths[0])]
    place = list(map(str, model.labels.names)).index(label)
    total: npt.NDArray[np.float64] | None = None
    for network in model.network.members:
        found = _of_network(network, x, lengths, place)
        total = found if total is None else total + found
    assert total is not None
    return total / len(model.network.members) if len(total) > 1 else None


def _of_network(network: Any, x: Tensor, lengths: Tensor, place: int) -> npt.NDArray[np.float64]:
    kept: list[Tensor] = []

    def cut(_: Any, __: Any, output: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        # From here on gradients are wanted, and none of what lies before.
        kept.append(output[0].detach().requires_grad_())
        return kept[0], output[1]

    hook = network.front.register_forward_hook(cut)
    try:
        with torch.enable_grad():
            logits = network(x, lengths)[0][0]
            others = torch.cat([logits[:place], logits[place + 1 :]])
            (gradient,) = torch.autograd.grad(logits[place] - others.logsumexp(0), kept[0])
    finally:
        hook.remove()
    vectors = kept[0].detach()
    moved = gradient * (vectors - vectors.mean(1, keepdim=True))
    found: npt.NDArray[np.float64] = moved[0].sum(-1).double().numpy()
    return found
