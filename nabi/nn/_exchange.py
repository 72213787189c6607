"""Torch's recurrent modules turned into drop-ins where they stand, and back.

A module stays the object that it is and only changes its class. So whatever holds it, its weights or its
hooks (parents, lists, optimizers, handles of hooks) goes on holding the right thing.
"""

from typing import Any

from torch import Tensor, nn
from torch.nn.utils import parametrize

from nabi.nn._as_torch import DropIn
from nabi.nn._rnn import RNN
from nabi.nn._torch_cells import GRUCell, LSTMCell, RNNCell
from nabi.nn._torch_layers import GRU, LSTM, ElmanRNN
from nabi.targets.torch_operators import torch_form, torch_weights

__all__ = ["become_drop_in", "become_torch", "drop_in_of", "namesake_of", "why_left"]

_DROP_INS: dict[type[nn.Module], type[DropIn]] = {
    nn.RNN: ElmanRNN,
    nn.LSTM: LSTM,
    nn.GRU: GRU,
    nn.RNNCell: RNNCell,
    nn.LSTMCell: LSTMCell,
    nn.GRUCell: GRUCell,
}
_OF_MODES: dict[str, type[nn.Module]] = {"LSTM": nn.LSTM, "GRU": nn.GRU}
_NAMESAKES = {drop_in: kind for kind, drop_in in _DROP_INS.items()}
# What the two keep under names of their own, and make anew from the rest.
_OF_TORCH = ("_flat_weights", "_flat_weight_refs")
_OF_DROP_INS = ("_cell", "_directions", "_names", "_program", "_programs", "_qconfig")


def _plain_type(module: nn.Module) -> type[nn.Module]:
    """Return the class of a module, without what `torch.nn.utils.parametrize` put on top of it."""
    kind = type(module)
    if parametrize.is_parametrized(module) and len(kind.__bases__) == 1:
        base: type[nn.Module] = kind.__bases__[0]
        if kind.__name__ == f"Parametrized{base.__name__}":
            return base
    return kind


def drop_in_of(module: nn.Module) -> type[DropIn] | None:
    """Return the drop-in for a module of torch's; None for anything else, and for classes derived from it."""
    return _DROP_INS.get(_plain_type(module))


def namesake_of(module: nn.Module) -> type[nn.Module] | None:
    """Return torch's class for a drop-in, or for an `RNN` of a cell with the equations of one of torch's.

    None for anything else, and for classes derived from these.
    """
    if type(module) is RNN:
        if isinstance(module.cell, nn.Module):
            return None
        program = module._programs[0][True]
        # A fixed weight has no counterpart there: it would become one that is trained.
        is_trained = all(family.trained for family in program.families)
        form = torch_form(program) if is_trained else None
        return None if form is None else _OF_MODES.get(form.mode, nn.RNN)
    return _NAMESAKES.get(_plain_type(module))  # type: ignore[arg-type]


def why_left(module: nn.Module) -> str | None:
    """Say why a module that is recurrent, and torch's or derived from that, cannot become a drop-in.

    None for one that can, for a drop-in, and for what is not recurrent.
    """
    if isinstance(module, DropIn):
        return None
    if drop_in_of(module) is None:
        for kind in _DROP_INS:
            if isinstance(module, kind):
                return f"{type(module).__name__} is derived from torch.nn.{kind.__name__}"
        return None
    own = vars(module)
    if "forward" in own:
        return "its forward has been replaced on the object"
    if own.get("qconfig") is not None:
        return "it has been prepared for quantisation"
    if own.get("nonlinearity", "tanh") not in ("tanh", "relu"):
        return f"its nonlinearity is {str(own['nonlinearity'])[:40]!r}"
    return None


def become_drop_in(module: nn.Module) -> None:
    """Turn a module of torch's, for which `drop_in_of` finds one, into its drop-in."""
    made = drop_in_of(module)
    assert made is not None
    own: dict[str, Any] = vars(module)
    for name in _OF_TORCH:
        own.pop(name, None)
    if "qconfig" in own:
        own["_qconfig"] = own.pop("qconfig")
    _change_class(module, made)
    made._prepare(module)  # type: ignore[arg-type]
    if isinstance(module, nn.RNNBase):
        module._init_flat_weights()


def become_torch(module: nn.Module) -> None:
    """Turn a module for which `namesake_of` finds torch's class into torch's module.

    The weights of a drop-in remain the same parameters, those of an `RNN` of a cell become new ones.
    """
    made = namesake_of(module)
    assert made is not None
    own: dict[str, Any] = vars(module)
    if type(module) is RNN:
        hooks = {name: value for name, value in own.items() if "hook" in name}
        found = _made_of_cells(module, made)
        own.clear()
        own.update({**vars(found), **hooks})
        _change_class(module, made)
        return
    qconfig = {"qconfig": own["_qconfig"]} if "_qconfig" in own else {}
    for name in (*_OF_TORCH, *_OF_DROP_INS):
        own.pop(name, None)
    _change_class(module, made)
    own.update(qconfig)
    if isinstance(module, nn.RNNBase):
        module._init_flat_weights()


def _change_class(module: nn.Module, made: type[nn.Module]) -> None:
    kind = type(module)
    if kind is not _plain_type(module):
        # The class that computes the weights is made for this one module: the same on top of another base.
        added = {name: value for name, value in vars(kind).items() if name not in ("__dict__", "__weakref__")}
        made = type(f"Parametrized{made.__name__}", (made,), added)
    module.__class__ = made


def _made_of_cells(module: RNN, made: type[nn.Module]) -> nn.Module:
    """Return torch's module with copies of the weights of an `RNN`, in torch's order and with two biases."""
    forms = [torch_form(programs[True]) for programs in module._programs]
    first = forms[0]
    assert first is not None
    options: dict[str, Any] = {"nonlinearity": first.mode[4:].lower()} if made is nn.RNN else {}
    if first.projection:
        options["proj_size"] = first.projection
    found = made(
        module.input_size, first.units, num_layers=module.num_layers, bias=first.has_biases,
        batch_first=module.batch_first, dropout=module.dropout if module.num_layers > 1 else 0.0,
        bidirectional=module.bidirectional, device="meta", **options,
    )  # fmt: skip
    weights: list[Tensor] = []
    for index in range(len(module._names)):
        form = forms[index // module._directions]
        assert form is not None
        weights += torch_weights(form, [weight.detach() for weight in module._own_weights(index)])
    learned = any(parameter.requires_grad for parameter in module.parameters())
    for (name, _), weight in zip(list(found.named_parameters()), weights, strict=True):
        setattr(found, name, nn.Parameter(weight, requires_grad=learned))
    return found.train(module.training)
