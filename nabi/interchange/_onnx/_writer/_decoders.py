"""Systems that write codes beside a source: an encoder in one file, one step of the decoder in another.

What the encoder gives is what the step takes, under the same names: the memory and what the attention needs
of it, which stay, and the states, which the next step takes as the last one gave them.
"""

from typing import Any

import numpy as np

from nabi.data import Vocabulary
from nabi.errors import ArgumentError
from nabi.interchange._onnx._writer._recurrent import Run, run_directions, run_over_time
from nabi.interchange._onnx._writer._writing import RESERVED_CODES, Mask, Value, Writing
from nabi.models import NEVER_WRITTEN

__all__ = ["write_captioner", "write_translator"]

_READ = "read"  # the state of input feeding
_SAID = "output_before"  # of a cell whose output is no state, where the attention asks with it


def write_translator(w: Writing, model: Any, lengths: bool) -> None:
    """Write a translator: codes of a source to memory and states; the step."""
    network = _checked(w, model)
    codes = w.input("codes", np.int64, ["batch", "source"], (None, None))
    table = w.weight(network.encoder.embedding.embeddings, "source_embeddings")
    x = Value(w.graph.add("Gather", [table, codes.name], "embedded"), (None, None, None))
    memory, summary = _read_text(w, network.encoder, w.inside(x, lengths))
    _first_states(w, network.decoder, memory, summary, "source")
    _step(w, model, network.encoder.memory_width, "source", lengths)
    w.preprocessing |= {
        "input": "codes of a source, without those of its start and end",
        "source": model.source_vocabulary.to_dict(),
        "target": model.target_vocabulary.to_dict(),
        "longest": "twice the codes of the source, rounded up to a multiple of 8, and `room`",
        "room": max(model.room, 10),
    }


def write_captioner(w: Writing, model: Any, lengths: bool) -> None:
    """Write a captioner: pictures to memory and states; the step."""
    if lengths:
        raise ArgumentError("lengths: a captioner reads pictures, which have none")
    network, size = _checked(w, model), model.settings.image_size
    pictures = w.input("pictures", np.uint8, ["batch", size, size, 3], (None, size, size, 3))
    memory, summary, regions = _read_pictures(w, network.encoder, pictures.name, size)
    _first_states(w, network.decoder, Value(memory, (None, regions, network.encoder.width)), summary, regions)
    _step(w, model, network.encoder.width, regions, False)
    w.preprocessing |= {
        "input": f"pictures of {size} times {size} places, red, green and blue from 0 to 255",
        "vocabulary": model.vocabulary.to_dict(),
        "longest": 2 * model.longest,
    }


def _checked(w: Writing, model: Any) -> Any:
    if w.stateful:
        raise ArgumentError(
            f"stateful: the step of a {type(model).__name__} has its states as inputs and outputs already"
        )
    return model.network


# Encoders -------------------------------------------------------------------------------------------------


def _read_text(w: Writing, encoder: Any, x: Value) -> tuple[Value, str]:
    """Return the outputs of the last layer, and the final states of its directions."""
    x, results = run_directions(w, encoder, x, "encoder")
    finals = [state for result in results for state in result.states]
    summary = finals[0] if len(finals) == 1 else w.graph.add("Concat", finals, "summary", axis=1)
    return x, summary


def _read_pictures(w: Writing, encoder: Any, pictures: str, size: int) -> tuple[str, str, int]:
    """Return the regions `[B, R, width]`, their largest values, and how many regions there are."""
    graph = w.graph
    scaled = graph.add("Div", [graph.cast(pictures, np.float32), graph.number(127.5)])
    x = graph.transpose(graph.add("Sub", [scaled, graph.number(1.0)]), 0, 3, 1, 2, name="colours")
    distance = graph.add("Sub", [x, graph.reduce("ReduceMean", x, [2, 3], True)])
    away = graph.reduce("ReduceSum", graph.add("Mul", [distance, distance]), [1], True, "away")
    form = graph.add("Sqrt", [away], "forms")
    weight = graph.add("Add", [away, graph.number(encoder.least_weight)], "weights_of_places")
    for number, layer in enumerate(encoder.forms[:-1]):
        form = _convolved(w, layer, form, f"form_{number}")
        form = graph.add("MaxPool", [form], f"form_{number}_smaller", kernel_shape=[2, 2], strides=[2, 2])
        size //= 2
    line = np.linspace(-1, 1, size, dtype=np.float32)
    grid = graph.constant(np.stack(np.meshgrid(line, line, indexing="ij"))[None], "places")
    sizes = graph.add("Concat", [graph.size(form, 0), graph.ints(2, size, size)], axis=0)
    form = graph.add("Concat", [form, graph.add("Expand", [grid, sizes])], "placed", axis=1)
    form = _convolved(w, encoder.forms[-1], form, f"form_{len(encoder.forms) - 1}")
    step = 2 ** (len(encoder.forms) - 1)
    total, held = (
        graph.add("AveragePool", [one], kernel_shape=[step, step], strides=[step, step])
        for one in (graph.add("Mul", [weight, x]), weight)
    )
    colour = graph.add("Div", [total, held], "colours_of_regions")
    for number, layer in enumerate(encoder.colours):
        colour = _convolved(w, layer, colour, f"colour_{number}")
    both = graph.transpose(graph.add("Concat", [form, colour], axis=1), 0, 2, 3, 1)
    regions = graph.add("Reshape", [both, graph.ints(0, size * size, encoder.width)], "regions")
    return regions, graph.reduce("ReduceMax", regions, [1], False, "summary"), size * size


