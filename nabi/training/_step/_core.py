"""A layer's part in a step without autograd, and the parts of the layers that know no time."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from nabi import activations
from nabi.kernels import Kept, SmallDense, SmallDropout, draw_keys, small_dense, small_dropout
from nabi.layers import RNN, Activation, Dense, Dropout, Flatten
from nabi.native.bound import BoundPass

__all__ = [
    "ActivationPass",
    "DensePass",
    "DropoutPass",
    "FlattenPass",
    "Function",
    "Pass",
    "Shape",
    "is_known",
]

Shape = tuple[int, ...]
Function = Callable[[Tensor], Tensor]


class Pass(ABC):
    """A layer in a step of training: `forward`, then `backward`, again and again; gradient mode is off.

    Attributes:
        takes_masks: whether steps of its input may be masked.
        needs_padding_last: whether the masked steps must then be the last of their rows.
        ends_masks: whether its output has no steps any more.
        is_view: whether its output lies where its input does, and its cotangent too.
        stateful_layer: the layer, if it keeps states from batch to batch.
        random_layer: the layer, if it draws random numbers.
    """

    takes_masks: bool = False
    needs_padding_last: ClassVar[bool] = False
    ends_masks: bool = False
    is_view: bool = False
    stateful_layer: RNN | None = None
    random_layer: Dropout | None = None

    @abstractmethod
    def fits(self, shape: Shape) -> Shape | None:
        """Return the shape of the output for inputs of a shape; None if the layer refuses it."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Return the output in training."""

    @abstractmethod
    def backward(self, cotangent: Tensor, need_input: bool) -> Tensor | None:
        """Set `grad` of the weights; return the gradient of the input if it is needed."""

    def mask(self, mask: Tensor | None) -> Tensor | None:
        """Take the mask `[B, T, 1]` of the next batch, None if all steps count; return that of the output."""
        return mask

    def accepts(self, x: Tensor) -> bool:
        """Return whether native code may take an input of the right shape, where that is not sure."""
        return True

    def bound(self, need_input: bool) -> BoundPass | None:
        """Return what it did last, forward and backward, as two runs of kernels; None if it was more.

        Args:
            need_input: whether the gradient of the input was needed.
        """
        return None


# Activations ----------------------------------------------------------------------------------------------


def _relu_backward(cotangent: Tensor, y: Tensor) -> Tensor:
    found: Tensor = torch.ops.aten.threshold_backward.default(cotangent, y, 0)
    return found


def _tanh_backward(cotangent: Tensor, y: Tensor) -> Tensor:
    found: Tensor = torch.ops.aten.tanh_backward.default(cotangent, y)
    return found


def _sigmoid_backward(cotangent: Tensor, y: Tensor) -> Tensor:
    found: Tensor = torch.ops.aten.sigmoid_backward.default(cotangent, y)
    return found


def _softmax_backward(cotangent: Tensor, y: Tensor) -> Tensor:
    return torch._softmax_backward_data(cotangent, y, -1, y.dtype)


class _Known(NamedTuple):
    """An activation whose derivative follows from its output.

    Attributes:
        native: its name in native code, which applies it together with a product; None where it does not.
        backward: the operator that autograd calls, given the cotangent and the output; None for the identity.
    """

    native: str | None
    backward: Callable[[Tensor, Tensor], Tensor] | None


_KNOWN: dict[Any, _Known] = {
    activations.linear: _Known("linear", None),
    activations.relu: _Known("relu", _relu_backward),
    activations.tanh: _Known("tanh", _tanh_backward),
    activations.sigmoid: _Known("sigmoid", _sigmoid_backward),
    activations.softmax: _Known(None, _softmax_backward),
}


def is_known(function: Function) -> bool:
    """Whether the derivative of an activation is among those here."""
    return any(function is known for known in _KNOWN)  # a callable of the user's may have no hash


class ActivationPass(Pass):
    """An activation function."""

    takes_masks = True

    def __init__(self, function: Function) -> None:
        self._function, self._derivative = function, _KNOWN[function].backward
        self.is_view = self._derivative is None
        self._y: Tensor | None = None

    @classmethod
    def of(cls, layer: Activation, function: Function | None) -> "ActivationPass | None":
        """The part of a layer, perhaps with another function; None where its derivative is not known."""
        function = layer.activation if function is None else function
        return cls(function) if is_known(function) else None

    def fits(self, shape: Shape) -> Shape | None:
        """Every shape with a batch and features."""
        return shape if len(shape) > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        """The function of the inputs."""
        if self._derivative is None:
            return x
        self._y = y = self._function(x)
        return y

    def backward(self, cotangent: Tensor, need_input: bool) -> Tensor:
        """The cotangent times the derivative."""
        y, self._y = self._y, None
        return cotangent if self._derivative is None or y is None else self._derivative(cotangent, y)


# Layers ---------------------------------------------------------------------------------------------------


