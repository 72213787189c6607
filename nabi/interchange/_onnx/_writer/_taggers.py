"""The network of a tagger: words and their characters, layers in both directions, logits of tags."""

from typing import Any

import numpy as np

from nabi.errors import ArgumentError
from nabi.interchange._onnx._writer._recurrent import run_directions
from nabi.interchange._onnx._writer._writing import Value, Writing

__all__ = ["write_tagger"]


def write_tagger(w: Writing, model: Any, lengths: bool) -> None:
    """Write a tagger, from the codes of tokens to logits; spans are decoded from these outside."""
    if w.stateful:
        raise ArgumentError("stateful: a tagger reads whole sentences")
    network, graph = model.network, w.graph
    # The characters of a token follow the code of its word.
    width = 1 + model.characters_read
    codes = w.input("codes", np.int64, ["batch", "time", width], (None, None, width))
    words = graph.add("Squeeze", [graph.cut(codes.name, 0, 1, 2), graph.ints(2)], "words")
    x = graph.add("Gather", [w.weight(network.embedding.embeddings, "embeddings"), words], "embedded")
    if network.characters is not None:
        found = _characters(w, network.characters, graph.cut(codes.name, 1, width, 2), width - 1, words)
        x = graph.add("Concat", [x, found], "tokens", axis=2)
    read, _ = run_directions(w, network, w.inside(Value(x, (None, None, None)), lengths), "recurrent")
    logits = w.dense(read.name, network.head.weight.T, network.head.bias, "head")
    w.output(logits, "logits", np.float32, ["batch", "time", len(model.labels)])
    w.preprocessing = {
        "input": "for each token the code of its word, then those of its characters in the canonical "
        "decomposition (NFD), of long tokens the first and the last half; padded with 0, and 1 if unknown; "
        "words and characters have codes from 2 on, in their order; words are lower case with digits as 0 "
        "if lowercase",
        "codes": model.codes,
        "labels": list(model.labels.names),
        "scheme": model.scheme,
        "outputs": "logits of the tags; tags of spans are BIO, of which I follows only B or I of its type",
    }


def _characters(w: Writing, network: Any, letters: str, count: int, words: str) -> str:
    """Return what the convolution finds in the characters of each token, `[B, T, features]`."""
    graph, convolution = w.graph, network.convolution
    flat = graph.add("Reshape", [letters, graph.ints(-1, count)], "letters")
    inside = graph.cast(graph.add("Greater", [flat, graph.constant(np.int64(0))]), np.float32, "is_letter")
    table = w.weight(network.embedding.embeddings, "character_embeddings")
    x = graph.add("Gather", [table, flat], "characters")
    x = graph.add("Mul", [x, graph.add("Unsqueeze", [inside, graph.ints(2)])], "characters_inside")
    weights = [w.weight(convolution.weight, "windows_weight"), w.weight(convolution.bias, "windows_bias")]
    pads = [convolution.padding[0]] * 2
    x = graph.add("Conv", [graph.transpose(x, 0, 2, 1), *weights], "windows", pads=pads)
    x = graph.add("Mul", [graph.add("Relu", [x]), graph.add("Unsqueeze", [inside, graph.ints(1)])], "found")
    most = graph.reduce("ReduceMax", x, [2], False, "strongest")
    shape = graph.add("Concat", [graph.add("Shape", [words]), graph.ints(convolution.out_channels)], axis=0)
    return graph.add("Reshape", [most, shape], "features_of_characters")
