"""Drop-ins for torch.nn.RNNCell, LSTMCell and GRUCell: one step."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from nabi.native import is_watched
from nabi.nn._as_torch import DropIn
from nabi.nn._graph_leaf import is_proxy, leaf
from nabi.nn._stack import States
from nabi.nn._torch_step import is_for_kernel, quick_step
from nabi.nn._torch_weights import families_of, torch_cell, weight_names
from nabi.scan import autocast_dtype, step

__all__ = ["GRUCell", "LSTMCell", "RNNCell"]

_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class RNNCell(DropIn, nn.RNNCell):
    """Drop-in for `torch.nn.RNNCell`: takes its arguments, loads its `state_dict`, gives the same numbers.

    Args:
        input_size, hidden_size, bias, nonlinearity, device, dtype: as torch.

    Raises:
        UnknownNameError: `nonlinearity` is not known.

    Example:
        >>> import torch, nabi.nn
        >>> nabi.nn.RNNCell(3, 5)(torch.zeros(4, 3)).shape
        torch.Size([4, 5])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._prepare()

    def _prepare(self) -> None:
        cell = torch_cell(f"RNN_{self.nonlinearity.upper()}", self.hidden_size, self.bias)
        # Looked up here and not in forward: torch.compile cannot trace the tracing of a cell.
        self._program = cell.program(self.input_size)
        self._names = weight_names(self._program, "")

    @property
    def _operator(self) -> Callable[..., Any] | None:
        return {"tanh": torch.rnn_tanh_cell, "relu": torch.rnn_relu_cell}.get(self.nonlinearity)

    def _make_namesake(self) -> nn.Module:
        return nn.RNNCell(
            self.input_size, self.hidden_size, bias=self.bias, nonlinearity=self.nonlinearity, device="meta"
        )

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """Take one step from `input [B, input_size]` and `hx [B, hidden_size]` (or both without `B`).

        Raises:
            RuntimeError, ValueError: as torch.
        """
        if is_proxy(input):
            return cast(Tensor, leaf(self, input, hx))
        return _step(self, input, None if hx is None else (hx,), ("hidden",), super().forward)[0]


class GRUCell(DropIn, nn.GRUCell):
    """Drop-in for `torch.nn.GRUCell`: takes its arguments, loads its `state_dict`, gives the same numbers.

    Args:
        input_size, hidden_size, bias, device, dtype: as torch.

    Example:
        >>> import torch, nabi.nn
        >>> nabi.nn.GRUCell(3, 5)(torch.zeros(4, 3)).shape
        torch.Size([4, 5])
    """

    _operator = staticmethod(torch.gru_cell)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._prepare()

    def _prepare(self) -> None:
        self._program = torch_cell("GRU", self.hidden_size, self.bias).program(self.input_size)
        self._names = weight_names(self._program, "")

    def _make_namesake(self) -> nn.Module:
        return nn.GRUCell(self.input_size, self.hidden_size, bias=self.bias, device="meta")

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """Take one step from `input [B, input_size]` and `hx [B, hidden_size]` (or both without `B`).

        Raises:
            RuntimeError, ValueError: as torch.
        """
        if is_proxy(input):
            return cast(Tensor, leaf(self, input, hx))
        return _step(self, input, None if hx is None else (hx,), ("hidden",), super().forward)[0]


