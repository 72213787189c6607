"""HDF5 files, read with h5py: what a file says is compared with its size before memory is taken.

Links to other files, data outside of the file and data put together from others are refused, and so is
everything but plain numbers and text. A file may lead back to a group that is open; a budget of objects,
from the size of the file, ends that.
"""

import io
import math
import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nabi.errors import ArgumentError

__all__ = ["SIGNATURE", "Group", "StoredArray", "h5py_module", "opened"]

SIGNATURE = b"\x89HDF\r\n\x1a\n"
# The header of an object and the link to it take more bytes than this.
_SMALLEST_OBJECT = 24
# How many times larger data may be than what is stored of them, where they are compressed.
_MOST_COMPRESSED = 100
_FILTERS = {"gzip", "lzf", "shuffle", "fletcher32"}
# Texts of an attribute lie in heaps, and many may refer to the same; this bounds what they take together.
_MOST_TEXT = 1 << 28
_DEEPEST = 40


def h5py_module() -> Any:
    """Return the package h5py.

    Raises:
        ArgumentError: if it is not installed.
    """
    try:
        import h5py  # type: ignore[import-untyped, unused-ignore]
    except ImportError as problem:
        raise ArgumentError(
            "path: expected h5py to be installed for Keras' files, got none; "
            'install it with: pip install "nabi[keras-files]"'
        ) from problem
    return h5py


@contextmanager
def opened(source: bytes | Path) -> "Iterator[Group]":
    """Give the first group of an HDF5 file, from its content or, so that only what is used is read, its path.

    Raises:
        ValueError: for anything that is refused; h5py has errors of many kinds for damaged files.
        ArgumentError: if h5py is not installed.
    """
    h5py = h5py_module()
    if isinstance(source, Path):
        with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            budget = _Budget(content)
    else:
        budget = _Budget(source)
    with h5py.File(source if isinstance(source, Path) else io.BytesIO(source), "r") as file:
        yield Group(file, budget, "/", 0)


class StoredArray(NamedTuple):
    """An array of numbers in a file: its type, as torch calls it, its shape, and what reads it."""

    dtype: str
    shape: tuple[int, ...]
    read: Callable[[], np.ndarray[Any, Any]]


class _Budget:
    """What may still be taken from a file: numbers of objects and bytes."""

    def __init__(self, content: bytes | mmap.mmap) -> None:
        self.size = len(content)
        self.objects = len(content) // _SMALLEST_OBJECT
        self.plain = len(content)
        self.packed = _MOST_COMPRESSED * len(content)
        self.longest_text = _largest_heap(content)
        # What has been read, by path.
        self.arrays: dict[str, np.ndarray[Any, Any]] = {}

    def take_object(self, name: str) -> None:
        self.objects -= 1
        if self.objects < 0:
            raise ValueError(f"{_short(name)}: the file holds more objects than there are bytes for")


def _largest_heap(content: bytes | mmap.mmap) -> int:
    """Return the size of the largest collection of texts."""
    largest, place = 0, content.find(b"GCOL")
    while place >= 0:
        largest = max(largest, int.from_bytes(content[place + 8 : place + 16], "little"))
        place = content.find(b"GCOL", place + 4)
    return min(largest, len(content))


