"""The modules of `nabi.nn`: stacks of layers of any cell, and the drop-ins for torch's."""

from typing import Any

import numpy as np
from torch import nn as torch_nn

from nabi import nn
from nabi.errors import ArgumentError
from nabi.interchange._onnx._writer._further_inputs import check_writable, with_further_inputs
from nabi.interchange._onnx._writer._recurrent import Run, run_over_time
from nabi.interchange._onnx._writer._writing import UnwritableError, Value, Writing
from nabi.ir import Program
from nabi.layers import cell_config
from nabi.nn import runs_of

__all__ = ["module_header", "write_module"]


def write_module(w: Writing, module: torch_nn.Module, lengths: bool) -> None:
    """Write a recurrent module: `input` to `output` and the final states, in the layouts of the module.

    States are `[layers * directions, batch, width]`. With `stateful` they are inputs, too.

    Raises:
        ArgumentError: if it is no such module, it has two directions and is to be stateful, or its cell reads
            what is not written.
    """
    found: Any = module
    runs = runs_of(module)
    graph, directions = w.graph, 2 if found.bidirectional else 1
    if w.stateful and directions == 2:
        raise ArgumentError(
            "stateful: a module with two directions reads from both ends and goes on from none"
        )
    program = runs[0][0]
    axes = ["batch", "time"] if found.batch_first else ["time", "batch"]
    given = w.input("input", np.float32, [*axes, program.input_size], (None, None, program.input_size))
    rows = given.name if found.batch_first else graph.transpose(given.name, 1, 0, 2, name="rows")
    x = Value(rows, (None, None, program.input_size))
    if lengths:
        own = w.input("lengths", np.int32, ["batch"], (None,))
        x = Value(rows, x.shape, w.mask_of_lengths(own.name, rows))
    widths, names = program.state_widths, program.state_names
    state_axes: list[list[int | str]] = [[len(runs), "batch", width] for width in widths]
    first: list[tuple[str, ...] | None] = [None] * len(runs)
    states: list[str] = []
    if w.stateful:
        states = [w.state(name, axis) for name, axis in zip(names, state_axes, strict=True)]
        cut = [graph.split(one, [1] * len(runs), 0, [f"{one}_of_layer"] * len(runs)) for one in states]
        first = [
            tuple(
                graph.add("Squeeze", [one[index], graph.ints(0)], f"{name}_first")
                for one, name in zip(cut, names, strict=True)
            )
            for index in range(len(runs))
        ]
    further = _further_inputs(w, program, found.batch_first)
    final: list[tuple[str, ...]] = []
    for layer in range(0, len(runs), directions):
        asked = [
            Run(*runs[layer + direction], reverse=bool(direction), states=first[layer + direction])
            for direction in range(directions)
        ]
        if layer and "observed" in further:
            # What the layer below outputs has always been observed.
            further["observed"] = Value(graph.number(1.0), ())
        x = with_further_inputs(w, runs[layer][0], x, further, f"layer_{layer // directions}")
        results = run_over_time(w, asked, x, f"layer_{layer // directions}")
        final += [result.states for result in results]
        outputs = [result.outputs for result in results]
        name = outputs[0] if directions == 1 else graph.add("Concat", outputs, "both_directions", axis=-1)
        x = Value(name, (None, None, directions * program.output_width), x.mask)
    output = x.name if found.batch_first else graph.transpose(x.name, 1, 0, 2)
    w.output(output, "output", np.float32, [*axes, directions * program.output_width])
    for place, name in enumerate(names):
        each = [graph.add("Unsqueeze", [one[place], graph.ints(0)], f"{name}_row") for one in final]
        joined = each[0] if len(each) == 1 else graph.add("Concat", each, f"{name}_rows", axis=0)
        if w.stateful:
            w.next_state(states[place], joined, state_axes[place])
        else:
            w.output(joined, f"{name}_last", np.float32, state_axes[place])


def _further_inputs(w: Writing, program: Program, batch_first: bool) -> dict[str, Value]:
    """Return what a cell reads beside its input, as inputs of the file, with the batch first."""
    found = {}
    for given in program.inputs[1:]:
        try:
            check_writable(program, given)
        except UnwritableError as problem:
            raise ArgumentError(f"module: {problem}") from None
        width = [] if given.width is None else [given.width]
        if given.per_sequence:
            found[given.name] = w.input(given.name, np.float32, ["batch", *width], (None, *width))
            continue
        axes = ["batch", "time"] if batch_first else ["time", "batch"]
        value = w.input(given.name, np.float32, [*axes, *width], (None, None, *width))
        if not batch_first:
            order = (1, 0, 2)[: 2 + len(width)]
            value = Value(w.graph.transpose(value.name, *order, name=f"{given.name}_rows"), value.shape)
        found[given.name] = value
    return found


def module_header(module: Any) -> dict[str, Any]:
    """Return the class and the arguments that make a module again."""
    if isinstance(module, nn.ElmanRNN | nn.LSTM | nn.GRU):
        names = ["input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional"]
        names += ["proj_size"] if isinstance(module, nn.LSTM) else []
        names += ["nonlinearity"] if isinstance(module, nn.ElmanRNN) else []
        return {"class": type(module).__name__, "arguments": {name: getattr(module, name) for name in names}}
    names = [
        "input_size",
        "num_layers",
        "bidirectional",
        "dropout",
        "batch_first",
        "initializer",
        "recompute",
    ]
    arguments = {name: getattr(module, name) for name in names}
    return {"class": "RNN", "arguments": {"cell": cell_config(module.cell), **arguments}}