class LSTMCell(DropIn, nn.LSTMCell):
    """Drop-in for `torch.nn.LSTMCell`: takes its arguments, loads its `state_dict`, gives the same numbers.

    Args:
        input_size, hidden_size, bias, device, dtype: as torch.

    Example:
        >>> import torch, nabi.nn
        >>> h, c = nabi.nn.LSTMCell(3, 5)(torch.zeros(4, 3))
        >>> h.shape, c.shape
        (torch.Size([4, 5]), torch.Size([4, 5]))
    """

    _operator = staticmethod(torch.lstm_cell)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._prepare()

    def _prepare(self) -> None:
        self._program = torch_cell("LSTM", self.hidden_size, self.bias).program(self.input_size)
        self._names = weight_names(self._program, "")

    def _make_namesake(self) -> nn.Module:
        return nn.LSTMCell(self.input_size, self.hidden_size, bias=self.bias, device="meta")

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Take one step from `input [B, input_size]` and `(h, c)`, each `[B, hidden_size]` (or without `B`).

        Raises:
            RuntimeError, ValueError: as torch.
        """
        if is_proxy(input):
            return cast(tuple[Tensor, Tensor], leaf(self, input, hx))
        states = None if hx is None else (hx[0], hx[1])
        h, c = _step(self, input, states, ("hx[0]", "hx[1]"), super().forward)
        return h, c


def _step(
    module: Any,
    input: Tensor,
    states: States | None,
    names: tuple[str, ...],
    of_torch: Callable[..., Any],
) -> States:
    """Take a step: by the kernel, by torch's own cell where that is faster, or by the definition."""
    if not (torch.compiler.is_compiling() or torch._C._is_any_autocast_enabled() or is_watched()):
        if input.dim() == 2 and is_for_kernel(module._program, input.shape[0]):
            found = quick_step(module, input, states)
            if found is not None:
                return found
        return _torch_step(module, input, states, of_torch)
    kind = module._get_name()
    if input.dim() not in (1, 2):
        raise ValueError(f"{kind}: Expected input to be 1D or 2D, got {input.dim()}D instead")
    for name, state in zip(names, states or (), strict=False):
        if state.dim() not in (1, 2):
            raise ValueError(f"{kind}: Expected {name} to be 1D or 2D, got {state.dim()}D instead")
    batched = input.dim() == 2
    if not batched:
        input = input.unsqueeze(0)
        states = None if states is None else tuple([state.unsqueeze(0) for state in states])
    if states is None:
        states = tuple([input.new_zeros(input.size(0), module.hidden_size) for _ in names])
    weights = {name: getattr(module, name) for name in _WEIGHTS}
    _check_sizes(module, input, states)
    dtype = autocast_dtype(input)
    if dtype is None:
        _check_dtypes(weights["weight_ih"].dtype, input, states)
        new = step(module._program, input, states, families_of(module._program, weights, input.dtype))
    else:
        with torch.autocast(input.device.type, enabled=False):
            tensors = families_of(module._program, weights, dtype)
            new = step(module._program, input.to(dtype), [state.to(dtype) for state in states], tensors)
    return new if batched else tuple([state.squeeze(0) for state in new])


def _torch_step(module: Any, input: Tensor, states: States | None, of_torch: Callable[..., Any]) -> States:
    """Take a step by torch's own cell.

    Its operator is called without the way through `forward`, which looks each weight up as an attribute: that
    takes a tenth of a small step.
    """
    weights = module._parameters
    operator = module._operator
    if (
        operator is None
        or states is None
        or len(weights) != len(_WEIGHTS)
        or (input.dim(), states[0].dim(), states[-1].dim()) != (2, 2, 2)
    ):
        new = of_torch(input, states if states is None or len(states) == 2 else states[0])
        return (new,) if isinstance(new, Tensor) else tuple(new)
    new = operator(input, states if len(states) == 2 else states[0], *[weights[name] for name in _WEIGHTS])
    return (new,) if len(states) == 1 else tuple(new)


def _check_sizes(module: Any, input: Tensor, states: States) -> None:
    if input.size(1) != module.input_size:
        raise RuntimeError(
            f"input has inconsistent input_size: got {input.size(1)} expected {module.input_size}"
        )
    for index, state in enumerate(states):
        if input.size(0) != state.size(0):
            raise RuntimeError(
                f"Input batch size {input.size(0)} doesn't match hidden{index} batch size {state.size(0)}"
            )
        if state.dim() != 2 or state.size(1) != module.hidden_size:
            given = state.size(1) if state.dim() > 1 else list(state.shape)
            raise RuntimeError(
                f"hidden{index} has inconsistent hidden_size: got {given}, expected {module.hidden_size}"
            )


def _check_dtypes(dtype: torch.dtype, input: Tensor, states: States) -> None:
    for value in (input, *states):
        if value.dtype != dtype:
            raise RuntimeError(
                f"input and states must have the dtype of the weights, {dtype}, but one has {value.dtype}"
            )
