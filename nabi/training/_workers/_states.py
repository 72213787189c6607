"""States that stateful layers keep: each worker those of its own rows, all of them between two epochs."""

from collections.abc import Iterator
from typing import Any

import torch

from nabi.training._workers._group import Workers

__all__ = ["KeptStates"]


class KeptStates:
    """The kept states of a model's layers.

    While batches are trained on, a worker keeps those of its rows. Callbacks, files and whoever looks at the
    model between two epochs see the states of all rows.
    """

    def __init__(self, workers: Workers, model: torch.nn.Module) -> None:
        self._workers, self._model = workers, model
        self._divided = False

    def _layers(self) -> Iterator[Any]:
        for module in self._model.modules():
            if getattr(module, "_state_count", 0):
                yield module

    def divide(self) -> None:
        """Keep the states of this worker's rows alone."""
        if self._divided:
            return
        for layer in self._layers():
            states = layer.kept_states()
            share = self._workers.share(len(states[0]))
            layer.keep_states([state[share.rows].contiguous() for state in states])
        self._divided = True

    def join(self) -> None:
        """Keep the states of all rows again."""
        if not self._divided:
            return
        for layer in self._layers():
            layer.keep_states([self._workers.all_rows(state) for state in layer.kept_states()])
        self._divided = False
