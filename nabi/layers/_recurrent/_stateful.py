"""The states of a stateful layer: keeping, resetting, showing, saving."""

from collections.abc import Sequence
from operator import is_
from typing import Any, cast

import torch
from torch import Tensor

from nabi.errors import ShapeError
from nabi.layers._recurrent._equations import Equations
from nabi.layers._recurrent._states import as_states, pack

__all__ = ["StatefulLayer"]


class StatefulLayer(Equations):
    """A recurrent layer that can keep its final states for the next batch, as buffers `state_0`, ..."""

    def __init__(self, cell: Any, **kwargs: Any) -> None:
        super().__init__(cell, **kwargs)
        self._state_count = 0
        self._state_names: tuple[str, ...] = ()

    @property
    def state_size(self) -> list[Any]:
        """The size of each state."""
        raise NotImplementedError(f"{type(self).__name__} must define state_size")

    def _create_states(self, states: list[Tensor]) -> None:
        for number, state in enumerate(states):
            self.register_buffer(f"state_{number}", state.detach().to(self.dtype), persistent=False)
        self._state_count = len(states)
        self._state_names = tuple(f"state_{number}" for number in range(len(states)))

    @property
    def states(self) -> list[Any] | None:
        """The kept states of a stateful layer; None unless it is stateful and built."""
        if not self._state_count:
            return None
        return cast(list[Any], pack(self.state_size, self.kept_states()))

    def kept_states(self) -> tuple[Tensor, ...]:
        """Return the states of a stateful layer one after the other."""
        buffers: Any = self._buffers
        kept: tuple[Tensor, ...] = tuple([buffers[name] for name in self._state_names])
        if torch.compiler.is_compiling():
            return kept
        if kept[0].is_inference() and not torch.is_inference_mode_enabled():
            kept = tuple(state.clone() for state in kept)  # training can't use inference tensors
        return kept

    def still_keeps(self, states: Sequence[Tensor]) -> bool:
        """Return whether the kept states are these very tensors, all of them."""
        return all(map(is_, map(self._buffers.get, self._state_names), states))

    def keep_states(self, states: Sequence[Tensor]) -> None:
        """Keep states for the next batch, as many as there are."""
        for name, state in zip(self._state_names, states, strict=True):
            self._buffers[name] = state.detach() if state.requires_grad else state

    def reset_state(self, states: Any = None) -> None:
        """Set the states of a stateful layer to `states`, or as at the beginning; do nothing without states.

        States begin as zero, or as the cell declares. No gradient flows from kept states to learned ones.
        """
        if not self._state_count:
            return
        kept = self.kept_states()
        if states is None:
            self.keep_states(self._beginning(kept))
        else:
            self.keep_states(as_states(self.name, states, self.state_size, kept[0]))

    def _beginning(self, kept: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if self.equations is None or self.program().starts_with_zeros:
            return tuple(torch.zeros_like(state) for state in kept)
        return tuple(state.to(kept[0]) for state in self.first_states(kept[0].shape[0]))

    def reset_states(self, states: Any = None) -> None:
        """Set the states, as `reset_state` (Keras 2's name)."""
        self.reset_state(states)

    def _own_extra(self) -> dict[str, Tensor]:
        kept = (
            {f"state_{number}": state for number, state in enumerate(self.kept_states())}
            if self._state_count
            else {}
        )
        return {**super()._own_extra(), **kept}

    def _set_own_extra(self, key: str, value: Tensor) -> bool:
        if key in self._buffers:
            old = cast(Tensor, self._buffers[key])
            if value.shape != old.shape:
                # Native code relies on the shape for which the layer was built.
                raise ShapeError(
                    f"{key}: {self.name} expected shape {tuple(old.shape)}, got {tuple(value.shape)}"
                )
            self._buffers[key] = value.to(old)
            return True
        return super()._set_own_extra(key, value)
