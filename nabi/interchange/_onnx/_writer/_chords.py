"""The keys of a frame drawn one after the other, each knowing those below it that sound."""

from typing import Any

import numpy as np

from nabi.data import KEYS
from nabi.interchange._onnx._writer._writing import Writing, numbers
from nabi.targets.onnx import Graph, Scope, ValueInfo, element_type

__all__ = ["write_chord"]

_FLOAT = element_type(np.float32)


def write_chord(w: Writing, coupling: Any) -> None:
    """Write a file that draws frames: logits, a random number for each key, and a temperature to keys.

    Args:
        w: the file.
        coupling: what a key that sounds adds to the logits of those above it, `[88, 88]`.
    """
    graph = w.graph
    logits = w.input("logits", np.float32, ["batch", KEYS + 1], ())
    draws = w.input("draws", np.float32, ["batch", KEYS], ())
    temperature = w.input("temperature", np.float32, [], ())
    first = graph.cut(logits.name, 0, KEYS, 1, "logits_of_keys")
    scanned = [
        graph.constant(numbers(coupling), "coupling"),
        graph.constant(np.eye(KEYS, dtype=np.float32), "places"),
        graph.transpose(draws.name, 1, 0, name="draws_by_key"),
    ]
    body = Scope(graph.opset, graph)
    now, row, place, draw = (body.name(name) for name in ("now", "row", "place", "draw"))
    own = body.reduce("ReduceSum", body.add("Mul", [now, place]), [1], False, "logit")
    share = body.add("Sigmoid", [body.add("Div", [own, temperature.name])], "share")
    sounds = body.cast(body.add("Less", [draw, share]), np.float32, "sounds")
    added = body.add("Mul", [body.add("Unsqueeze", [sounds, body.ints(1)]), row])
    after = body.add("Add", [now, added], "after")
    taken: dict[str, list[int | str | None]] = {
        now: ["batch", KEYS],
        row: [KEYS],
        place: [KEYS],
        draw: ["batch"],
    }
    given: dict[str, list[int | str | None]] = {after: ["batch", KEYS], sounds: ["batch"], own: ["batch"]}
    _, keys, known = graph.several(
        "Scan",
        [first, *scanned],
        ["logits_at_last", "keys_by_number", "logits_by_number"],
        body=Graph(
            node=body.nodes,
            name="key",
            input=[ValueInfo.of(name, _FLOAT, axes) for name, axes in taken.items()],
            output=[ValueInfo.of(name, _FLOAT, axes) for name, axes in given.items()],
        ),
        num_scan_inputs=len(scanned),
    )
    for name, value in (("keys", keys), ("known", known)):
        w.output(graph.transpose(value, 1, 0), name, np.float32, ["batch", KEYS])
