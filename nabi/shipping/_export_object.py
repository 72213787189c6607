"""A model as an object file with a C header."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nabi import _checks
from nabi._public import public
from nabi._version import __version__
from nabi.errors import ArgumentError
from nabi.native import Machine, emit_assembly, emit_object, section_sizes, undefined_symbols
from nabi.shipping._code._functions import constants_of, model_module, scratch_bytes
from nabi.shipping._code._module_writer import weights_module
from nabi.shipping._code._sequence_functions import sequence_constants, sequence_module
from nabi.shipping._code._stack import stack_bytes
from nabi.shipping._code._step_function import layout_for
from nabi.shipping._folder import check_folder, write_folder
from nabi.shipping._header import example, header
from nabi.shipping._memory import Layout
from nabi.shipping._program import Product, StepProgram, exported_program
from nabi.shipping._self_test import self_test_of
from nabi.shipping._small_weights import quantized
from nabi.shipping._targets import Target, machine_for, target_named
from nabi.shipping._weights_file import HEADER_BYTES, packed_weights

__all__ = ["memory_of", "multiplications", "object_files", "write_object"]

_DEFAULT = "x86-64"
_LEVEL = 3  # of optimization; the same for everybody, so that the bytes are
# Symbols that are no functions: the linker's, and a mark that Microsoft's linker asks for.
_KNOWN = frozenset({"_fltused"})


@public
def write_object(
    model: Any,
    out: str | os.PathLike[str],
    *,
    target: str | None = None,
    cpu: str | None = None,
    name: str | None = None,
    weights: str | None = None,
    separate_weights: bool = False,
    overwrite: bool = False,
) -> tuple[Path, ...]:
    """Write a model as machine code for a processor: an object file, a C header, and an example in C.

    The code calls nothing: no heap, no C library, no mathematics of it. State and scratch memory are the
    caller's, and many streams share the weights. The same model gives the same bytes.

    A step reads one row. A model with bidirectional layers has no step: its code reads whole sequences, by
    one function `NAME_run`, in memory that grows with their length.

    Args:
        model: a built model whose layers go step by step, see `step_program`, or one with `Bidirectional`
            layers among them; also a `TextClassifier` that reads in both directions.
        out: the folder.
        target: "x86-64", "aarch64", "armv7", "cortex-m4", "cortex-m7", "cortex-m55", "riscv32", "riscv64" and
            others, see `TARGETS`; or LLVM's name of it. By default "x86-64".
        cpu: a processor of the target; by default one whose code runs on most.
        name: begins the names of files and functions, a C identifier; by default the name of the model.
        weights: "float32", "int8", "bfloat16" or "float16", see `Model.quantize`; by default what the model
            has.
        separate_weights: whether the weights are a second object file and a binary file with the same
            content, so that they can be replaced.
        overwrite: whether files in the folder that nabi did not write may be replaced.

    Returns:
        The files that were written, the object file first.

    Raises:
        ArgumentError: if the model is not built, a layer cannot be exported, or the processor is unknown; all
            such layers, or all known processors, are named.
        NotFiniteError: if a weight is NaN or infinite.
        OutputError: if the folder cannot be written.

    >>> import pathlib, tempfile
    >>> from nabi import layers, models, shipping
    >>> model = models.Sequential([layers.LSTM(4, input_shape=(None, 3)), layers.Dense(1)], name="gate")
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "gate"
    >>> [path.name for path in shipping.write_object(model, folder, target="cortex-m4")]
    ['gate.o', 'gate.h', 'gate_example.c']
    """
    chosen = target_named(target or _DEFAULT)
    machine = machine_for(chosen, cpu)
    _checks.flag("separate_weights", separate_weights)
    model, kind = quantized(model, weights)
    program = exported_program(model, name)
    names = object_files(program.name, target, separate_weights=separate_weights)
    folder = check_folder(out, names, names[1], overwrite=overwrite)
    layout = layout_for(program, machine, kind)
    packed = packed_weights(layout, program.structure)
    test = self_test_of(model, program)
    make = sequence_module if program.passes else model_module
    module = make(program, layout, machine, packed, test, apart=separate_weights)
    image = emit_object(module, machine, _LEVEL)
    missing = undefined_symbols(image) - _KNOWN - {f"{program.name}_weights"}
    if missing:
        raise ArgumentError(
            f"target: {chosen.name} has no instructions for what {', '.join(sorted(missing))} compute, which "
            "the equations of this model need"
        )
    assembly = emit_assembly(module, machine, _LEVEL)
    constants = (
        sequence_constants(program, layout, packed, test)
        if program.passes
        else constants_of(program, layout, packed)
    )
    about = _about(program, layout, chosen, machine, image, assembly, separate_weights, constants)
    declared = None
    if separate_weights:
        declared = (
            f"/* The weights, from {names[3]} or your own copy of {names[4]}, aligned to 64 bytes. */\n"
            f"extern const uint8_t {program.name}_weights[{len(packed.content)}];"
        )
    text = header(program, constants, about, weights=declared)
    contents = [image, text.encode(), example(program).encode()]
    if separate_weights:
        contents += [emit_object(weights_module(program, packed, machine), machine, _LEVEL), packed.content]
    return tuple(write_folder(folder, dict(zip(names, contents, strict=True))))


def object_files(name: str, target: str | None = None, *, separate_weights: bool = False) -> list[str]:
    """Return the names of the files that `write_object` writes."""
    ending = "obj" if target_named(target or _DEFAULT).format == "coff" else "o"
    found = [f"{name}.{ending}", f"{name}.h", f"{name}_example.c"]
    if separate_weights:
        found += [f"{name}_weights.{ending}", f"{name}_weights.bin"]
    return found


def _about(
    program: StepProgram,
    layout: Layout,
    target: Target,
    machine: Machine,
    image: bytes,
    assembly: str,
    apart: bool,
    constants: Mapping[str, int],
) -> Sequence[str]:
    """Return what the header says about the code."""
    name = program.name
    sizes = section_sizes(image)
    code = sum(size for section, size in sizes.items() if "text" in section)
    numbers = 4 * len(layout.weights) + HEADER_BYTES
    chains = [[f"{name}_{caller}", f"{name}_compute"] for caller in ("step", "run", "self_test")]
    chains.append([f"{name}_init", f"{name}_reset"])
    if program.passes:
        parts = [f"{name}_pass_{number}" for number in range(len(program.passes))]
        chains = [[f"{name}_self_test", f"{name}_run", part] for part in parts]
    stack = stack_bytes(assembly, chains)
    steps = [f"{layer.name}: {layer.title}" for layer in program.layers]
    return [
        f"Target: {target.name} ({machine.triple}, {machine.cpu}), calling convention {target.about}.",
        f"nabi {__version__}. The licence of the model is yours to state; nabi adds none.",
        "",
        *steps,
        "",
        f"Code: {code:,} bytes. Weights: {numbers:,} bytes" + (", in a file of their own." if apart else "."),
        f"{memory_of(program, layout, constants)} Stack: {stack:,} bytes.",
        f"Multiplications a step: {multiplications(program):,}.",
        "No heap, no library, no memory that changes but what the caller gives.",
    ]


def memory_of(program: StepProgram, layout: Layout, constants: Mapping[str, int]) -> str:
    """Return what memory a model needs of its caller, in words."""
    if program.passes:
        return (
            f"Scratch memory: {constants['FIXED_BYTES']:,} bytes, and {constants['STEP_BYTES']:,} bytes for "
            "each step of a sequence."
        )
    return (
        f"State: {constants['STATE_BYTES']:,} bytes a stream. Scratch memory: "
        f"{scratch_bytes(program, layout):,} bytes."
    )


def multiplications(program: StepProgram) -> int:
    """Return how many multiplications the products of a step take."""
    return sum(
        term.matrix.size for one in program.instructions if isinstance(one, Product) for term in one.terms
    )
