"""The interface of models that can be decoded."""

from typing import Any, Protocol

from torch import Tensor

from nabi.errors import ArgumentError

__all__ = ["Decodable", "select_rows"]


class Decodable(Protocol):
    """A model that reads a code, keeps a state, and predicts the probability of each next code.

    The state is opaque to the decoder. `step` must not modify it, since several beams may continue from one
    state.
    """

    def step(self, codes: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Read one code of each row.

        Args:
            codes: `[B]`, int64.
            state: after the codes read before.

        Returns:
            The log probability of each next code, `[B, V]` (-inf for a forbidden one), and the new state.
        """

    def select(self, state: Any, rows: Tensor) -> Any:
        """Return the state of these rows `[N]`, int64, in this order; rows may be repeated."""


def select_rows(state: Any, rows: Tensor, axis: int = 0) -> Any:
    """Return the rows of all tensors in a state of tuples, lists and dictionaries, as `Decodable.select`.

    Args:
        state: tensors with a batch axis, nested in any way; None stays None.
        rows: indices of the rows, `[N]`.
        axis: 0 for states `[B, width]`, 1 for those of `nabi.nn.RNN`, `[layers, B, width]`.

    Raises:
        ArgumentError: for anything else in the state.

    >>> import torch
    >>> select_rows((torch.tensor([[1], [2], [3]]), None), torch.tensor([2, 0]))
    (tensor([[3],
            [1]]), None)
    """
    if state is None:
        return None
    if isinstance(state, Tensor):
        return state.index_select(axis, rows)
    if isinstance(state, dict):
        return {name: select_rows(part, rows, axis) for name, part in state.items()}
    if isinstance(state, list | tuple):
        parts = [select_rows(part, rows, axis) for part in state]
        if hasattr(state, "_fields"):  # a named tuple takes positional arguments
            return type(state)(*parts)
        return type(state)(parts)
    raise ArgumentError(
        f"state: expected tensors in tuples, lists or dictionaries, got {type(state).__name__}"
    )
