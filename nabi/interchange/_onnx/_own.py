"""nabi's own description of a model within an ONNX file; the package's docstring says what it holds."""

import base64
import binascii
import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nabi._shown import short
from nabi.errors import FileFormatError
from nabi.files import LAYOUT, ModelFile
from nabi.targets.onnx import Model, Tensor as OnnxTensor, decoded, encoded

__all__ = ["KEY", "PART", "describe", "digest", "own_model", "part_path"]

KEY = "nabi"
"""The key of the description in `metadata_props`."""
PART = "nabi.part"
"""The key in a file beside the one with the description, which says what it is."""
_FEWEST = 64  # Smaller tensors are stored beside the graph; finding them in it would say more than they hold.
_DTYPES = ("float32", "float64", "float16", "int64", "int32", "uint8", "bool")
Array = npt.NDArray[Any]


def part_path(path: str | os.PathLike[str], part: str) -> Path:
    """Return where a further file of a model is: `model.step.onnx` beside `model.onnx`."""
    place = Path(path)
    return place.with_name(f"{place.stem}.{part}{place.suffix}")


def describe(file: ModelFile, message: Model, parts: Mapping[str, Model] | None = None) -> str:
    """Return the description as JSON text.

    Args:
        file: the model as nabi's own file holds it.
        message: the model as ONNX; most of the numbers are found in the constants of its graph.
        parts: the further files of the model, each by what it is; others are in the constants of theirs.
    """
    parts = {} if parts is None else parts
    places = _Places(_constants(message, parts))
    described = {
        "format": KEY,
        "layout": LAYOUT,
        "kind": file.kind,
        "graph": digest(message),
        **({"parts": {part: digest(one) for part, one in parts.items()}} if parts else {}),
        "header": dict(file.header),
        "tensors": {name: places.find(tensor) for name, tensor in file.tensors.items()},
    }
    return json.dumps(described, ensure_ascii=False)


def _constants(message: Model, parts: Mapping[str, Model]) -> dict[str, OnnxTensor]:
    """Return the constants of a file by name, and those of its parts by `part:name`."""
    files = {"": message, **{f"{part}:": one for part, one in parts.items()}}
    return {
        before + constant.name: constant
        for before, one in files.items()
        for constant in ([] if one.graph is None else one.graph.initializer)
    }


def digest(message: Model) -> str:
    """Return a checksum of what a file computes: its graph and its functions, not the text about them."""
    found = hashlib.sha256()
    for piece in encoded(Model(graph=message.graph, functions=message.functions)):
        found.update(piece)
    return found.hexdigest()


class _Places:
    """Where each row of numbers stands in the constants of a graph."""

    def __init__(self, constants: Mapping[str, OnnxTensor]) -> None:
        self._rows: dict[bytes, tuple[str, int]] = {}
        self._matrices: dict[str, Array] = {}
        for name, one in constants.items():
            if one.data_type == 1 and len(one.dims) >= 2 and all(one.dims):
                matrix = np.frombuffer(one.raw_data, "<f4").reshape(-1, one.dims[-1])
                self._matrices[name] = matrix
                for row, values in enumerate(matrix):
                    self._rows.setdefault(values.tobytes(), (name, row))

    def find(self, tensor: Tensor) -> dict[str, Any]:
        """Describe a tensor by rows of constants, or by its numbers."""
        values = tensor.detach().cpu()
        dtype = str(values.dtype).removeprefix("torch.")
        found: dict[str, Any] = {"dtype": dtype, "shape": list(values.shape)}
        if dtype == "float32" and values.dim() >= 2 and values.numel() >= _FEWEST:
            array = values.numpy()
            for axes in _orders(values.dim()):
                rows = self._find_rows(np.ascontiguousarray(array.transpose(axes)))
                # Numbers take 6 characters each; many short pieces would take more.
                if rows is not None and len(rows) * 40 < 6 * array.size:
                    return found | {"rows": rows, "axes": list(axes)}
        if dtype == "bfloat16":
            values = values.view(torch.int16)
        raw = values.contiguous().numpy()
        raw = raw.astype(raw.dtype.newbyteorder("<"), copy=False)
        return found | {"values": base64.b64encode(raw.tobytes()).decode()}

    def _find_rows(self, array: Array) -> list[list[Any]] | None:
        pieces: list[list[Any]] = []
        for values in array.reshape(-1, array.shape[-1]):
            if pieces:
                name, first, count, sign = pieces[-1]
                matrix = self._matrices[name]
                following = first + count
                if following < len(matrix) and (sign * matrix[following]).tobytes() == values.tobytes():
                    pieces[-1][2] += 1
                    continue
            for sign in (1, -1):
                found = self._rows.get((sign * values).tobytes())
                if found is not None and (sign * (sign * values)).tobytes() == values.tobytes():
                    pieces.append([*found, 1, sign])
                    break
            else:
                return None
        return pieces