def _convolved(w: Writing, layer: Any, x: str, name: str) -> str:
    """Write a convolution with its normalization, which outside of training is a part of it, and ReLU."""
    factors, shifts = layer.fixed()
    kernel = w.weight(layer.convolution.kernel.permute(3, 2, 0, 1), f"{name}_kernel")
    before = (layer.convolution.kernel_size[0] - 1) // 2
    found = w.graph.add("Conv", [x, kernel], f"{name}_windows", pads=[before] * 4)
    found = w.graph.add("Mul", [found, w.weight(factors.reshape(-1, 1, 1), f"{name}_factors")])
    found = w.graph.add("Add", [found, w.weight(shifts.reshape(-1, 1, 1), f"{name}_shifts")])
    return w.graph.add("Relu", [found], f"{name}_outputs")


# Decoder --------------------------------------------------------------------------------------------------


def _states(decoder: Any) -> list[tuple[str, int]]:
    """Return names and widths of the states of all layers."""
    programs = [layer.program() for layer in decoder.recurrent]
    return [
        (f"{state}_{number}", width)
        for number, program in enumerate(programs)
        for state, width in zip(program.state_names, program.state_widths, strict=True)
    ]


def _first_states(w: Writing, decoder: Any, memory: Value, summary: str, steps: str | int) -> None:
    """Declare what the decoder needs of a source as the outputs of the encoder."""
    graph = w.graph
    bridges = [
        graph.add("Tanh", [w.dense(summary, bridge.kernel, bridge.bias, f"bridge_{name}")])
        for bridge, (name, _) in zip(decoder.bridge, _states(decoder), strict=True)
    ]
    if decoder.attention is not None:
        weights = decoder.attention.state_dict()
        kernel = weights["_memory.kernel"]
        keys = w.dense(memory.name, kernel, weights.get("_memory.bias"), "keys_of_memory")
        w.output(memory.name, "memory", np.float32, ["batch", steps, kernel.shape[0]])
        w.output(keys, "keys", np.float32, ["batch", steps, kernel.shape[1]])
        if memory.mask is not None:
            w.output(memory.mask.name, "inside", bool, ["batch", steps])
    for bridge, (name, width) in zip(bridges, _states(decoder), strict=True):
        w.output(bridge, name, np.float32, ["batch", width])
    if decoder.input_feeding:
        width = decoder.combine.units
        zeros = graph.zeros([graph.size(summary, 0), graph.ints(width)], "nothing_read")
        w.output(zeros, _READ, np.float32, ["batch", width])
    if _carries_output(decoder):
        width = decoder.recurrent.cell.output_width
        zeros = graph.zeros([graph.size(summary, 0), graph.ints(width)], "nothing_said")
        w.output(zeros, _SAID, np.float32, ["batch", width])


def _carries_output(decoder: Any) -> bool:
    """Whether a step needs the output of the step before, and no state is that."""
    return bool(decoder.looks_before and decoder.recurrent.cell.output)


