"""Weights alone in HDF5 files, by their paths in the file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from nabi import _checks
from nabi.files import reading
from nabi.interchange._hdf5 import StoredArray, h5py_module, opened

__all__ = ["list_hdf5", "read_hdf5"]


def list_hdf5(path: str | os.PathLike[str]) -> dict[str, tuple[torch.dtype, tuple[int, ...]]]:
    """Return the types and shapes of the arrays of numbers in a file, without reading them.

    Raises:
        ArgumentError: if h5py is not installed.
        FileFormatError: if the file is damaged, or refers to others.
    """
    with _arrays(path, "its arrays cannot be listed") as arrays:
        return {name: (getattr(torch, one.dtype), one.shape) for name, one in arrays}


def read_hdf5(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read the arrays of numbers in a file, also those of an optimizer; raises as `list_hdf5`."""
    with _arrays(path, "its arrays cannot be read") as arrays:
        return {name: _tensor(one) for name, one in arrays}


@contextmanager
def _arrays(path: str | os.PathLike[str], result: str) -> Iterator[list[tuple[str, StoredArray]]]:
    place = _checks.path("path", path)
    h5py_module()
    with reading(place, result), opened(place) as group:
        yield sorted(group.arrays(), key=lambda found: found[0])


def _tensor(stored: StoredArray) -> Tensor:
    values = stored.read()
    native = values.astype(values.dtype.newbyteorder("="), copy=False)
    tensor: Tensor = torch.from_numpy(np.require(native, requirements=("C", "W")))
    return tensor.to(getattr(torch, stored.dtype))
