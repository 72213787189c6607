"""Weights as a file of PyTorch: a state dict, as `torch.save(module.state_dict(), path)` writes it."""

import os
from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import Tensor

from nabi.files import write_atomically

__all__ = ["write_weights_file"]


def write_weights_file(tensors: Mapping[str, Tensor], path: str | os.PathLike[str]) -> None:
    """Write tensors by name, atomically; `torch.load(path, weights_only=True)` reads them.

    Raises:
        OutputError: if the file cannot be written.
    """
    # A view would be written with all of the storage that it looks at.
    plain = OrderedDict((name, tensor.detach().cpu().clone()) for name, tensor in tensors.items())
    with write_atomically(path) as file:
        torch.save(plain, file)
