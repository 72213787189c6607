"""A PyTorch model whose recurrent modules become nabi's, and back."""

import warnings
from collections.abc import Iterator

import torch
from torch import nn

from nabi import _checks
from nabi._public import public
from nabi.errors import ArgumentError
from nabi.nn import DropIn, become_drop_in, become_torch, drop_in_of, namesake_of, why_left

__all__ = ["check_module", "from_torch", "to_torch"]

_RECURRENT = "RNN, LSTM, GRU, RNNCell, LSTMCell, GRUCell"


@public
def from_torch(module: nn.Module) -> nn.Module:
    """Let nabi run the recurrent modules of a PyTorch model: `torch.nn.LSTM` becomes `nabi.nn.LSTM`, etc.

    The model is changed in place. Every `RNN`, `LSTM`, `GRU`, `RNNCell`, `LSTMCell` and `GRUCell` in it stays
    the object that it is, with the same parameters, names, hooks, mode, data type and device, and gets nabi's
    class. So optimizers, shared submodules and lists that hold it remain valid, and the `state_dict` has the
    same keys. Weights that are computed (parametrizations, weight normalisation, pruning) stay computed.

    Left as they are, with a warning that names them: classes derived from torch's, because they may do
    something else; modules whose `forward` was replaced; modules prepared for quantisation; TorchScript.

    Args:
        module: any module; a recurrent module itself, too.

    Returns:
        The module.

    Raises:
        ArgumentError: it is no module.

    Example:
        >>> import torch
        >>> from nabi.interchange import from_torch
        >>> lstm = torch.nn.LSTM(3, 5, batch_first=True)
        >>> tagger = torch.nn.ModuleDict({"rnn": lstm, "read_out": torch.nn.Linear(5, 2)})
        >>> optimizer = torch.optim.Adam(tagger.parameters())
        >>> from_torch(tagger)["rnn"] is lstm, type(lstm)
        (True, <class 'nabi.nn._torch_layers.LSTM'>)
    """
    check_module("module", module)
    chosen, left, known = [], [], False
    for path, one in _parts(module):
        known = known or isinstance(one, DropIn)
        reason = _of_script(one) or why_left(one)
        if reason is not None:
            left.append(f"{path} ({reason})")
        elif drop_in_of(one) is not None:
            chosen.append(one)
    for one in chosen:
        become_drop_in(one)
    if left:
        warnings.warn(f"from_torch: left as they are: {'; '.join(left)}", stacklevel=_LEVEL)
    elif not chosen and not known:
        warnings.warn(
            f"from_torch: {type(module).__name__} has no recurrent module of torch's ({_RECURRENT})",
            stacklevel=_LEVEL,
        )
    return module


@public
def to_torch(module: nn.Module) -> nn.Module:
    """Turn nabi's drop-ins in a model into torch's own modules: what `from_torch` does, undone.

    The model is changed in place, as by `from_torch`; `nabi.nn.as_torch` makes a copy instead. A
    `nabi.nn.RNN` of a cell that torch has as well (`nabi.cells.LSTM`, `GRU`, `SimpleRNN`, or your own with
    such equations) becomes torch's module, too. Its weights are new parameters then, in torch's order and
    with two biases, and it gives its states as torch does: make the optimizer afterwards.

    Args:
        module: any module; a drop-in itself, too.

    Returns:
        The module.

    Raises:
        ArgumentError: it is no module, or parts of it are nabi's and torch has no such module: other cells,
            layers of `nabi.layers`. The message names all of them, and nothing has been changed.

    Example:
        >>> import torch, nabi.nn
        >>> from nabi.interchange import to_torch
        >>> type(to_torch(nabi.nn.GRU(3, 5)))
        <class 'torch.nn.modules.rnn.GRU'>
    """
    check_module("module", module)
    chosen, refused = [], []
    for path, one in _parts(module):
        if namesake_of(one) is not None:
            chosen.append(one)
        elif _is_of_nabi(one):
            names = dict.fromkeys(type(part).__name__ for part in (one, getattr(one, "cell", one)))
            refused.append(f"{path} ({' of '.join(names)})")
    if refused:
        raise ArgumentError(
            f"module: expected nothing of nabi's but {_RECURRENT} of nabi.nn, and RNNs "
            f"of cells that torch has, got {'; '.join(refused)}"
        )
    for one in chosen:
        become_torch(one)
    return module


def check_module(name: str, value: object) -> None:
    """Check that an argument is a module, and not a class or the weights of one.

    Raises:
        ArgumentError: it is not.
    """
    if not isinstance(value, nn.Module):
        hint = "; make one, and give that" if isinstance(value, type) else ""
        raise ArgumentError(f"{name}: expected a torch module, got {_checks.short(value)}{hint}")


# `public` calls the function, and the user calls that.
_LEVEL = 3


def _parts(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield each module once, with its path; a shared one has the path of its first place."""
    for path, one in module.named_modules():
        yield path or "the module itself", one


def _is_of_nabi(module: nn.Module) -> bool:
    return any(kind.__module__.partition(".")[0] == "nabi" for kind in type(module).__mro__)


def _of_script(module: nn.Module) -> str | None:
    if isinstance(module, torch.jit.ScriptModule):
        name = getattr(module, "original_name", "")
        if name in _RECURRENT.split(", "):
            return f"a {name} in TorchScript, which is compiled already; replace it before torch.jit.script"
    return None
