"""A model as a WebAssembly module with its loader."""

import os
from pathlib import Path
from typing import Any

from nabi import _checks
from nabi._public import public
from nabi.shipping._folder import check_folder, write_folder
from nabi.shipping._program import exported_program
from nabi.shipping._self_test import self_test_of
from nabi.shipping._small_weights import quantized
from nabi.shipping._web._module import web_assembly_files

__all__ = ["web_assembly_names", "write_web_assembly"]


@public
def write_web_assembly(
    model: Any,
    out: str | os.PathLike[str],
    *,
    name: str | None = None,
    weights: str | None = None,
    simd: bool = True,
    overwrite: bool = False,
) -> tuple[Path, ...]:
    """Write a model for browsers, Node and other engines: a WebAssembly module and what loads it.

    The module imports nothing and has a memory of its own. Beside it are a loader (`.mjs`), its types
    (`.d.ts`), and a worklet of the Web Audio API that runs the model on sound, sample by sample. A model with
    bidirectional layers runs whole sequences, and has no worklet.

    Args:
        model: a built model, as for `write_object`.
        out: the folder.
        name: begins the names of files, a C identifier; by default the name of the model.
        weights: "float32", "int8", "bfloat16" or "float16", see `Model.quantize`; by default what the model
            has.
        simd: whether to use vectors (SIMD128), which all browsers have since 2023. Without, a step takes
            several times as long, and gives the same bits.
        overwrite: whether files in the folder that nabi did not write may be replaced.

    Returns:
        The files that were written, the loader first; no worklet of a model with bidirectional layers.

    Raises:
        ArgumentError: if the model is not built, or a layer cannot be exported; all are named. If its
            weights are of another kind already.
        UnknownNameError: for another kind of weights.
        NotFiniteError: if a weight is NaN or infinite.
        OutputError: if the folder cannot be written.

    >>> import pathlib, tempfile
    >>> from nabi import layers, models, shipping
    >>> model = models.Sequential([layers.LSTM(4, input_shape=(None, 3)), layers.Dense(1)], name="gate")
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "gate"
    >>> [path.name for path in shipping.write_web_assembly(model, folder)]
    ['gate.mjs', 'gate.wasm', 'gate.d.ts', 'gate-worklet.js']
    """
    _checks.flag("simd", simd)
    model, kind = quantized(model, weights)
    program = exported_program(model, name)
    names = web_assembly_names(program.name)[: 3 if program.passes else None]
    folder = check_folder(out, names, names[0], overwrite=overwrite)
    files = web_assembly_files(program, self_test_of(model, program), simd, kind)
    return tuple(write_folder(folder, files))


def web_assembly_names(name: str) -> list[str]:
    """Return the names of the files of a model of this name, the loader first.

    >>> web_assembly_names("gate")
    ['gate.mjs', 'gate.wasm', 'gate.d.ts', 'gate-worklet.js']
    """
    return [f"{name}{ending}" for ending in (".mjs", ".wasm", ".d.ts", "-worklet.js")]
