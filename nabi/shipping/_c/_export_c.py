"""A model as a source file in C99 with the same header as an object file."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nabi import _checks
from nabi._public import public
from nabi._version import __version__
from nabi.shipping._c._mathematics import functions_for, number, rows_of
from nabi.shipping._c._names import Names, commented
from nabi.shipping._c._sequence import sequence_functions
from nabi.shipping._c._step import Array, LayerFunction, layer_function
from nabi.shipping._code._functions import constants_of
from nabi.shipping._code._module_writer import SelfTest
from nabi.shipping._code._sequence_functions import sequence_constants
from nabi.shipping._export_object import memory_of, multiplications
from nabi.shipping._folder import check_folder, write_folder
from nabi.shipping._header import example, header
from nabi.shipping._memory import Layout, lay_out
from nabi.shipping._program import Map, StepProgram, exported_program
from nabi.shipping._self_test import self_test_of
from nabi.shipping._weights_file import packed_weights

__all__ = ["c_files", "write_c"]

_WIDE = 1 << 30
"""Vectors of a tile: products are written as plain loops over all of their units."""


@public
def write_c(
    model: Any,
    out: str | os.PathLike[str],
    *,
    name: str | None = None,
    separate_weights: bool = False,
    overwrite: bool = False,
) -> tuple[Path, ...]:
    """Write a model as C99 source, for processors that `write_object` does not know and for readers.

    Each layer is a function, with its equations as a comment. The source needs no library, neither the heap
    nor the mathematical functions of C, and has the functions of `write_object` in the same header. The same
    model gives the same bytes. A model with bidirectional layers reads whole sequences, see `write_object`.

    Args:
        model: a built model, as for `write_object`.
        out: the folder.
        name: begins the names of files and functions, a C identifier; by default the name of the model.
        separate_weights: whether the weights are a source file of their own.
        overwrite: whether files in the folder that nabi did not write may be replaced.

    Returns:
        The files that were written, the source first.

    Raises:
        ArgumentError: if the model is not built, or a layer cannot be exported; the message names all such
            layers.
        NotFiniteError: if a weight is NaN or infinite.
        OutputError: if the folder cannot be written.

    >>> import pathlib, tempfile
    >>> from nabi import layers, models, shipping
    >>> model = models.Sequential([layers.LSTM(4, input_shape=(None, 3)), layers.Dense(1)], name="gate")
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "gate"
    >>> [path.name for path in shipping.write_c(model, folder)]
    ['gate.c', 'gate.h', 'gate_example.c']
    """
    _checks.flag("separate_weights", separate_weights)
    program = exported_program(model, name)
    names = c_files(program.name, separate_weights=separate_weights)
    folder = check_folder(out, names, names[1], overwrite=overwrite)
    layout = lay_out(program, 1, _WIDE)
    test = self_test_of(model, program)
    packed = packed_weights(layout, program.structure)
    constants = (
        sequence_constants(program, layout, packed, test)
        if program.passes
        else constants_of(program, layout, packed)
    )
    source, arrays = _source(program, layout, test, separate_weights, tuple(constants))
    text = header(program, constants, _about(program, layout, constants), weights=None)
    contents = [source, text, example(program)]
    if separate_weights:
        contents.append(_weights_source(program, arrays))
    files = {name: content.encode() for name, content in zip(names, contents, strict=True)}
    return tuple(write_folder(folder, files))


def c_files(name: str, *, separate_weights: bool = False) -> list[str]:
    """Return the names of the files that `write_c` writes."""
    found = [f"{name}.c", f"{name}.h", f"{name}_example.c"]
    return [*found, f"{name}_weights.c"] if separate_weights else found


def _about(program: StepProgram, layout: Layout, constants: Mapping[str, int]) -> Sequence[str]:
    return [
        "Portable C99, for any processor with float and double of IEEE 754.",
        f"nabi {__version__}. The licence of the model is yours to state; nabi adds none.",
        "",
        *[f"{layer.name}: {layer.title}" for layer in program.layers],
        "",
        f"Weights: {4 * len(layout.weights):,} bytes. {memory_of(program, layout, constants)}",
        f"Multiplications a step: {multiplications(program):,}.",
        "No heap, no library, no memory that changes but what the caller gives.",
    ]


def _source(
    program: StepProgram, layout: Layout, test: SelfTest, apart: bool, keys: Sequence[str]
) -> tuple[str, list[Array]]:
    name, upper = program.name, program.name.upper()
    names = Names(_taken(program, keys))
    keeps = bool(program.passes)
    written = [layer_function(name, layer, layout, names, keeps_rows=keeps) for layer in program.layers]
    arrays = [array for one in written for array in one.arrays]
    if layout.initial is not None:
        numbers = np.concatenate([state.initial for state in program.states])
        arrays.append(Array(f"{name}_initial", f"[{len(numbers)}]", numbers))
    what = "whole sequences" if program.passes else "one step"
    parts = [
        f"/* {name}: {what} of a recurrent network, written by nabi; see {name}.h. */",
        f'#include "{name}.h"',
    ]
    if apart:
        parts.append("\n".join(f"extern const float {one.name}[{len(one.numbers)}];" for one in arrays))
    else:
        parts += [_array(one, "static const float") for one in arrays]
    used = {
        one.operation for layer in program.layers for map_ in layer.instructions
        if isinstance(map_, Map) for one in map_.operations
    }  # fmt: skip
    parts += functions_for(used)
    parts += [one.text for one in written]
    if program.passes:
        parts += sequence_functions(program, layout, test, written, has_initial=layout.initial is not None)
    else:
        parts += _functions(program, layout, test, name, upper, written)
    parts.append(
        "\n\n".join(
            f"int32_t {name}_{key.lower()}(void)\n{{\n    return (int32_t){upper}_{key};\n}}" for key in keys
        )
    )
    return "\n\n".join(parts) + "\n", arrays


def _weights_source(program: StepProgram, arrays: Sequence[Array]) -> str:
    text = f"/* The weights of {program.name}, written by nabi. */"
    declared = "\n".join(f"extern const float {one.name}[{len(one.numbers)}];" for one in arrays)
    return "\n\n".join([text, declared, *[_array(one, "const float") for one in arrays]]) + "\n"


def _taken(program: StepProgram, keys: Sequence[str]) -> list[str]:
    """Return the names of the file and of its header that no layer decides."""
    name = program.name
    functions = ("compute", "init", "reset", "step", "run", "get_state", "set_state", "self_test", "initial")
    passes = [f"pass_{number}" for number in range(len(program.passes))]
    macros = [f"{name.upper()}_{key}" for key in ("H", "SCRATCH_BYTES", *keys)]
    return [f"{name}_{one}" for one in (*functions, *passes, *(key.lower() for key in keys))] + macros


def _array(array: Array, kind: str) -> str:
    head = f"/* {commented(array.about)} */\n{kind} {array.name}[{array.numbers.size}]"
    return f"{head} = {{\n{rows_of(array.numbers)}\n}};"


def _functions(
    program: StepProgram,
    layout: Layout,
    test: SelfTest,
    name: str,
    upper: str,
    layers: Sequence[LayerFunction],
) -> list[str]:
    """Return the public functions."""
    output = program.output
    calls = "\n".join(f"    {one.name}(x, state, scratch);" for one in layers)
    place = layout.place(output)
    at = f"{output.memory} + {place}" if output.memory != "input" else "x"
    steps, shown = test.outputs.shape
    start = f"{name}_initial[n]" if layout.initial is not None else "0.0f"
    return [
        f"""static void {name}_compute(float *state, float *scratch, const float *x, float *y)
{{
    const float *const found = {at};
    int n;
{calls}
    for (n = 0; n < {upper}_OUTPUT_SIZE; n++)
        y[n] = found[n];
}}""",
        f"""int32_t {name}_init(void *state, size_t bytes)
{{
    if (bytes < {upper}_STATE_BYTES)
        return 1;
    if ((uintptr_t)state % {upper}_ALIGN != 0)
        return 2;
    {name}_reset(state);
    return 0;
}}""",
        f"""void {name}_reset(void *state)
{{
    float *const values = (float *)state;
    int n;
    for (n = 0; n < {upper}_STATE_SIZE; n++)
        values[n] = {start};
}}""",
        f"""void {name}_step(void *state, void *scratch, const float *x, float *y)
{{
    {name}_compute((float *)state, (float *)scratch, x, y);
}}""",
        f"""void {name}_run(void *state, void *scratch, const float *x, float *y, size_t steps)
{{
    size_t n;
    for (n = 0; n < steps; n++) {{
        {name}_compute((float *)state, (float *)scratch, x, y);
        x += {upper}_INPUT_SIZE;
        y += {upper}_OUTPUT_SIZE;
    }}
}}""",
        f"""void {name}_get_state(const void *state, float *values)
{{
    int n;
    for (n = 0; n < {upper}_STATE_SIZE; n++)
        values[n] = ((const float *)state)[n];
}}""",
        f"""void {name}_set_state(void *state, const float *values)
{{
    int n;
    for (n = 0; n < {upper}_STATE_SIZE; n++)
        ((float *)state)[n] = values[n];
}}""",
        f"""int32_t {name}_self_test(void *state, void *scratch)
{{
    static const float inputs[{test.inputs.size}] = {{
{rows_of(test.inputs)}
    }};
    static const float outputs[{test.outputs.size}] = {{
{rows_of(test.outputs)}
    }};
    float *const y = (float *)scratch + {layout.scratch_size};
    int32_t failed = 0;
    int n, k;
    {name}_reset(state);
    for (n = 0; n < {steps} && failed == 0; n++) {{
        {name}_compute((float *)state, (float *)scratch, inputs + n * {upper}_INPUT_SIZE, y);
        for (k = 0; k < {shown}; k++) {{
            const float difference = y[k] - outputs[n * {shown} + k];
            if (!(difference < {number(test.tolerance)} && difference > {number(-test.tolerance)}))
                failed = n + 1;
        }}
    }}
    {name}_reset(state);
    return failed;
}}""",
    ]