class DensePass(Pass):
    """`activation(x · kernel + bias)`."""

    takes_masks = True

    def __init__(self, layer: Dense, function: Function) -> None:
        self._kernel, self._bias = layer.kernel, layer.bias
        self._inputs, self._units = layer.kernel.shape
        self._turned = layer.kernel.detach().t()
        known = _KNOWN[function]
        self._own = known.native or "linear"
        # What follows the layer's own products, and what native code leaves to follow.
        self._activation = None if known.backward is None else ActivationPass(function)
        self._left = self._activation if known.native is None else None
        self._x: Tensor | None = None
        self._rows = 0
        self._small: SmallDense | None = None

    @classmethod
    def of(cls, layer: Dense, function: Function | None) -> "DensePass | None":
        """The part of a layer, perhaps with another activation; None where its derivative is not known."""
        function = layer.activation if function is None else function
        return cls(layer, function) if is_known(function) else None

    def fits(self, shape: Shape) -> Shape | None:
        """Inputs of the width that the weights were made for."""
        if len(shape) < 2 or shape[-1] != self._inputs:
            return None
        return (*shape[:-1], self._units)

    def forward(self, x: Tensor) -> Tensor:
        """The output for `[..., inputs]`."""
        flat = x.dim() == 2
        rows = x if flat else x.reshape(-1, self._inputs)
        if rows.shape[0] != self._rows:
            self._rows = rows.shape[0]
            self._small = small_dense(self._kernel, self._bias, self._own, self._rows)
        small, activation = self._small, self._left
        if small is not None:
            y = small.forward(rows.contiguous())
        else:
            self._x, bias, activation = rows, self._bias, self._activation
            y = torch.mm(rows, self._kernel) if bias is None else torch.addmm(bias, rows, self._kernel)
        if activation is not None:
            y = activation.forward(y)
        return y if flat else y.view(*x.shape[:-1], self._units)

    def backward(self, cotangent: Tensor, need_input: bool) -> Tensor | None:
        """The gradients of kernel and bias."""
        flat, small = cotangent.dim() == 2, self._small
        activation = self._activation if small is None else self._left
        rows = cotangent if flat else cotangent.reshape(-1, self._units)
        if activation is not None:
            rows = activation.backward(rows, True)
        if small is None:
            found = self._by_torch(rows, need_input)
        else:
            found = small.backward(rows.contiguous(), need_input)
            kernel, bias = self._kernel, self._bias
            if kernel.requires_grad:
                kernel.grad = small.kernel_gradient
            if bias is not None and bias.requires_grad:
                bias.grad = small.bias_gradient
        return found if found is None or flat else found.view(*cotangent.shape[:-1], self._inputs)

    def bound(self, need_input: bool) -> BoundPass | None:
        """Return the runs of native code, where that computes the whole layer."""
        small = self._small
        if small is None or self._left is not None:
            return None
        pairs = (self._kernel, small.kernel_gradient), (self._bias, small.bias_gradient)
        gradients = [
            (weight, gradient)
            for weight, gradient in pairs
            if weight is not None and gradient is not None and weight.requires_grad
        ]
        return small.bound(need_input)._replace(gradients=gradients)

    def _by_torch(self, rows: Tensor, need_input: bool) -> Tensor | None:
        kernel, bias, x = self._kernel, self._bias, self._x
        self._x = None
        assert x is not None
        if kernel.requires_grad:
            kernel.grad = torch.mm(x.t(), rows)
        if bias is not None and bias.requires_grad:
            # Nobody reads the cotangent after this layer, so that one row of it can be the gradient itself.
            bias.grad = rows.sum(0) if rows.shape[0] > 1 else rows.reshape(-1)
        return torch.mm(rows, self._turned) if need_input else None


class DropoutPass(Pass):
    """Dropout, with the layer's own random numbers."""

    takes_masks = True

    def __init__(self, layer: Dropout) -> None:
        self._layer = self.random_layer = layer
        self._kept: Kept | None = None
        self._small: SmallDropout | None = None
        self._shape: torch.Size | None = None
        self._is_small = False

    def fits(self, shape: Shape) -> Shape | None:
        """Every shape that the shape of the noise can be drawn for."""
        noise = self._layer.noise_shape
        return shape if len(shape) > 1 and (noise is None or len(noise) == len(shape)) else None

    def forward(self, x: Tensor) -> Tensor:
        """The inputs, thinned out."""
        layer = self._layer
        small = self._small
        if x.shape != self._shape or (small is not None and small.rate != layer.rate):
            self._shape = x.shape
            small = self._small = small_dropout(x, layer.rate) if layer.noise_shape is None else None
        self._is_small = small is not None and layer.training
        if small is not None and layer.training:
            return small.forward(x.contiguous(), draw_keys((), layer.seed_generator.generator(x.device)))
        self._kept = layer.draw(x) if layer.training else None
        return x if self._kept is None else self._kept.times(x)

    def backward(self, cotangent: Tensor, need_input: bool) -> Tensor:
        """The cotangent, thinned out in the same way."""
        if self._is_small and self._small is not None:
            return self._small.backward(cotangent.contiguous())
        kept, self._kept = self._kept, None
        return cotangent if kept is None else kept.times(cotangent)

    def bound(self, need_input: bool) -> BoundPass | None:
        """Return the runs of native code, where that drew."""
        return self._small.bound() if self._is_small and self._small is not None else None


class FlattenPass(Pass):
    """All axes after the batch made one."""

    is_view = True

    def __init__(self, layer: Flatten) -> None:
        self._shape = torch.Size()

    def fits(self, shape: Shape) -> Shape | None:
        """Every shape with something in it."""
        return (shape[0], torch.Size(shape[1:]).numel()) if len(shape) > 1 and 0 not in shape else None

    def forward(self, x: Tensor) -> Tensor:
        """The inputs as `[B, product]`."""
        self._shape = x.shape
        return x.reshape(x.shape[0], -1)

    def backward(self, cotangent: Tensor, need_input: bool) -> Tensor:
        """The cotangent in the shape of the inputs."""
        return cotangent.reshape(self._shape)
