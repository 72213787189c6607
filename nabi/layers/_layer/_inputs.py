"""The steps around a layer's `call`: converting inputs to tensors of the right type, passing masks on."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nabi._shown import short
from nabi.errors import ArgumentError, ShapeError
from nabi.layers._layer._layer_like import LayerLike

__all__ = ["attach_mask", "cast_input", "casts", "device_of", "mask_of", "to_mask", "to_tensor", "to_tensors"]


def to_tensors(layer: LayerLike, inputs: Any) -> Any:
    """Convert an array or list to a tensor; several tensors in a list or tuple stay separate."""
    if isinstance(inputs, list | tuple) and (
        layer._takes_several or any(isinstance(one, Tensor) for one in inputs)
    ):
        return type(inputs)(
            layer._cast(one) if isinstance(one, Tensor) else to_tensor(layer, one) for one in inputs
        )
    if isinstance(inputs, Mapping) or inputs is None:
        if type(layer).__module__.startswith("nabi.layers."):  # a user's layer may take them
            raise ArgumentError(f"inputs: {layer.name} expected numbers, got {short(inputs)}")
        return inputs
    return to_tensor(layer, inputs)


def to_tensor(layer: LayerLike, inputs: Any) -> Any:
    """Convert an array or list to a tensor; None and dictionaries are left to the layer."""
    if isinstance(inputs, Mapping) or inputs is None:
        return inputs
    if isinstance(inputs, torch.nn.Module):
        raise ArgumentError(
            f"inputs: {layer.name} expected numbers or what a layer gives, got the layer "
            f"{type(inputs).__name__} itself. Call it first, as in {layer.name}(other(x)), or put both into "
            "Sequential([...])"
        )
    try:
        array = np.asarray(inputs)
        if not array.flags.writeable or any(stride < 0 for stride in array.strides):
            array = array.copy()  # torch can't share the memory of these
        tensor = torch.as_tensor(array)
    except (TypeError, ValueError) as error:
        raise ShapeError(
            f"inputs: {layer.name} expected numbers in a rectangular array, "
            f"got {type(inputs).__name__} ({error})"
        ) from None
    weight = next(layer.parameters(), None)
    device = weight.device if weight is not None else torch.get_default_device()
    return layer._cast(tensor.to(device))


def casts(layer: LayerLike, dtype: torch.dtype) -> bool:
    """Whether a layer casts inputs of a type to its own; others it takes as they are."""
    return dtype.is_floating_point or layer._casts_integers


def cast_input(layer: LayerLike, inputs: Tensor) -> Tensor:
    """Cast floating-point inputs to the layer's type, and integers too if it computes with them."""
    if inputs.dtype is layer._dtype or not casts(layer, inputs.dtype):
        return inputs
    cast = inputs.to(layer._dtype)
    mask = getattr(inputs, "_keras_mask", None)
    if mask is not None:
        cast._keras_mask = mask  # type: ignore[attr-defined]
    return cast


def attach_mask(layer: LayerLike, inputs: Any, outputs: Any, mask: Any) -> Any:
    """Attach the output's mask to the output, or warn once that the layer drops it; return the output."""
    if not layer.supports_masking:
        if mask is not None and not layer._warned:
            layer._warned = True
            warnings.warn(
                f"{layer.name} ({type(layer).__name__}) does not support masks; "
                "layers after it will not get the mask",
                stacklevel=4,
            )
        return outputs
    new = layer.compute_mask(inputs, mask)
    if new is None:
        return outputs
    if isinstance(outputs, Tensor):
        shared = outputs is inputs and getattr(inputs, "_keras_mask", None) is not new
        if shared or torch.compiler.is_compiling():
            # The caller's tensor must not change; the compiler can't set attributes on an operator's result.
            outputs = outputs.view_as(outputs)
        outputs._keras_mask = new[0] if isinstance(new, list | tuple) else new
        return outputs
    # A single mask for several outputs belongs to the first, as in Keras.
    for output, one in zip(outputs, new if isinstance(new, list | tuple) else [new], strict=False):
        if one is not None and isinstance(output, Tensor):
            output._keras_mask = one  # type: ignore[attr-defined]
    return outputs


def to_mask(mask: Any, inputs: Any, several: bool = False) -> Any:
    """Convert a mask to a tensor; several masks in a list, some possibly None, stay separate.

    A list of arrays is several masks if there are `several` inputs, otherwise one mask.
    """
    if isinstance(mask, list | tuple) and several:
        return [one if one is None else to_mask(one, inputs) for one in mask]
    if isinstance(mask, Tensor) or (
        isinstance(mask, list | tuple) and any(one is None or isinstance(one, Tensor) for one in mask)
    ):
        return mask
    try:
        return torch.as_tensor(np.asarray(mask), device=device_of(inputs))
    except (TypeError, ValueError):
        raise ArgumentError(f"mask: expected an array of True and False, got {short(mask)}") from None


def mask_of(inputs: Any) -> Any:
    """Return the mask of a tensor, a list of masks for several tensors, or None if none has one."""
    if isinstance(inputs, Tensor):
        return getattr(inputs, "_keras_mask", None)
    if isinstance(inputs, list | tuple):
        masks = [getattr(one, "_keras_mask", None) for one in inputs]
        return masks if any(mask is not None for mask in masks) else None
    return None


def device_of(inputs: Any) -> torch.device | None:
    """Return the device of the inputs, of the first if there are several."""
    while isinstance(inputs, list | tuple) and inputs:
        inputs = inputs[0]
    return inputs.device if isinstance(inputs, Tensor) else None
