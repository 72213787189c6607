"""Small weights as plain arrays, for files."""

from collections.abc import Mapping

from torch import Tensor

from nabi.small_weights._tensor import SmallWeight

__all__ = ["arrays_of"]


def arrays_of(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors by name, with small weights as the arrays that hold them.

    The scales of an int8 weight have its name with `.scale` behind it. To write to an array is to write to
    the weight.

    >>> import torch
    >>> from nabi.small_weights import shrink
    >>> arrays = arrays_of({"kernel": shrink(torch.eye(2), "int8", axis=1)})
    >>> arrays["kernel"].dtype, arrays["kernel.scale"].shape
    (torch.int8, torch.Size([2]))
    """
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if not isinstance(tensor, SmallWeight):
            found[name] = tensor
            continue
        found[name] = tensor.stored.values
        if tensor.stored.scales is not None:
            found[f"{name}.scale"] = tensor.stored.scales
    return found
