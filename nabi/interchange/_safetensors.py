"""Weights alone in safetensors files.

Format: https://huggingface.co/docs/safetensors. A model file of nabi is such a file too, with a header.
"""

import os
from collections.abc import Mapping

import torch
from torch import Tensor

from nabi import _checks
from nabi.files import reading, write_atomically

__all__ = ["list_safetensors", "read_safetensors", "write_safetensors"]

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "U16": torch.uint16,
    "U32": torch.uint32,
    "U64": torch.uint64,
    "BOOL": torch.bool,
    "C64": torch.complex64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}


def read_safetensors(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read all tensors of a file.

    Raises:
        FileFormatError: if it is damaged.
    """
    from safetensors.torch import load

    place = _checks.path("path", path)
    with reading(place, "its tensors cannot be read"):
        tensors: dict[str, Tensor] = load(place.read_bytes())
        return tensors


def list_safetensors(path: str | os.PathLike[str]) -> dict[str, tuple[torch.dtype, tuple[int, ...]]]:
    """Read the types and shapes of a file's tensors, without the tensors; raises as `read_safetensors`."""
    from safetensors import safe_open

    place = _checks.path("path", path)
    found = {}
    with reading(place, "its tensors cannot be listed"), safe_open(place, framework="numpy") as file:
        for name in file.keys():  # noqa: SIM118
            part = file.get_slice(name)
            found[name] = (_DTYPES[part.get_dtype()], tuple(part.get_shape()))
    return found


def write_safetensors(tensors: Mapping[str, Tensor], path: str | os.PathLike[str]) -> None:
    """Write tensors by name, atomically.

    Raises:
        OutputError: if the file cannot be written.
    """
    from safetensors.torch import save

    # Copies: safetensors refuses tensors that share memory.
    plain = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    content = save(plain, metadata={"format": "pt"})
    with write_atomically(path) as file:
        file.write(content)
