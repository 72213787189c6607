"""What lies in a `.pt2` archive: a graph as JSON, and weights as plain bytes with a table in JSON.

Layout: torch/export/pt2_archive and torch/_export/serde/schema.py of PyTorch 2.13, whose schema version is 8.
Nothing else in the archive is looked at; `sample_inputs/model.pt`, a pickle, in particular.
"""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nabi.errors import FileFormatError
from nabi.interchange._torch._reading import check_archive

__all__ = ["Archive", "read_archive"]

SCHEMA = 8
_GRAPH = "models/model.json"
_TABLES = {
    "data/weights/": "model_weights_config.json",
    "data/constants/": "model_constants_config.json",
}
_DTYPES = {
    1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 6: torch.float16,
    7: torch.float32, 8: torch.float64, 12: torch.bool, 13: torch.bfloat16,
}  # fmt: skip
_STRIDED = 7


@dataclass(frozen=True)
class Archive:
    """The contents of an archive.

    Attributes:
        program: the graph and its signature, as JSON.
        tensors: weights and constants by name; parameters are of that class, and tied ones are one object.
    """

    program: dict[str, Any]
    tensors: dict[str, Tensor]


def dtype_of(code: Any) -> torch.dtype:
    """Return the data type of a number in the file."""
    if not isinstance(code, int) or code not in _DTYPES:
        raise FileFormatError(f"data type: expected one of {sorted(_DTYPES)}, got {code!r}")
    return _DTYPES[code]


def read_archive(place: Path) -> Archive:
    """Read an archive.

    Raises:
        FileFormatError: it is none, or of another version, or damaged.
    """
    with zipfile.ZipFile(place) as archive:
        names = [one.filename for one in archive.infolist()]
        parts = {name.partition("/")[2] for name in names}
        if _GRAPH not in parts:
            old = "serialized_exported_program.json" in {*names, *parts}
            why = (
                "it was written by a PyTorch older than 2.7; export it anew" if old else f"it has no {_GRAPH}"
            )
            raise FileFormatError(f"path: {place} is no program of torch.export that is read: {why}")
        check_archive(place)
        folder = names[0].partition("/")[0]

        def content(name: str) -> bytes:
            return archive.read(f"{folder}/{name}")

        program = json.loads(content(_GRAPH))
        version = program["schema_version"]["major"]
        if version != SCHEMA:
            raise FileFormatError(
                f"path: {place}: expected version {SCHEMA} of the format, got {str(version)[:20]}; export it "
                "with another PyTorch (2.13 is known to fit)"
            )
        if "byteorder" in parts and content("byteorder") != b"little":
            raise FileFormatError("byteorder: expected little-endian numbers")
        tensors: dict[str, Tensor] = {}
        for where, table in _TABLES.items():
            if where + table not in parts:
                continue
            entries = json.loads(content(where + table))["config"]
            known: dict[str, Tensor] = {}
            for name, entry in entries.items():
                file = entry["path_name"]
                if entry["use_pickle"] or where + file not in parts:
                    raise FileFormatError(
                        f"{name}: expected plain numbers in the archive, got {str(file)[:60]}"
                    )
                tensors[name] = _tensor(
                    name, entry, lambda file=file, where=where: content(where + file), known
                )
    return Archive(program, tensors)


def _tensor(name: str, entry: Any, read: Any, known: dict[str, Tensor]) -> Tensor:
    """Return one tensor; `known` are those made so far, by what they are made of."""
    meta = entry["tensor_meta"]
    dtype = dtype_of(meta["dtype"])
    sizes, strides = ([_whole(name, one) for one in meta[key]] for key in ("sizes", "strides"))
    first = _whole(name, meta["storage_offset"])
    if meta["layout"] != _STRIDED or len(sizes) != len(strides):
        raise FileFormatError(f"{name}: expected a dense tensor")
    key = json.dumps([entry["path_name"], meta["dtype"], sizes, strides, first, bool(entry["is_param"])])
    if key in known:
        return known[key]
    content = bytearray(read())
    last = first + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    count = len(content) // dtype.itemsize
    if 0 in sizes:
        tensor = torch.empty(sizes, dtype=dtype)
    elif last >= count:
        raise FileFormatError(f"{name}: expected at least {last + 1} numbers, got {count}")
    else:
        flat = torch.frombuffer(content, dtype=dtype, count=count)
        tensor = flat.as_strided(sizes, strides, first)
    # Overlapping views would take more memory than the file has.
    if tensor.numel() > max(count, 1):
        raise FileFormatError(
            f"{name}: expected at most the {count} numbers that are there, got {tensor.numel()}"
        )
    tensor = tensor.clone(memory_format=torch.contiguous_format)
    if entry["is_param"]:
        tensor = nn.Parameter(tensor, requires_grad=bool(meta["requires_grad"]) and dtype.is_floating_point)
    known[key] = tensor
    return tensor


def _whole(name: str, value: Any) -> int:
    found = value.get("as_int") if isinstance(value, dict) else None
    if type(found) is not int or not 0 <= found < 2**40:
        raise FileFormatError(f"{name}: expected sizes and strides as whole numbers, got {str(value)[:60]}")
    return found
