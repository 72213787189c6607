"""A layer's weights: adding, ordering, freezing, reading, setting, counting, penalties."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from nabi import _checks
from nabi._dtypes import to_numpy
from nabi.errors import ArgumentError, NotReadyError, ShapeError
from nabi.layers._containers import Held, holder_for
from nabi.layers._layer import _regularizers
from nabi.layers._layer._arguments import check_no_constraint, dtype_named
from nabi.layers._layer._claims import claim
from nabi.layers._layer._shapes import product_sum
from nabi.nn import initializers

__all__ = ["Weighted", "collecting", "collecting_losses", "has_penalties"]

# Where torch keeps attributes that are not plain values.
_STORES = ("_parameters", "_buffers", "_modules")
_PLAIN = (bool, int, float, str, type(None))
# Attributes of nabi's own classes whose containers hold no layers, or only layers registered elsewhere too.
_NO_LAYERS = frozenset(
    (
        "_call_losses", "_chain", "_init_arguments", "_initial_weights", "_input", "_readout", "_readouts",
        "_shapes", "_symbolic",
    )
)  # fmt: skip


class _Collecting(threading.local):
    on = False


# Whether penalties of several calls of a layer accumulate, in this thread.
collecting = _Collecting()


@contextmanager
def collecting_losses(root: Any) -> Iterator[None]:
    """Accumulate the penalties of all calls of layers in `root`; otherwise each call replaces the last one's.

    So a layer called twice in a model, or a cell called at every step, is counted for each call.
    """
    if collecting.on or not isinstance(root, torch.nn.Module):
        yield
        return
    for module in root.modules():
        if isinstance(module, Weighted) and module._call_losses:
            module._call_losses = []
    collecting.on = True
    try:
        yield
    finally:
        collecting.on = False


def has_penalties(*layers: Any) -> bool:
    """Whether any of the layers adds penalties: on weights, on outputs, or from its last call."""
    for layer in layers:
        if layer._weight_regularizers or layer._call_losses or layer.activity_regularizer is not None:
            return True
    return False


def _freeze_inside(module: torch.nn.Module, frozen: bool) -> None:
    if isinstance(module, Weighted):
        if frozen:
            module._trainable = False
        frozen = not module._trainable
    if frozen:
        for weight in module._parameters.values():
            if weight is not None and weight.requires_grad:
                weight.requires_grad_(False)
    for child in module._modules.values():
        if child is not None:
            _freeze_inside(child, frozen)


class Weighted(torch.nn.Module):
    """A module with weights in Keras' order and layout; the part of `Layer` that knows about weights."""

    name: str
    built: bool
    # Whether any container may hold layers, as in a user's class.
    _watches_containers = False

    def __init__(self, dtype: torch.dtype, trainable: bool) -> None:
        super().__init__()
        self._dtype = dtype
        self._trainable = trainable
        self._added: set[str] = set()
        self._frozen: set[str] = set()
        self._weight_regularizers: dict[str, Callable[[Tensor], Tensor]] = {}
        self._call_losses: list[Tensor] = []

    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: Any = None,
        name: str | None = None,
        trainable: bool = True,
        regularizer: Any = None,
        dtype: str | torch.dtype | None = None,
        constraint: None = None,
    ) -> torch.nn.Parameter:
        """Create a weight and return it; `initializer` is Glorot's uniform by default.

        It is registered immediately, as `name` or as the attribute to which it is assigned.
        """
        check_no_constraint(constraint=constraint)
        claim(shape, self.name, name)
        make = initializers.get("glorot_uniform" if initializer is None else initializer)
        kind = self._dtype if dtype is None else dtype_named(dtype)
        device = torch.get_default_device()
        if device.type == "meta":  # shapes without memory, for a look at what there would be
            values = torch.empty(tuple(shape), dtype=kind, device=device)
        else:
            # Drawn on the CPU, so that a seed yields the same weights on every device.
            with torch.no_grad(), torch.device("cpu"):
                values = torch.as_tensor(make(tuple(shape), dtype=kind)).to(kind)
        if tuple(values.shape) != tuple(shape):
            raise ShapeError(
                f"initializer: expected values of shape {tuple(shape)}, got {tuple(values.shape)}"
            )
        weight = torch.nn.Parameter(values.to(device), requires_grad=trainable and self._trainable)
        attribute = name if name is not None and name.isidentifier() else f"weight_{len(self._parameters)}"
        while hasattr(self, attribute):
            attribute = f"weight_{len(self._parameters)}" if attribute == name else attribute + "_"
        self.register_parameter(attribute, weight)
        self._added.add(attribute)
        if not trainable:
            self._frozen.add(attribute)
        penalty = _regularizers.get(regularizer)
        if penalty is not None:
            self._weight_regularizers[attribute] = penalty
        return weight

    def register_parameter(self, name: str, param: torch.nn.Parameter | None) -> None:
        """Register a parameter; one created by `add_weight` takes the name of its attribute."""
        super().register_parameter(name, param)
        for old in [old for old in self._added if old != name and self._parameters.get(old) is param]:
            del self._parameters[old]
            self._added.remove(old)
            if old in self._frozen:
                self._frozen = (self._frozen - {old}) | {name}
            if old in self._weight_regularizers:
                self._weight_regularizers[name] = self._weight_regularizers.pop(old)

    def __setattr__(self, name: str, value: Any) -> None:
        # A value that is not and does not replace a weight or a layer can bypass torch's registration.
        if type(value) in _PLAIN and name in (own := self.__dict__) and name not in own.get("_modules", ()):
            own[name] = value
            return
        # As in Keras, layers in an assigned list, dictionary or tuple belong to the layer.
        if type(value) is list and value and all(isinstance(one, torch.nn.Module) for one in value):
            value = torch.nn.ModuleList(value)
        elif (
            isinstance(value, list | dict | tuple) and name not in _NO_LAYERS and "_modules" in self.__dict__
        ):
            found = holder_for(value, also_empty=self._watches_containers)
            if found is not None:
                if name in self._modules:
                    super().__delattr__(name)
                self.__dict__[name], self._modules[name] = found
                self._freeze()
                return
        if isinstance(self.__dict__.get("_modules", {}).get(name), Held):
            del self._modules[name]
            self.__dict__.pop(name, None)
        super().__setattr__(name, value)
        if isinstance(value, torch.nn.Module) and not self.__dict__.get("_trainable", True):
            self._freeze()

    def __delattr__(self, name: str) -> None:
        if isinstance(self._modules.get(name), Held):
            self.__dict__.pop(name, None)
        super().__delattr__(name)

    def _freeze(self) -> None:
        """Freeze everything inside frozen layers, however it got there."""
        _freeze_inside(self, False)

    def __getattr__(self, name: str) -> Any:
        # The same lookup as torch's, at the same cost.
        own = self.__dict__
        for store in _STORES:
            if store in own and name in own[store]:
                return own[store][name]
        found = getattr(type(self), name, None)
        if isinstance(found, property) and found.fget is not None:
            # The property raised AttributeError, which Python hid by calling this method; raise it again.
            return found.fget(self)
        raise self._no_attribute(name)

    def _no_attribute(self, name: str) -> AttributeError:
        """Build the error for a missing attribute."""
        return AttributeError(
            f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self
        )

    def train(self, mode: bool = True) -> Self:
        """Turn training on or off, here and in all inner layers."""
        if not isinstance(mode, bool):
            return super().train(mode)  # type: ignore[unreachable]  # raises torch's error
        self.training = mode
        for child in self._modules.values():
            if type(child) is torch.nn.ModuleList:  # what torch does, in a third of the time
                vars(child)["training"] = mode
                for each in child._modules.values():
                    if each is not None:
                        each.train(mode)
            elif child is not None:
                child.train(mode)
        return self

    @property
    def weights(self) -> list[torch.nn.Parameter]:
        """All weights in Keras' order: the layer's own (trainable first), then those of inner layers."""
        first: list[torch.nn.Parameter] = []
        last: list[torch.nn.Parameter] = []
        for name, weight in self._parameters.items():
            if weight is not None:
                # A layer that is frozen keeps its order.
                late = name in self._frozen or (self._trainable and not weight.requires_grad)
                (last if late else first).append(weight)
        found = first + last
        if self._modules:
            found += self._inner_weights(self)
        return list(dict(zip(map(id, found), found, strict=True)).values())

    @staticmethod
    def _inner_weights(module: torch.nn.Module) -> Iterator[torch.nn.Parameter]:
        for child in module._modules.values():
            if isinstance(child, Weighted):
                yield from child.weights
            elif child is not None:
                # Not by `parameters`, which makes names first.
                yield from (weight for weight in child._parameters.values() if weight is not None)
                yield from Weighted._inner_weights(child)

    @property
    def trainable_weights(self) -> list[torch.nn.Parameter]:
        """The weights that an optimizer updates; none from frozen layers."""
        self._freeze()
        return [weight for weight in self.weights if weight.requires_grad]

    @property
    def non_trainable_weights(self) -> list[torch.nn.Parameter]:
        """The weights that an optimizer does not update."""
        self._freeze()
        return [weight for weight in self.weights if not weight.requires_grad]

    variables = weights
    trainable_variables = trainable_weights

    @property
    def trainable(self) -> bool:
        """Whether the weights are trained; setting it freezes or unfreezes inner layers too.

        A compiled model respects newly frozen layers immediately, but must be compiled again after layers are
        unfrozen.
        """
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for name, weight in self._parameters.items():
            if weight is not None:
                weight.requires_grad_(self._trainable and name not in self._frozen)
        for child in self.children():
            for module in child.modules():
                if isinstance(module, Weighted):
                    module.trainable = value
                else:
                    for weight in module.parameters(recurse=False):
                        weight.requires_grad_(self._trainable)

    def get_weights(self) -> list[np.ndarray[Any, Any]]:
        """Return the weights as numpy arrays, in Keras' order and layout.

        NumPy has no bfloat16; such weights are returned as float32, which represents them exactly.
        """
        return [to_numpy(weight).copy() for weight in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set the weights from arrays in the order of `get_weights`; `ShapeError` if shapes do not match."""
        own = self.weights
        if not isinstance(weights, Sequence) or isinstance(weights, str | bytes):
            raise ArgumentError(f"weights: expected a list of arrays, got {_checks.short(weights)}")
        if len(own) != len(weights):
            hint = "" if self.built else "; it is not built yet: call it or build(input_shape) first"
            raise ShapeError(f"weights: {self.name} expected {len(own)} arrays, got {len(weights)}{hint}")
        values = [_as_values(f"weights[{number}]", value) for number, value in enumerate(weights)]
        for number, (weight, value) in enumerate(zip(own, values, strict=True)):
            if weight.shape != value.shape:
                raise ShapeError(
                    f"weights: {self.name} expected shape {tuple(weight.shape)} for array {number}, "
                    f"got {tuple(value.shape)}"
                )
        with torch.no_grad():
            for weight, value in zip(own, values, strict=True):
                weight.copy_(value)

    def count_params(self) -> int:
        """Return the number of weights; `NotReadyError` while the layer is not built."""
        if not self.built:
            raise NotReadyError(f"count_params: {self.name} is not built yet: call it or build(input_shape)")
        return sum(weight.numel() for weight in self.weights)

    @property
    def parameter_count(self) -> int:
        """The number of weights, as `count_params()` returns it."""
        return self.count_params()

    def parameter_sum(self) -> str:
        """Return the sum behind the parameter count, "" if there are no parameters."""
        return product_sum([tuple(weight.shape) for weight in self.weights])

    # Losses -----------------------------------------------------------------------------------------------

    @property
    def losses(self) -> list[Tensor]:
        """The penalties of this layer and the ones inside it."""
        found: list[Tensor] = []
        for module in self.modules():
            if isinstance(module, Weighted):
                for name, penalty in module._weight_regularizers.items():
                    weight = module._parameters[name]
                    # As in Keras, frozen weights add no penalty.
                    if weight is not None and weight.requires_grad:
                        found.append(penalty(weight))
                found.extend(module._call_losses)
        return found

    def add_loss(self, loss: Tensor) -> None:
        """Add a penalty from inside `call`; it is kept until the next call of the layer or its model."""
        self._call_losses.append(loss)

    def regularization_loss(self) -> Tensor | None:
        """Return the sum of all penalties, or None if there are none."""
        losses = self.losses
        return torch.stack([loss.reshape(()) for loss in losses]).sum() if losses else None


def _as_values(argument: str, value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value.detach()
    try:
        values = torch.as_tensor(np.asarray(value))
    except (TypeError, ValueError, RuntimeError):
        raise ArgumentError(f"{argument}: expected an array of numbers, got {_checks.short(value)}") from None
    return values