def _orders(rank: int) -> list[tuple[int, ...]]:
    """Return the orders of axes in which a tensor may stand in a graph."""
    forward = tuple(range(rank))
    last_first = (rank - 1, rank - 2, *range(rank - 2))  # kernels of convolutions
    return list(dict.fromkeys([forward, forward[::-1], last_first]))


def own_model(message: Model, path: str | Path = "") -> ModelFile | None:
    """Return the model that a file of nabi describes, as a model file would hold it; None without one.

    Raises:
        FileFormatError: if the description is damaged, of a newer layout, or does not fit the graph, which
            another program may have changed.
    """
    text = next((entry.value for entry in message.metadata_props if entry.key == KEY), None)
    if text is None:
        return None
    try:
        found = json.loads(text)
        if not isinstance(found, dict) or found.get("format") != KEY:
            raise FileFormatError(f"{KEY}: expected a description of nabi")
        if found["layout"] != LAYOUT:
            raise FileFormatError(f"{KEY}: expected layout {LAYOUT}, got {str(found['layout'])[:20]}")
        if found["graph"] != digest(message):
            raise FileFormatError(f"{KEY}: the graph was changed after nabi had written it")
        parts = {str(part): _part(path, str(part), str(one)) for part, one in found.get("parts", {}).items()}
        constants = _constants(message, parts)
        tensors = {str(name): _tensor(place, constants) for name, place in found["tensors"].items()}
        kind, header = str(found["kind"]), dict(found["header"])
    except FileFormatError as problem:
        raise FileFormatError(f"path: {path}: {problem}") from problem
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, binascii.Error) as problem:
        raise FileFormatError(
            f"path: {path}: {KEY}: the description of the model is damaged: {short(problem)}"
        ) from problem
    return ModelFile(Path(path), kind, header, tensors)


def _part(path: str | Path, part: str, wanted: str) -> Model:
    """Read a further file of a model."""
    if not part.isidentifier():
        raise FileFormatError(f"{KEY}: expected the name of a part, got {short(part)}")
    place = part_path(path, part)
    if place.is_symlink():
        raise FileFormatError(f"{KEY}: {place.name} is a link, which is not followed")
    try:
        message = decoded(Model, place.read_bytes())
    except OSError as problem:
        raise FileFormatError(
            f"{KEY}: expected {place.name} beside it, with the rest of the model"
        ) from problem
    if digest(message) != wanted:
        raise FileFormatError(f"{KEY}: {place.name} is of another model, or was changed")
    return message


def _tensor(place: Mapping[str, Any], constants: Mapping[str, OnnxTensor]) -> Tensor:
    shape, dtype = [int(size) for size in place["shape"]], str(place["dtype"])
    if any(size < 0 for size in shape) or dtype not in (*_DTYPES, "bfloat16"):
        raise FileFormatError(f"{KEY}: expected a tensor, got {str(shape)[:60]} of {dtype[:20]}")
    if "values" in place:
        raw = base64.b64decode(str(place["values"]), validate=True)
        stored = np.dtype("int16" if dtype == "bfloat16" else dtype).newbyteorder("<")
        if len(raw) != math.prod(shape) * stored.itemsize:
            raise FileFormatError(f"{KEY}: expected {math.prod(shape)} numbers, got {len(raw)} bytes")
        array = np.frombuffer(raw, stored).reshape(shape).astype(stored.newbyteorder("="))
        tensor = torch.from_numpy(array)
        return tensor.view(torch.bfloat16) if dtype == "bfloat16" else tensor
    axes = [int(axis) for axis in place["axes"]]
    if sorted(axes) != list(range(len(shape))):
        raise FileFormatError(f"{KEY}: expected an order of axes, got {axes}")
    turned = [shape[axis] for axis in axes]
    pieces, left = [], math.prod(turned[:-1])
    for name, first, count, sign in place["rows"]:
        constant = constants[name]
        width = constant.dims[-1]
        matrix = np.frombuffer(constant.raw_data, "<f4").reshape(-1, width)
        if not 0 <= first <= first + count <= len(matrix) or width != turned[-1] or count > left:
            raise FileFormatError(f"{KEY}: expected rows of {name}, got {first} to {first + count}")
        left -= count
        pieces.append(matrix[first : first + count] * np.float32(sign))
    values = np.concatenate(pieces).reshape(turned).transpose(np.argsort(axes))
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
