"""What the C header of a model with passes has, which goes through whole sequences."""

from nabi.shipping._program import StepProgram

__all__ = ["CONSTANTS", "memory_macro", "sequence_example", "sequence_functions"]

CONSTANTS = {
    "INPUT_SIZE": "numbers of a step",
    "OUTPUT_SIZE": "numbers of an output",
    "OUTPUT_PER_STEP": "1 if there is an output for each step, 0 if one for a sequence",
    "FIXED_BYTES": "memory of a run beside that of its steps",
    "STEP_BYTES": "memory of a run for each step",
    "TEST_STEPS": "steps of the self-test",
    "ALIGN": "bytes to which the memory must be aligned; 64 is faster",
    "ABI_VERSION": "of these functions",
    "WEIGHTS_CRC": "CRC-32 of the weights",
}


def memory_macro(upper: str) -> list[str]:
    """Return the definition of the bytes that a run of some steps needs."""
    return [
        "/* Bytes of scratch memory for a sequence of so many steps. */",
        f"#define {upper}_SCRATCH_BYTES(steps) ({upper}_FIXED_BYTES + (size_t)(steps) * {upper}_STEP_BYTES)",
    ]


def sequence_functions(program: StepProgram, reads: str) -> list[tuple[str, str]]:
    """Return the functions as comments and declarations.

    Args:
        program: with passes.
        reads: what a step has, in words.
    """
    name, upper = program.name, program.name.upper()
    gives = f"{upper}_OUTPUT_SIZE numbers" + (" for each step" if program.is_per_step else "")
    return [
        (
            f"Checks memory for sequences of up to `steps` steps. Returns 0; 1 if `bytes` is less than "
            f"{upper}_SCRATCH_BYTES(steps), 2 if `scratch` is not aligned to {upper}_ALIGN bytes, 3 if the "
            "weights belong to another model.",
            f"int32_t {name}_init(const void *scratch, size_t bytes, size_t steps);",
        ),
        (
            f"Reads a whole sequence, whose layers go through it in both directions. Each step of `x` has "
            f"{reads}, `y` has room for {gives}, `scratch` is {upper}_SCRATCH_BYTES(steps) bytes of memory "
            "that holds nothing between two calls. The three may not overlap. Without a step nothing is "
            "written.",
            f"void {name}_run(void *scratch, const float *x, float *y, size_t steps);",
        ),
        (
            "Compares a stored sequence with what the model gave when it was exported. `scratch` is as for "
            f"{upper}_TEST_STEPS steps. Returns 0, or the number of the first output that differs.",
            f"int32_t {name}_self_test(void *scratch);",
        ),
    ]


def sequence_example(program: StepProgram) -> str:
    """Return a program that runs the self-test and one sequence."""
    name, upper = program.name, program.name.upper()
    filled = f"(float)(step % {program.codes})" if program.codes else "(float)step / (float)(i + 1)"
    rows = "STEPS" if program.is_per_step else "1"
    label = "step" if program.is_per_step else "output"
    return f"""/* Written by nabi: runs the self-test of {name}, then a sequence of four steps. */
#include <stdio.h>

#include "{name}.h"

#define STEPS {upper}_TEST_STEPS
#define OUTPUTS {rows}

/* A union gives the memory the alignment of float. */
static union {{ float align; unsigned char bytes[{upper}_SCRATCH_BYTES(STEPS)]; }} scratch;

int main(void) {{
    static float x[STEPS * {upper}_INPUT_SIZE];
    static float y[OUTPUTS * {upper}_OUTPUT_SIZE];
    int step, i;

    if ({name}_init(&scratch, sizeof scratch, STEPS) != 0 || {name}_self_test(&scratch) != 0) {{
        puts("{name}: failed");
        return 1;
    }}
    for (step = 0; step < STEPS; step++)
        for (i = 0; i < {upper}_INPUT_SIZE; i++)
            x[step * {upper}_INPUT_SIZE + i] = {filled};
    {name}_run(&scratch, x, y, STEPS);
    for (step = 0; step < OUTPUTS; step++) {{
        printf("{label} %d:", step);
        for (i = 0; i < {upper}_OUTPUT_SIZE; i++)
            printf(" %.6f", (double)y[step * {upper}_OUTPUT_SIZE + i]);
        putchar('\\n');
    }}
    return 0;
}}
"""
