"""A recurrent layer in both directions of time."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from nabi._shown import short
from nabi.errors import ArgumentError
from nabi.layers._layer._arguments import Shape, check_one_of
from nabi.layers._layer._base import Layer
from nabi.layers._layer._registry import deserialize, serialize
from nabi.layers._recurrent._wrappers import Wrapper

__all__ = ["Bidirectional"]

_MODES = ["concat", "sum", "mul", "ave", None]


class Bidirectional(Wrapper):
    """Runs one recurrent layer forward and another backward over time and merges their outputs.

    `merge_mode` is `"concat"`, `"sum"`, `"mul"`, `"ave"`, or None for two separate outputs. `layer` is copied
    (with fresh weights, named `forward_...`). `backward_layer` must have `go_backwards=True`; by default it
    is a copy in the other direction. With `return_state`, the forward states come before the backward states;
    `initial_state` has the same order. With `return_sequences`, masked steps output zeros.
    With `return_values=["f"]` in the call, the last result is a dictionary with `f_forward`, `f_backward`.
    Raises `ArgumentError` for a layer that is not recurrent and for two that do not match.
    Source: Schuster and Paliwal 1997.

    >>> import torch
    >>> from nabi import layers
    >>> both = layers.Bidirectional(layers.LSTM(4))
    >>> both(torch.zeros(2, 5, 3)).shape, both.parameter_sum()
    (torch.Size([2, 8]), '2 × (4 × (4 + 3 + 1) × 4) = 256')
    """

    supports_masking = True
    only_on_numbers = ("return_values",)
    _makes_mask = False
    _casts_integers = True
    _reads_sequences = True

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Sequence[Any] | None = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ) -> None:
        for argument, one in (("layer", layer), ("backward_layer", backward_layer)):
            if one is None and argument == "backward_layer":
                continue
            if not isinstance(one, Layer) or not hasattr(one, "go_backwards"):
                raise ArgumentError(f"{argument}: expected a recurrent layer, got {short(one)}")
        check_one_of("merge_mode", merge_mode, _MODES)
        forward = _renamed(layer, "forward_")
        super().__init__(forward, weights=weights, **kwargs)
        del self._modules["layer"]  # registered as forward_layer instead
        self.forward_layer: Any = forward
        if backward_layer is None:
            backward_layer = _renamed(layer, "backward_", go_backwards=not layer.go_backwards)
        self.backward_layer: Any = backward_layer
        for name in ("return_sequences", "return_state", "stateful"):
            if getattr(forward, name) != getattr(backward_layer, name):
                raise ArgumentError(
                    f"backward_layer: expected {name}={getattr(forward, name)} as in the forward layer, "
                    f"got {getattr(backward_layer, name)}"
                )
        if forward.go_backwards == backward_layer.go_backwards:
            raise ArgumentError(
                "backward_layer: expected the other direction than the forward layer, got "
                f"go_backwards={backward_layer.go_backwards} in both"
            )
        for one in (forward, backward_layer):
            if hasattr(layer, "use_cudnn"):
                one.use_cudnn = layer.use_cudnn
            one.zero_output_for_mask = one.return_sequences
        self.merge_mode = merge_mode
        self.return_sequences: bool = forward.return_sequences
        self.return_state: bool = forward.return_state
        self.stateful = forward.stateful

    def __getattr__(self, name: str) -> Any:
        if name == "layer":
            return self.forward_layer
        return super().__getattr__(name)

    @property
    def states(self) -> list[Any] | None:
        """The states of the forward layer, then of the backward layer; None unless they are stateful."""
        forward, backward = self.forward_layer.states, self.backward_layer.states
        return None if forward is None or backward is None else [*forward, *backward]

    def build(self, input_shape: Shape) -> None:
        """Build both layers."""
        for one in (self.forward_layer, self.backward_layer):
            one.build(input_shape)

    def call(
        self,
        inputs: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool = False,
        *,
        return_values: Sequence[str] | None = None,
        **further: Any,
    ) -> Any:
        """Return the merged outputs, the states of both directions if `return_state`, and values if asked."""
        if isinstance(inputs, list | tuple):  # Keras 2: a list of the inputs and then the states
            inputs, initial_state = inputs[0], list(inputs[1:]) or initial_state
        first, second = None, None
        if initial_state is not None:
            initial_state = list(initial_state)
            if len(initial_state) % 2:
                raise ArgumentError(
                    f"initial_state: {self.name} expected as many backward states as forward states, "
                    f"got {len(initial_state)}"
                )
            half = len(initial_state) // 2
            first, second = initial_state[:half], initial_state[half:]
        if return_values is not None:
            further["return_values"] = return_values
        forward = self.forward_layer(inputs, initial_state=first, mask=mask, training=training, **further)
        backward = self.backward_layer(inputs, initial_state=second, mask=mask, training=training, **further)
        results: tuple[Any, ...] = ()
        if return_values is not None:
            *forward, ahead = forward
            *backward, back = backward
            results = (
                {f"{name}_forward": value for name, value in ahead.items()}
                | {f"{name}_backward": value for name, value in back.items()},
            )
        if self.return_state:
            results = (*forward[1:], *backward[1:], *results)
        if self.return_state or return_values is not None:
            forward, backward = forward[0], backward[0]
        if self.return_sequences:
            backward = backward.flip(0 if getattr(self.backward_layer, "time_major", False) else 1)
        merged = self._merge(forward, backward)
        results = (*merged, *results) if self.merge_mode is None else (merged, *results)
        return results if len(results) > 1 else merged

    def _merge(self, forward: Tensor, backward: Tensor) -> Any:
        if self.merge_mode == "concat":
            return torch.cat([forward, backward], -1)
        if self.merge_mode == "sum":
            return forward + backward
        if self.merge_mode == "ave":
            return (forward + backward) / 2
        if self.merge_mode == "mul":
            return forward * backward
        return forward, backward

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask for sequences of outputs, None for last outputs and states."""
        mask = mask[0] if isinstance(mask, list | tuple) else mask
        own = mask if self.return_sequences else None
        if own is not None and self.forward_layer.go_backwards:
            own = own.flip(0 if getattr(self.forward_layer, "time_major", False) else 1)
        masks = [own, own] if self.merge_mode is None else [own]
        if self.return_state:
            both = (self.forward_layer, self.backward_layer)
            masks += [None] * sum(len(layer.state_size) for layer in both)
        return masks if len(masks) > 1 else own

    def compute_output_shape(self, input_shape: Shape) -> Any:
        """Return the shape of the merged output, followed by those of the states if `return_state`."""
        shape = self.forward_layer.compute_output_shape(input_shape)
        other = self.backward_layer.compute_output_shape(input_shape)
        states: tuple[Any, ...] = ()
        if self.return_state:
            states = (*shape[1:], *other[1:])
            shape, other = shape[0], other[0]
        if self.merge_mode is None:
            return (shape, other, *states)
        if self.merge_mode == "concat":
            shape = (*shape[:-1], shape[-1] + other[-1])
        return (shape, *states) if self.return_state else shape

    def parameter_sum(self) -> str:
        """Return twice the sum of one direction, or both sums if they differ."""
        if not self.built:
            return ""
        sums = [one.parameter_sum().rpartition(" = ")[0] for one in (self.forward_layer, self.backward_layer)]
        text = f"2 × ({sums[0]})" if sums[0] == sums[1] else " + ".join(sums)
        return f"{text} = {self.count_params():,}"

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {
            **Layer.get_config(self),
            "merge_mode": self.merge_mode,
            "layer": serialize(self.forward_layer),
            "backward_layer": serialize(self.backward_layer),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Make the layer from what `get_config` returned."""
        config = dict(config)
        backward = config.pop("backward_layer", None)
        if backward is not None:
            config["backward_layer"] = deserialize(backward, custom_objects)
        return cls(deserialize(config.pop("layer"), custom_objects), **config)


def _renamed(layer: Any, prefix: str, **changes: Any) -> Any:
    """Return a layer with the same configuration, fresh weights and a prefixed name."""
    name = prefix + layer.name.removeprefix(prefix)
    if not layer.built and not layer.weights:
        # A copy keeps functions and cells that a config can't hold.
        twin = copy.deepcopy(layer)
        for argument, value in {"name": name, **changes}.items():
            setattr(twin, argument, value)
        return twin
    return type(layer).from_config({**layer.get_config(), "name": name, **changes})
