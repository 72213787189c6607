"""Layers around another layer: Wrapper, TimeDistributed."""

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor

from nabi._shown import short
from nabi.errors import ArgumentError, ShapeError
from nabi.layers._layer._arguments import Shape
from nabi.layers._layer._base import Layer
from nabi.layers._layer._registry import deserialize, serialize
from nabi.layers._torch_module import as_layer

__all__ = ["TimeDistributed", "Wrapper"]


class Wrapper(Layer):
    """Base class of layers around another layer, available as `layer.layer`.

    Raises `ArgumentError` unless `layer` is a layer.
    """

    def __init__(self, layer: Layer | torch.nn.Module, **kwargs: Any) -> None:
        layer = as_layer(layer)
        if not isinstance(layer, Layer):
            raise ArgumentError(f"layer: expected a layer or a torch module, got {short(layer)}")
        super().__init__(**kwargs)
        self.layer = layer
        if self.declared_input_shape is None:
            self.declared_input_shape = self._outer_shape(layer.declared_input_shape)

    def _outer_shape(self, shape: Shape | None) -> Shape | None:
        """Return this layer's input shape for the inner layer's declared one."""
        return shape

    def build(self, input_shape: Shape) -> None:
        """Build the inner layer."""
        self.layer.build(input_shape)

    def parameter_sum(self) -> str:
        """Return the sum of the inner layer."""
        return self.layer.parameter_sum()

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {**super().get_config(), "layer": serialize(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Make the layer from what `get_config` returned."""
        config = dict(config)
        return cls(deserialize(config.pop("layer"), custom_objects), **config)


class TimeDistributed(Wrapper):
    """Applies a layer to every time step separately: `[B, T, ...]` to `[B, T, ...]`.

    A mask `[B, T, ...]` is passed step by step to a layer that takes one. If each step is itself a sequence,
    `[B, T, S, ...]`, a mask `[B, T]` does not cover its inner steps and is kept for the output. The mask of
    the output is what the layer computes from each step's mask; if it returns none, a step is unmasked if
    anything in it was. So an LSTM over sentences of masked words yields masked sentences.
    Raises `ShapeError` for inputs of fewer than 3 axes and for a mask of another batch or length.

    >>> import torch
    >>> from nabi import layers
    >>> layers.TimeDistributed(layers.Dense(2))(torch.zeros(5, 4, 3)).shape
    torch.Size([5, 4, 2])
    """

    supports_masking = True
    _makes_mask = False

    def __init__(self, layer: Layer | torch.nn.Module, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)

    def _outer_shape(self, shape: Shape | None) -> Shape | None:
        return None  # the inner layer does not know the length

    def _inner(self, shape: Any) -> Any:
        if len(shape) < 3:
            raise ShapeError(
                f"inputs: {self.name} (TimeDistributed) expected 3 axes or more (batch, time, ...), "
                f"got shape {tuple(shape)}"
            )
        return (shape[0], *shape[2:])

    def build(self, input_shape: Shape) -> None:
        """Build the inner layer for one time step."""
        super().build(self._inner(input_shape))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the inner layer's output shape with the time axis inserted."""
        inner = self.layer.compute_output_shape(self._inner(input_shape))
        return (inner[0], input_shape[1], *inner[1:])

    def call(self, inputs: Tensor, training: bool = False, mask: Any = None) -> Tensor:
        """Return the inner layer's outputs for all time steps."""
        self._inner(inputs.shape)
        if mask is not None and tuple(mask.shape[:2]) != tuple(inputs.shape[:2]):
            raise ShapeError(
                # Keras' words, which programs and its own tests look for.
                f"mask: The `mask` passed to the `TimeDistributed` layer has a shape {tuple(mask.shape)}; "
                f"expected the batch and time of the inputs {tuple(inputs.shape)}"
            )
        kind = type(self.layer)
        extra: dict[str, Any] = {"training": training} if kind._takes_training else {}
        if mask is not None and mask.dim() == 2 and inputs.dim() > 3:
            mask = None
        if (kind._takes_mask and mask is not None) or self.layer.stateful or not inputs.shape[1]:
            # Step by step, because only the inner layer knows what a mask means for a batch.
            steps = []
            for t in range(inputs.shape[1]):
                if kind._takes_mask and mask is not None:
                    extra["mask"] = mask[:, t]
                steps.append(self.layer.call(inputs[:, t], **extra))
            if steps:
                return torch.stack(steps, 1)
            shape = self.compute_output_shape(tuple(inputs.shape))
            return inputs.new_zeros([0 if one is None else one for one in shape])
        # The steps of all rows form one large batch.
        outputs: Tensor = self.layer.call(inputs.flatten(0, 1), **extra)
        return outputs.reshape(*inputs.shape[:2], *outputs.shape[1:])

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask `[B, T, ...]` of the outputs."""
        if mask is None or mask.dim() == 2 or inputs.dim() == 3:
            return mask
        steps = mask.flatten(0, 1)
        if self.layer.supports_masking:
            inner = self.layer.compute_mask(inputs.flatten(0, 1), steps)
            if inner is not None:
                return inner.unflatten(0, mask.shape[:2])
        return mask.flatten(2).any(2)
