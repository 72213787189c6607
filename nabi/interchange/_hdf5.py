"""What an HDF5 file of weights lists: types and shapes, without reading data."""

import os
from typing import Any

import torch

from nabi import _checks
from nabi.errors import ArgumentError
from nabi.files import reading

__all__ = ["list_hdf5"]

_DEEPEST = 40
# The header of an object takes more bytes than this, so a file has no more of them; a group may lead back to
# itself.
_SMALLEST_OBJECT = 24


def list_hdf5(path: str | os.PathLike[str]) -> dict[str, tuple[torch.dtype, tuple[int, ...]]]:
    """Return the types and shapes of the arrays of numbers in a file.

    Raises:
        ArgumentError: if h5py is not installed.
        FileFormatError: if the file is damaged, or refers to others.
    """
    try:
        import h5py  # type: ignore[import-untyped, unused-ignore]
    except ImportError as problem:
        raise ArgumentError(
            "path: expected h5py to be installed for HDF5 files, got none; install it with pip install h5py"
        ) from problem
    place = _checks.path("path", path)
    found: dict[str, tuple[torch.dtype, tuple[int, ...]]] = {}
    left = place.stat().st_size // _SMALLEST_OBJECT
    with reading(place, "its arrays cannot be listed"), h5py.File(place, "r") as file:
        waiting: list[tuple[str, Any]] = [("", file)]
        while waiting:
            prefix, group = waiting.pop()
            for name in group:
                left -= 1
                full = f"{prefix}/{name}" if prefix else name
                if left < 0 or full.count("/") > _DEEPEST:
                    raise ValueError("the file holds more objects than there are bytes for")
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise ValueError(f"{full[:100]} is a link to elsewhere, which is refused")
                one = group[name]
                if isinstance(one, h5py.Group):
                    waiting.append((full, one))
                elif one.dtype.kind in "fiub" and one.shape is not None:
                    found[full] = (getattr(torch, one.dtype.name), tuple(one.shape))
    return dict(sorted(found.items()))
