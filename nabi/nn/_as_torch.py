"""Drop-ins as torch's own modules, for what goes by exact types: quantisation, TorchScript, exporters."""

import copy
import sys
from typing import Any

from torch import nn

from nabi.errors import ArgumentError

__all__ = ["DropIn", "as_torch"]


class DropIn(nn.Module):
    """What drop-ins have in common: each knows how torch makes its namesake."""

    def _make_namesake(self) -> nn.Module:
        """Return torch's module, made with the same arguments; its weights are on the meta device."""
        raise NotImplementedError(f"{type(self).__name__} must make torch's module")

    def _prepare(self) -> None:
        """Set what is kept beside torch's own attributes: the cell's programs and the names of weights."""
        raise NotImplementedError(f"{type(self).__name__} must look up its programs")

    def _namesake(self, memo: dict[int, Any] | None = None) -> nn.Module:
        made = self._make_namesake()
        if set(self._parameters) != set(made._parameters):
            raise ArgumentError(
                f"{type(self).__name__}: a weight is computed, by a parametrization or by pruning; "
                "undo that first, for instance with torch.nn.utils.parametrize.remove_parametrizations"
            )
        for name, weight in self._parameters.items():
            setattr(made, name, weight if memo is None else copy.deepcopy(weight, memo))
        return made.train(self.training)

    def __prepare_scriptable__(self) -> nn.Module:
        # torch.jit.script calls this, and puts what it gets in the place of the module.
        return self._namesake()

    @property
    def qconfig(self) -> Any:
        """Set by quantisation in eager mode, which goes by exact types and would leave a drop-in as it is."""
        try:
            return self.__dict__["_qconfig"]
        except KeyError:
            raise AttributeError("qconfig") from None

    @qconfig.setter
    def qconfig(self, value: Any) -> None:
        if value is not None or _is_to_be_quantised(type(self._make_namesake())):
            raise ArgumentError(
                f"{type(self).__name__}: torch.ao.quantization goes by exact types and knows torch's own "
                "module only; quantise nabi.nn.as_torch(model)"
            )
        self.__dict__["_qconfig"] = value

    @qconfig.deleter
    def qconfig(self) -> None:
        self.__dict__.pop("_qconfig", None)


def _is_to_be_quantised(kind: type[nn.Module]) -> bool:
    """Whether the caller, which sets this on every module, was asked to quantise modules of a type."""
    frame = sys._getframe(2)
    for _ in range(6):
        asked = frame.f_locals.get("qconfig_dict")
        if isinstance(asked, dict):
            return kind in asked
        if frame.f_back is None:
            break
        frame = frame.f_back
    return False


def as_torch(module: nn.Module) -> nn.Module:
    """Return a copy of a module in which nabi's drop-ins are torch's own modules, with the same weights.

    For what goes by the exact type of a module: `torch.ao.quantization.quantize_dynamic`, exporters, programs
    that run without nabi. Hooks on the drop-ins are not taken over.

    Args:
        module: a drop-in, or any module that holds some.

    Raises:
        ArgumentError: a weight of a drop-in is computed, by a parametrization or by pruning.

    Example:
        >>> import torch, nabi.nn
        >>> type(nabi.nn.as_torch(nabi.nn.LSTM(3, 5)))
        <class 'torch.nn.modules.rnn.LSTM'>
    """
    memo: dict[int, Any] = {}
    for inner in module.modules():
        if isinstance(inner, DropIn):
            memo[id(inner)] = inner._namesake(memo)
    return copy.deepcopy(module, memo)
