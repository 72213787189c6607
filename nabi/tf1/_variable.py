"""A weight with the name it had in TensorFlow 1."""

from typing import Any

import torch
from torch import Tensor

__all__ = ["Variable"]


class Variable(torch.nn.Parameter):
    """A torch parameter with a `.name`, for example `basic_lstm_cell/kernel:0`."""

    _label: str = ""

    def __new__(cls, data: Tensor, requires_grad: bool = True, name: str = "") -> "Variable":
        """Create a parameter from the values of `data`."""
        variable = super().__new__(cls, data, requires_grad)
        variable._label = name
        return variable

    def __deepcopy__(self, memo: dict[int, Any]) -> "Variable":
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.data.clone(), self.requires_grad, self._label)
        copied: Variable = memo[id(self)]
        return copied

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        # torch would make a plain parameter, without the name.
        return Variable, (self.data.as_subclass(Tensor), self.requires_grad, self._label)

    @property
    def name(self) -> Any:
        """The name under which TensorFlow 1 saved the variable, without the scopes around the cell."""
        return self._label

    def numpy(self, *, force: bool = False) -> Any:
        """Return the values as a NumPy array, detached from the autograd graph."""
        return self.detach().as_subclass(Tensor).numpy(force=force)
