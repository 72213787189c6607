"""The C functions of a model that goes through whole sequences: passes, one after the other."""

from collections.abc import Sequence

from nabi.shipping._c._mathematics import number, rows_of
from nabi.shipping._c._step import LayerFunction
from nabi.shipping._code._module_writer import SelfTest
from nabi.shipping._code._sequence_functions import fixed_numbers, row_numbers
from nabi.shipping._memory import Layout
from nabi.shipping._program import StepProgram

__all__ = ["sequence_functions"]


def sequence_functions(
    program: StepProgram,
    layout: Layout,
    test: SelfTest,
    layers: Sequence[LayerFunction],
    *,
    has_initial: bool,
) -> list[str]:
    """Return the functions of a program with passes, but those of its constants.

    Args:
        program: the program.
        layout: where values lie, for vectors of one number.
        test: what the self-test compares.
        layers: the functions of all layers, in order.
        has_initial: whether there is an array `NAME_initial`, with what states are before the first step.
    """
    name, upper = program.name, program.name.upper()
    found, calls, at = [], [], 0
    for place, one in enumerate(program.passes):
        own = layers[at : at + len(one.layers)]
        at += len(one.layers)
        is_last = place == len(program.passes) - 1
        found.append(_pass(f"{name}_pass_{place}", program, layout, own, gives=is_last))
        y = f", y + n * {upper}_OUTPUT_SIZE" if is_last else ""
        call = f"{name}_pass_{place}(rows + n * {row_numbers(program, layout)}, state, work{y});"
        calls += {
            "forward": ["for (n = 0; n < steps; n++)", f"    {call}"],
            "backward": ["for (n = steps; n-- > 0;)", f"    {call}"],
            "once": ["n = 0;", call],
        }[one.order]
    width, fixed = row_numbers(program, layout), fixed_numbers(program, layout, test)
    start = f"{name}_initial[k]" if has_initial else "0.0f"
    body = "\n".join(f"    {line}" for line in calls)
    rows, shown = test.outputs.shape
    reset = f"""    for (k = 0; k < {layout.state_size}; k++)
        state[k] = {start};
"""
    return [
        *found,
        f"""int32_t {name}_init(const void *scratch, size_t bytes, size_t steps)
{{
    if (bytes < {upper}_FIXED_BYTES || (bytes - {upper}_FIXED_BYTES) / {upper}_STEP_BYTES < steps)
        return 1;
    if ((uintptr_t)scratch % {upper}_ALIGN != 0)
        return 2;
    return 0;
}}""",
        f"""void {name}_run(void *scratch, const float *x, float *y, size_t steps)
{{
    float *const state = (float *)scratch;
    float *const work = state + {layout.state_size};
    float *const rows = state + {fixed};
    size_t n;
    int k;
    if (steps == 0)
        return;
    for (n = 0; n < steps; n++)
        for (k = 0; k < {upper}_INPUT_SIZE; k++)
            rows[n * {width} + k] = x[n * {upper}_INPUT_SIZE + k];
{reset}{body}
}}""",
        f"""int32_t {name}_self_test(void *scratch)
{{
    static const float inputs[{test.inputs.size}] = {{
{rows_of(test.inputs)}
    }};
    static const float outputs[{test.outputs.size}] = {{
{rows_of(test.outputs)}
    }};
    float *const y = (float *)scratch + {layout.state_size + layout.scratch_size};
    int n, k;
    {name}_run(scratch, inputs, y, {len(test.inputs)});
    for (n = 0; n < {rows}; n++) {{
        for (k = 0; k < {shown}; k++) {{
            const float difference = y[n * {upper}_OUTPUT_SIZE + k] - outputs[n * {shown} + k];
            if (!(difference < {number(test.tolerance)} && difference > {number(-test.tolerance)}))
                return n + 1;
        }}
    }}
    return 0;
}}""",
    ]


def _pass(
    name: str, program: StepProgram, layout: Layout, layers: Sequence[LayerFunction], *, gives: bool
) -> str:
    """Return the function of one pass for one step."""
    output = program.output
    lines = [f"    {one.name}(row, state, scratch);" for one in layers]
    if gives:
        memory = "row" if output.memory == "input" else output.memory
        lines = [
            f"    const float *const found = {memory} + {layout.place(output)};",
            "    int n;",
            *lines,
            f"    for (n = 0; n < {output.width}; n++)",
            "        y[n] = found[n];",
        ]
        text = "\n".join(lines)
        lines += [f"    (void){one};" for one in ("row", "state", "scratch") if one not in text]
    arguments = "float *row, float *state, float *scratch" + (", float *y" if gives else "")
    return f"static void {name}({arguments})\n{{\n" + "\n".join(lines) + "\n}"