def _step(encoder: Writing, model: Any, memory_width: int, steps: str | int, lengths: bool) -> None:
    """Write one step of the decoder: a code of each row to the log probabilities of the next."""
    decoder = model.network.decoder
    w = encoder.beside("step")
    graph = w.graph
    codes = w.input("previous", np.int64, ["batch"], (None,))
    memory, keys, inside = "", "", None
    if decoder.attention is not None:
        memory = w.input("memory", np.float32, ["batch", steps, memory_width], ()).name
        width = decoder.attention.state_dict()["_memory.kernel"].shape[1]
        keys = w.input("keys", np.float32, ["batch", steps, width], ()).name
        inside = Mask(w.input("inside", bool, ["batch", steps], ()).name) if lengths else None
    given = {name: w.state(name, ["batch", width]) for name, width in _states(decoder)}
    table = w.weight(decoder.embedding.embeddings, "embeddings")
    x = graph.add("Gather", [table, graph.add("Unsqueeze", [codes.name, graph.ints(1)])], "embedded")
    context = looked = said = ""
    if decoder.looks_before:
        if _carries_output(decoder):
            last = said = w.state(_SAID, ["batch", decoder.recurrent.cell.output_width])
        else:
            last = list(given.values())[-len(decoder.recurrent[-1].program().state_names)]
        query = graph.add("Unsqueeze", [last, graph.ints(1)], "query")
        context, looked = _attended(w, decoder.attention, query, memory, keys, inside)
        x = graph.add("Concat", [x, context], "embedded_and_context", axis=2)
    elif decoder.input_feeding:
        width = decoder.combine.units
        before = w.state(_READ, ["batch", width])
        row = graph.add("Unsqueeze", [before, graph.ints(1)])
        x = graph.add("Concat", [x, row], "embedded_and_read", axis=2)
    for number, layer in enumerate(decoder.recurrent):
        program = layer.program()
        pairs = [
            (f"{state}_{number}", width)
            for state, width in zip(program.state_names, program.state_widths, strict=True)
        ]
        run = Run(program, layer.cell_parameters(), False, tuple(given[name] for name, _ in pairs))
        (result,) = run_over_time(w, [run], Value(x, (None, None, program.input_size)), f"layer_{number}")
        for (name, width), value in zip(pairs, result.states, strict=True):
            w.next_state(given[name], value, ["batch", width])
        x = result.outputs
    if said:
        now = graph.add("Squeeze", [x, graph.ints(1)], "output_now")
        w.next_state(_SAID, now, ["batch", decoder.recurrent.cell.output_width])
    if decoder.attention is not None:
        if not decoder.looks_before:
            context, looked = _attended(w, decoder.attention, x, memory, keys, inside)
        x = graph.add("Concat", [x, context], "output_and_context", axis=2)
    combined = graph.add("Tanh", [w.dense(x, decoder.combine.kernel, decoder.combine.bias, "combined")])
    read = graph.add("Squeeze", [combined, graph.ints(1)], "read_out")
    if decoder.input_feeding:
        w.next_state(_READ, read, ["batch", decoder.combine.units])
    matrix, bias = decoder.readout_weights()
    allowed = bias.detach().clone()
    allowed[list(NEVER_WRITTEN)] = -np.inf
    found = graph.add("LogSoftmax", [w.dense(read, matrix.T, allowed, "logits")], "shares", axis=1)
    w.output(found, "log_probabilities", np.float32, ["batch", len(bias)])
    if looked:
        weights = graph.add("Squeeze", [looked, graph.ints(1)], "looked")
        w.output(weights, "attention", np.float32, ["batch", steps])
    encoder.preprocessing |= {
        "reserved": RESERVED_CODES,
        "start": Vocabulary.START,
        "end": Vocabulary.START,
        "decoding": "a step reads the code before, at first `start`, and what the encoder gave; each output "
        "that ends in _next takes the place of the input of that name at the next step",
        "never_written": list(NEVER_WRITTEN),
    }


def _attended(
    w: Writing, attention: Any, query: str, memory: str, keys: str, inside: Mask | None
) -> tuple[str, str]:
    """Return the context `[B, 1, M]` of a query `[B, 1, Q]`, and where it looks, `[B, 1, S]`."""
    graph, weights = w.graph, attention.state_dict()
    if attention.kind == "luong":
        scores = graph.add("MatMul", [query, graph.transpose(keys, 0, 2, 1)], "scores")
    else:
        asked = w.dense(query, weights["_query.kernel"], None, "asked")
        compared = graph.add("Tanh", [graph.add("Add", [asked, keys], "compared")])
        scores = w.dense(compared, weights["_vector"][:, None], None, "scores_of_steps")
        scores = graph.transpose(scores, 0, 2, 1, name="scores")
    if inside is not None:
        counts = graph.add("Unsqueeze", [inside.name, graph.ints(1)])
        scores = graph.add("Where", [counts, scores, graph.number(-np.inf)], "scores_inside")
    looked = graph.add("Softmax", [scores], "looked_at", axis=2)
    return graph.add("MatMul", [looked, memory], "context"), looked
