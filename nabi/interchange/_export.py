"""Any model as a file or a folder for other programs, by the name of the format."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nabi._public import public
from nabi.errors import ArgumentError, unknown_name

__all__ = ["FORMATS", "export"]


def _onnx() -> Callable[..., tuple[Path, ...]]:
    from nabi.interchange._onnx._write import write_onnx

    return write_onnx


def _object() -> Callable[..., tuple[Path, ...]]:
    from nabi.shipping import write_object

    return write_object


def _c() -> Callable[..., tuple[Path, ...]]:
    from nabi.shipping import write_c

    return write_c


def _wasm() -> Callable[..., tuple[Path, ...]]:
    from nabi.shipping import write_web_assembly

    return write_web_assembly


def _web() -> Callable[..., tuple[Path, ...]]:
    from nabi.shipping import write_web

    return write_web


FORMATS: dict[str, Callable[[], Callable[..., tuple[Path, ...]]]] = {
    "onnx": _onnx,
    "object": _object,
    "c": _c,
    "wasm": _wasm,
    "web": _web,
}
"""What writes each format."""


@public
def export(
    model: Any, path: str | os.PathLike[str], to: str | None = None, **options: Any
) -> tuple[Path, ...]:
    """Write a model for other programs.

    Args:
        model: a Sequential or functional model, or a ready system.
        path: the file of "onnx", the folder of the others.
        to: "onnx" (`nabi.interchange.write_onnx`), "object" (`nabi.shipping.write_object`), "c"
            (`nabi.shipping.write_c`), "wasm" (`nabi.shipping.write_web_assembly`) or "web"
            (`nabi.shipping.write_web`); by default "onnx" if the path ends in .onnx.
        options: those of the function that writes the format.

    Returns:
        The files that were written.

    Raises:
        ArgumentError: for an unknown format or option, and for layers that have no rendering in the format.
        OutputError: if the files cannot be written.

    >>> import pathlib, tempfile
    >>> import nabi
    >>> model = nabi.Sequential([nabi.layers.LSTM(4, input_shape=(None, 3))])
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "gate"
    >>> [one.name for one in nabi.export(model, folder, "object", target="cortex-m4", name="gate")]
    ['gate.o', 'gate.h', 'gate_example.c']
    """
    if to is None:
        if Path(path).suffix.lower() != ".onnx":
            raise ArgumentError(f"to: expected one of {', '.join(FORMATS)} for {os.fspath(path)!r}, got None")
        to = "onnx"
    if to not in FORMATS:
        raise unknown_name("to", to, FORMATS)
    return FORMATS[to]()(model, path, **options)