class Group:
    """A group of an HDF5 file: groups, arrays and attributes by name."""

    def __init__(self, group: Any, budget: _Budget, name: str, depth: int) -> None:
        budget.take_object(name)
        if depth > _DEEPEST:
            raise ValueError(f"{_short(name)}: groups are nested more than {_DEEPEST} deep")
        self._group, self._budget, self.name, self._depth = group, budget, name, depth

    def names(self) -> list[str]:
        """Return the names of everything in the group, in the order of the file."""
        if len(self._group) > self._budget.size // _SMALLEST_OBJECT:
            raise ValueError(f"{_short(self.name)}: the file holds more objects than there are bytes for")
        return list(self._group)

    def __contains__(self, name: str) -> bool:
        return self._found(name, "kind") is not None

    def group(self, path: str) -> "Group | None":
        """Return a group by its path from here; None if there is none."""
        found: Group | None = self
        for name in path.split("/"):
            held = found._found(name, "group") if found is not None and name else None
            if held is None:
                return found if not name else None
            assert found is not None
            found = Group(held, self._budget, f"{found.name.rstrip('/')}/{name}", found._depth + 1)
        return found

    def _found(self, name: str, kind: str) -> Any:
        """Return what has a name, if it is of a kind; None if there is nothing of the name."""
        h5py = h5py_module()
        link = self._group.get(name, getlink=True)
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"{_short(self.name)}: {_short(name)} is a link to elsewhere, which is refused")
        found = self._group[name]
        if kind == "kind":
            return found
        wanted = h5py.Group if kind == "group" else h5py.Dataset
        return found if isinstance(found, wanted) else None

    def is_group(self, name: str) -> bool:
        """Tell whether a name is that of a group."""
        return self._found(name, "group") is not None

    def arrays(self, before: str = "") -> Iterator[tuple[str, StoredArray]]:
        """Give all arrays of numbers in this group and those inside, by their paths from here.

        Raises:
            ValueError: for links to elsewhere, and for more objects than the file has room for.
        """
        for name in self.names():
            path, inside = f"{before}{name}", self.group(name)
            if inside is not None:
                yield from inside.arrays(f"{path}/")
                continue
            self._budget.take_object(path)
            data = self._found(name, "array")
            if data is not None and _is_number(data):
                kind = "bfloat16" if _is_bfloat16(data) else data.dtype.name
                yield path, StoredArray(kind, tuple(data.shape), partial(self.array, name))

    def array(self, path: str) -> np.ndarray[Any, Any]:
        """Return an array of numbers by its path from here.

        Raises:
            ValueError: if there is none, or the file is too small to hold it.
        """
        full = f"{self.name.rstrip('/')}/{path}"
        if full in self._budget.arrays:
            return self._budget.arrays[full]
        before, _, name = path.rpartition("/")
        home = self.group(before) if before else self
        data = None if home is None else home._found(name, "array")
        if data is None:
            raise ValueError(f"{_short(full)}: expected an array, got none")
        self._budget.take_object(full)
        self._check(full, data)
        values: np.ndarray[Any, Any] = np.asarray(data[()])
        if _is_bfloat16(data):
            values = (values.astype(np.uint32) << 16).view(np.float32)
        self._budget.arrays[full] = values
        return values

    def _check(self, name: str, data: Any) -> None:
        """Refuse data that are not plain numbers in the file itself, as many as its size allows."""
        if not _is_number(data):
            raise ValueError(f"{_short(name)}: expected an array of numbers, got {_short(str(data.dtype))}")
        if data.is_virtual or data.external:
            raise ValueError(f"{_short(name)}: its numbers lie elsewhere, which is refused")
        declared, stored = math.prod(data.shape) * data.dtype.itemsize, data.id.get_storage_size()
        filters = data._filters
        if not filters:
            self._budget.plain -= declared
            fits = stored >= declared and self._budget.plain >= 0
        else:
            if not set(filters) <= _FILTERS:
                raise ValueError(f"{_short(name)}: expected numbers packed with gzip, got {sorted(filters)}")
            self._budget.packed -= declared
            fits = stored <= self._budget.size and declared <= _MOST_COMPRESSED * stored
            fits = fits and self._budget.packed >= 0
        if not fits:
            raise ValueError(
                f"{_short(name)}: expected {declared} bytes of numbers, got {stored} in the file"
            )

    def text(self, name: str) -> str | None:
        """Return a text attribute; None if there is none.

        Raises:
            ValueError: if it is of another kind.
        """
        found = self._attribute(name)
        if found is None:
            return None
        if isinstance(found, bytes):
            return found.decode()
        if not isinstance(found, str):
            raise ValueError(f"{_short(self.name)}: expected text in the attribute {name}, got {found!r:.60}")
        return found

    def texts(self, name: str) -> list[str] | None:
        """Return an attribute that is a list of texts, also one in parts; None if there is none.

        What does not fit into one attribute is in several: name0, name1, ...
        """
        parts = [self._attribute(name)]
        if parts[0] is None:
            parts, number = [], 0
            while (found := self._attribute(f"{name}{number}")) is not None:
                parts.append(found)
                number += 1
            if not parts:
                return None
        values = [one for part in parts for one in np.atleast_1d(part).tolist()]
        if not all(isinstance(one, bytes | str) for one in values):
            raise ValueError(f"{_short(self.name)}: expected texts in the attribute {name}")
        return [one.decode() if isinstance(one, bytes) else one for one in values]

    def _attribute(self, name: str) -> Any:
        attributes = self._group.attrs
        if name not in attributes:
            return None
        held = attributes.get_id(name)
        count = 0 if held.shape is None else math.prod(held.shape)
        if not count:
            return []
        if held.get_storage_size() > self._budget.size:
            raise ValueError(f"{_short(self.name)}: the attribute {name} is larger than the file")
        if held.dtype.kind == "O" and count > 1 and count * self._budget.longest_text > _MOST_TEXT:
            raise ValueError(f"{_short(self.name)}: the attribute {name} holds too much text")
        if held.dtype.kind not in "OSUfiu" or (held.dtype.kind == "O" and not _is_text(held.dtype)):
            raise ValueError(f"{_short(self.name)}: expected text in the attribute {name}")
        return attributes[name]


def _is_number(data: Any) -> bool:
    return data.shape is not None and data.dtype.kind in "fiub" and data.dtype.itemsize <= 8


def _is_bfloat16(data: Any) -> bool:
    """Tell whether integers are the bits of other numbers: so Keras 3 does, since NumPy has no such type."""
    return data.dtype == np.uint16 and "dtype" in data.attrs and data.attrs["dtype"] == "bfloat16"


def _is_text(dtype: Any) -> bool:
    return h5py_module().check_string_dtype(dtype) is not None


def _short(name: str) -> str:
    return name if len(name) <= 120 else name[:120] + "..."
