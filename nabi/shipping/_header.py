"""The C header of an exported model, and a small program that uses it."""

import textwrap
from collections.abc import Mapping, Sequence

from nabi.shipping._c._names import commented
from nabi.shipping._program import StepProgram
from nabi.shipping._sequence_header import CONSTANTS, memory_macro, sequence_example, sequence_functions

__all__ = ["example", "header"]


def header(
    program: StepProgram,
    constants: Mapping[str, int],
    about: Sequence[str],
    *,
    weights: str | None,
    unsigned: frozenset[str] = frozenset({"WEIGHTS_CRC"}),
) -> str:
    """Return the header, for C99 and C++.

    Args:
        program: the exported program.
        constants: by the ends of their names.
        about: lines for the comment at the beginning: sizes, target.
        weights: the declaration of weights that lie apart; None if they are inside.
        unsigned: constants that are unsigned.
    """
    name, upper = program.name, program.name.upper()
    what = "whole sequences" if program.passes else "one step"
    lines = [f"/* {program.name}: {what} of a recurrent network, written by nabi.", " *"]
    lines += [f" * {commented(line)}".rstrip() for line in about]
    lines += [
        " */",
        f"#ifndef {upper}_H",
        f"#define {upper}_H",
        "",
        "#include <stddef.h>",
        "#include <stdint.h>",
        "",
    ]
    for key, value in constants.items():
        number = f"0x{value:08X}u" if key in unsigned else f"{value}"
        comment = (CONSTANTS if program.passes else _CONSTANTS).get(key, "")
        lines.append(f"#define {upper}_{key} {number}" + (f" /* {comment} */" if comment else ""))
    lines.append("")
    if program.passes:
        lines += [*memory_macro(upper), ""]
    lines += ["#ifdef __cplusplus", 'extern "C" {', "#endif", ""]
    if weights:
        lines += [weights, ""]
    reads = (
        f"one code from 0 to {program.codes - 1}, as a number"
        if program.codes
        else f"{upper}_INPUT_SIZE numbers"
    )
    functions = sequence_functions(program, reads) if program.passes else _functions(name, upper, reads)
    for text, declaration in functions:
        lines += [*_comment(text), declaration, ""]
    lines += [
        "/* The constants again, for programs that load the code when they run. */",
        *[f"int32_t {name}_{key.lower()}(void);" for key in constants],
        "",
        "#ifdef __cplusplus",
        "}",
        "#endif",
        "#endif",
    ]
    return "\n".join(lines) + "\n"


_CONSTANTS = {
    "INPUT_SIZE": "numbers that a step reads",
    "OUTPUT_SIZE": "numbers that a step gives",
    "STATE_SIZE": "numbers of get_state and set_state",
    "STATE_BYTES": "memory of one stream",
    "SCRATCH_BYTES": "memory that all streams share",
    "ALIGN": "bytes to which both must be aligned; 64 is faster",
    "ABI_VERSION": "of these functions",
    "WEIGHTS_CRC": "CRC-32 of the weights",
}


def _functions(name: str, upper: str, reads: str) -> list[tuple[str, str]]:
    return [
        (
            f"Begins a stream in memory of at least {upper}_STATE_BYTES bytes. Returns 0; 1 if `bytes` is "
            f"too small, 2 if `state` is not aligned to {upper}_ALIGN bytes, 3 if the weights belong to "
            "another model.",
            f"int32_t {name}_init(void *state, size_t bytes);",
        ),
        ("Begins the sequence of a stream anew.", f"void {name}_reset(void *state);"),
        (
            f"Reads one step and gives the output after it. `x` has {reads}, `y` room for "
            f"{upper}_OUTPUT_SIZE, `scratch` is {upper}_SCRATCH_BYTES bytes of memory that holds nothing "
            "between two calls. The four may not overlap. Streams with a state and scratch memory of their "
            "own may run at the same time.",
            f"void {name}_step(void *state, void *scratch, const float *x, float *y);",
        ),
        (
            "Reads many steps, one behind the other.",
            f"void {name}_run(void *state, void *scratch, const float *x, float *y, size_t steps);",
        ),
        (
            f"Copies the state to {upper}_STATE_SIZE numbers, from which set_state goes on later.",
            f"void {name}_get_state(const void *state, float *values);",
        ),
        ("Takes a state that get_state gave.", f"void {name}_set_state(void *state, const float *values);"),
        (
            "Compares stored steps with what the model gave when it was exported. Returns 0, or the number "
            "of the first step that differs. Begins the stream anew.",
            f"int32_t {name}_self_test(void *state, void *scratch);",
        ),
    ]


def _comment(text: str) -> list[str]:
    lines = textwrap.wrap(text, 100)
    if len(lines) == 1:
        return [f"/* {lines[0]} */"]
    return [f"/* {lines[0]}", *[f" * {line}" for line in lines[1:]], " */"]


def example(program: StepProgram) -> str:
    """Return a program that runs the self-test and a few steps."""
    if program.passes:
        return sequence_example(program)
    name, upper = program.name, program.name.upper()
    filled = f"(float)(step % {program.codes})" if program.codes else "(float)step / (float)(i + 1)"
    return f"""/* Written by nabi: runs the self-test of {name}, then four steps. */
#include <stdio.h>

#include "{name}.h"

/* Unions give the memory the alignment of float. */
static union {{ float align; unsigned char bytes[{upper}_STATE_BYTES]; }} state;
static union {{ float align; unsigned char bytes[{upper}_SCRATCH_BYTES]; }} scratch;

int main(void) {{
    static float x[{upper}_INPUT_SIZE];
    static float y[{upper}_OUTPUT_SIZE];
    int step, i;

    if ({name}_init(&state, sizeof state) != 0 || {name}_self_test(&state, &scratch) != 0) {{
        puts("{name}: failed");
        return 1;
    }}
    for (step = 0; step < 4; step++) {{
        for (i = 0; i < {upper}_INPUT_SIZE; i++)
            x[i] = {filled};
        {name}_step(&state, &scratch, x, y);
        printf("step %d:", step);
        for (i = 0; i < {upper}_OUTPUT_SIZE; i++)
            printf(" %.6f", (double)y[i]);
        putchar('\\n');
    }}
    return 0;
}}
"""
