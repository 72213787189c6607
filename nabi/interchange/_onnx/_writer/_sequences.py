"""The networks that classify sequences: series, sound, DNA and clips."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from nabi.data import UNKNOWN_BASE
from nabi.interchange._onnx._writer._recurrent import run_directions
from nabi.interchange._onnx._writer._writing import Mask, Value, Writing
from nabi.models import DNAFront, FrameEncoder, SeriesFront

__all__ = ["write_sequence_networks"]


def write_sequence_networks(w: Writing, networks: Any, lengths: bool) -> None:
    """Write networks whose answers are averaged, from `input` to `probabilities`, or to `estimate`."""
    graph = w.graph
    members, is_number = list(networks.networks), networks.answer == "number"
    given = _input(w, members[0].front)
    if lengths:
        own = w.input("lengths", np.int32, ["batch"], (None,)).name
    else:
        rows, steps = graph.size(given.name, 0), graph.size(given.name, 1)
        own = graph.cast(graph.add("Expand", [steps, rows], "all_steps"), np.int32, "all_lengths")
    total, left = "", own
    for number, member in enumerate(members):
        logits, left = _member(w, member, given, own, f"member_{number}" if len(members) > 1 else "network")
        said = logits if is_number else graph.add("Softmax", [logits], "shares", axis=-1)
        total = said if not total else graph.add("Add", [total, said], "sum_of_answers")
    if len(members) > 1:
        total = graph.add("Mul", [total, graph.number(1 / len(members))], "mean_of_answers")
    if is_number:
        w.output(total, "estimate", np.float32, ["batch", 1])
        return
    classes = members[0].head.out_features
    axes = ["batch", classes] if networks.answer == "class" else ["batch", "steps", classes]
    w.output(total, "probabilities", np.float32, axes)
    if networks.answer != "class":
        w.output(left, "steps_of_rows", np.int32, ["batch"])


def _input(w: Writing, front: Any) -> Value:
    """Declare the input: what the front reads, or, of sound, what it gives."""
    if isinstance(front, DNAFront):
        return w.input("input", np.int64, ["batch", "time"], (None, None))
    if isinstance(front, FrameEncoder):
        size = front.size
        return w.input("input", np.uint8, ["batch", "time", size, size, 3], (None, None, size, size, 3))
    width = len(front.mean) if isinstance(front, SeriesFront) else front.width
    return w.input("input", np.float32, ["batch", "time", width], (None, None, width))


def _member(w: Writing, network: Any, given: Value, lengths: str, name: str) -> tuple[str, str]:
    """Write one network; returns its logits and the lengths of what is left of the rows."""
    graph = w.graph
    x, lengths = _front(w, network.front, given, lengths, name)
    for number, convolution in enumerate(network.convolutions):
        x, lengths = _convolution(w, convolution, x, lengths, f"{name}_convolution_{number}")
    places = getattr(network.front, "places", None)
    if places is not None and isinstance(network.front, DNAFront):
        vectors = w.weight(places[None], f"{name}_places")
        sizes = graph.add("Concat", [graph.size(x, 0), graph.ints(*places.shape)], axis=0)
        x = graph.add("Concat", [x, graph.add("Expand", [vectors, sizes])], f"{name}_placed", axis=2)
    mask = w.mask_of_lengths(lengths, x)
    read, results = run_directions(w, network, Value(x, (None, None, None), mask), f"{name}_recurrent")
    x = read.name
    if network.answer in ("class", "number"):
        x = _pooled(w, [result.last for result in results], x, mask, lengths, name)
    return _linear(w, x, network.head, f"{name}_head"), lengths


def _linear(w: Writing, value: str, linear: Any, name: str) -> str:
    found = w.graph.add("MatMul", [value, w.weight(linear.weight.T, f"{name}_weight")], name)
    return w.graph.add("Add", [found, w.weight(linear.bias, f"{name}_bias")], name)


def _pooled(w: Writing, last: Sequence[str], x: str, mask: Mask, lengths: str, name: str) -> str:
    graph = w.graph
    total = graph.reduce("ReduceSum", w.where(mask, x, 0.0), [1], False, f"{name}_total")
    count = graph.add("Unsqueeze", [graph.cast(lengths, np.float32), graph.ints(1)], f"{name}_count")
    mean = graph.add("Div", [total, count], f"{name}_mean")
    most = graph.reduce("ReduceMax", w.where(mask, x, -np.inf), [1], False, f"{name}_most")
    return graph.add("Concat", [*last, mean, most], f"{name}_summary", axis=1)


def _convolution(w: Writing, one: Any, x: str, lengths: str, name: str) -> tuple[str, str]:
    graph = w.graph
    inside = w.where(w.mask_of_lengths(lengths, x), x, 0.0, name=f"{name}_inside")
    convolution = one.convolution
    found = graph.add(
        "Conv",
        [
            graph.transpose(inside, 0, 2, 1),
            w.weight(convolution.weight, f"{name}_weight"),
            w.weight(convolution.bias, f"{name}_bias"),
        ],
        name,
        kernel_shape=[one.kernel],
        strides=[one.stride],
        pads=[one.before, one.kernel - 1 - one.before],
    )
    found = graph.transpose(found, 0, 2, 1)
    normal = one.normalization
    if isinstance(normal, nn.LayerNorm):
        inputs = [found, w.weight(normal.weight, f"{name}_gain"), w.weight(normal.bias, f"{name}_shift")]
        found = graph.add("LayerNormalization", inputs, f"{name}_normal", axis=-1, epsilon=normal.eps)
    else:
        factors, shifts = normal.fixed()
        scaled = graph.add("Mul", [found, w.weight(factors, f"{name}_factors")], f"{name}_scaled")
        found = graph.add("Add", [scaled, w.weight(shifts, f"{name}_shifts")], f"{name}_normal")
    up = graph.add("Add", [lengths, graph.constant(np.int32(one.stride - 1))], f"{name}_up")
    left = graph.add("Div", [up, graph.constant(np.int32(one.stride))], f"{name}_lengths")
    return graph.add("Relu", [found], f"{name}_outputs"), left


# Fronts ---------------------------------------------------------------------------------------------------


def _front(w: Writing, front: Any, given: Value, lengths: str, name: str) -> tuple[str, str]:
    if isinstance(front, SeriesFront):
        return _series(w, front, given.name, name), lengths
    if isinstance(front, DNAFront):
        return _dna(w, front, given.name, lengths, name)
    if isinstance(front, FrameEncoder):
        return _frames(w, front, given.name, lengths, name), lengths
    return given.name, lengths  # of sound: the input is what its front gives


def _series(w: Writing, front: Any, x: str, name: str) -> str:
    graph = w.graph
    away = graph.add("Sub", [x, w.weight(front.mean, f"{name}_mean_of_channels")], f"{name}_away")
    scaled = graph.add("Div", [away, w.weight(front.deviation, f"{name}_deviation")], f"{name}_scaled")
    missing = graph.add("IsNaN", [scaled], f"{name}_missing")
    features = graph.add("Where", [missing, graph.number(0.0), scaled], f"{name}_features")
    if not front.flagged:
        return features
    observed = graph.cast(graph.add("Not", [missing]), np.float32, f"{name}_observed")
    return graph.add("Concat", [features, observed], f"{name}_flagged", axis=2)


def _dna(w: Writing, front: DNAFront, codes: str, lengths: str, name: str) -> tuple[str, str]:
    graph, size = w.graph, front.size
    unknown = graph.constant(np.int64(UNKNOWN_BASE))
    inside = w.mask_of_lengths(lengths, codes).name
    codes = graph.add("Where", [inside, codes, unknown], f"{name}_codes")
    if front.centred:
        before = (size - 1) // 2
        pads = graph.ints(0, before, 0, size - 1 - before)
    else:
        room = graph.add("Sub", [graph.ints(size), graph.size(codes, 1)], f"{name}_room")
        after = graph.add("Max", [room, graph.ints(0)], f"{name}_after")
        pads = graph.add("Concat", [graph.ints(0, 0, 0), after], f"{name}_pads", axis=0)
        fewer = graph.add("Sub", [lengths, graph.constant(np.int32(size - 1))], f"{name}_fewer")
        lengths = graph.add("Max", [fewer, graph.constant(np.int32(1))], f"{name}_words")
    padded = graph.add("Pad", [codes, pads, unknown], f"{name}_padded")
    bases = graph.add("Gather", [w.weight(front.shares, f"{name}_shares"), padded], f"{name}_bases")
    found = graph.cut(bases, 0, None if size == 1 else 1 - size, 1) if size > 1 else bases
    for place in range(1, size):
        end = place - size + 1
        following = graph.cut(bases, place, end or None, 1)
        one = graph.add("Unsqueeze", [found, graph.ints(3)])
        other = graph.add("Unsqueeze", [following, graph.ints(2)])
        product = graph.add("Mul", [one, other], f"{name}_word")
        found = graph.add("Reshape", [product, graph.ints(0, 0, 4 ** (place + 1))], f"{name}_words_of_bases")
    return found, lengths


def _frames(w: Writing, front: Any, clips: str, lengths: str, name: str) -> str:
    """Write the encoder of frames: all frames side by side, each with the one before it."""
    graph, size = w.graph, front.size
    first = graph.cut(clips, 0, 1, 1)
    then = graph.add("Concat", [first, graph.cut(clips, 0, -1, 1)], f"{name}_before", axis=1)
    now, before = (
        _seen(w, graph.add("Reshape", [one, graph.ints(-1, size, size, 3)]), name) for one in (clips, then)
    )
    change = graph.add("Sub", [now, before], f"{name}_change")
    x = graph.add("Concat", [now, change], f"{name}_seen", axis=3)
    x = graph.transpose(x, 0, 3, 1, 2)
    for number, part in enumerate(front.convolutions):
        label = f"{name}_frames_{number}"
        if isinstance(part, nn.Conv2d):
            kernel, bias = dict(part.named_parameters()).values()
            weights = [w.weight(kernel, f"{label}_weight"), w.weight(bias, f"{label}_bias")]
            x = graph.add("Conv", [x, *weights], label, strides=[2, 2], pads=[part.padding[0]] * 4)
        elif isinstance(part, nn.GroupNorm):
            x = _normalized(w, x, part, label)
        else:
            x = graph.add("Relu", [x], label)
    mean = graph.reduce("ReduceMean", x, [2, 3], False, f"{name}_mean_of_places")
    places = _linear(w, graph.add("Flatten", [x], axis=1), front.places, f"{name}_places")
    vectors = graph.add("Concat", [mean, graph.add("Relu", [places])], f"{name}_vectors", axis=1)
    lead = graph.add("Shape", [clips], f"{name}_lead", start=0, end=2)
    shape = graph.add("Concat", [lead, graph.ints(front.width)], axis=0)
    rows = graph.add("Reshape", [vectors, shape], f"{name}_rows")
    return w.where(w.mask_of_lengths(lengths, rows), rows, 0.0, name=f"{name}_features")


def _seen(w: Writing, frames: str, name: str) -> str:
    """Return the colours, from -1 to 1, and their distance from the mean colour of the frame."""
    graph = w.graph
    scaled = graph.add("Div", [graph.cast(frames, np.float32), graph.number(127.5)])
    x = graph.add("Sub", [scaled, graph.number(1.0)], f"{name}_colours")
    mean = graph.reduce("ReduceMean", x, [1, 2], True)
    away = graph.add("Sub", [x, mean])
    square = graph.add("Mul", [away, away])
    distance = graph.reduce("ReduceSum", square, [3], True)
    return graph.add("Concat", [x, distance], f"{name}_seen", axis=3)


def _normalized(w: Writing, x: str, norm: Any, name: str) -> str:
    """Write the normalization of each frame over all of its channels and places."""
    graph, axes = w.graph, [1, 2, 3]
    centred = graph.add("Sub", [x, graph.reduce("ReduceMean", x, axes, True)], f"{name}_centred")
    variance = graph.reduce(
        "ReduceMean", graph.add("Mul", [centred, centred]), axes, True, f"{name}_variance"
    )
    deviation = graph.add("Sqrt", [graph.add("Add", [variance, graph.number(norm.eps)])])
    normal = graph.add("Div", [centred, deviation])
    gain, shift = (values.reshape(-1, 1, 1) for values in (norm.weight, norm.bias))
    scaled = graph.add("Mul", [normal, w.weight(gain, f"{name}_gain")])
    return graph.add("Add", [scaled, w.weight(shift, f"{name}_shift")], name)
