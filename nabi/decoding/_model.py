"""What can be decoded."""

from typing import Any, Protocol

from torch import Tensor

from nabi.errors import ArgumentError

__all__ = ["Decodable", "select_rows"]


class Decodable(Protocol):
    """A model that reads a code, keeps a state, and says how probable each next code is.

    A state is whatever the model makes of it: what is decoded never looks inside. It must not be changed by
    `step`, since several beams may go on from one state.
    """

    def step(self, codes: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Read one code of each row.

        Args:
            codes: `[B]`, int64.
            state: after what the rows have read before.

        Returns:
            The logarithm of the probability of each next code, `[B, V]` (-inf for one that must not come),
            and the new state.
        """

    def select(self, state: Any, rows: Tensor) -> Any:
        """Return the state of these rows `[N]`, int64, in this order; a row may be there several times."""


def select_rows(state: Any, rows: Tensor, axis: int = 0) -> Any:
    """Return the rows of all tensors in a state of tuples, lists and dictionaries, as `Decodable.select`.

    Args:
        state: tensors with the rows of a batch on one axis, nested in any way; None stays None.
        rows: which, `[N]`.
        axis: 0 where states are `[B, width]`, 1 for those of `nabi.nn.RNN`, `[layers, B, width]`.

    Raises:
        ArgumentError: for something else in the state.

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
        if hasattr(state, "_fields"):  # a named tuple takes its parts one by one
            return type(state)(*parts)
        return type(state)(parts)
    raise ArgumentError(
        f"state: got {type(state).__name__}, expected tensors in tuples, lists or dictionaries"
    )
