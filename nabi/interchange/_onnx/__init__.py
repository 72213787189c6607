"""ONNX files: what nabi writes, and what it reads.

A file that nabi writes is an ordinary ONNX model, and it also says what nabi's own model is, so that nabi
reads its files back without guessing: the same layers, the same cells, the same weights to the last bit. That
description is JSON text under the key `nabi` of `metadata_props`:

    {"format": "nabi", "layout": 1, "kind": ..., "graph": ..., "header": {...}, "tensors": {name: place, ...}}

`graph` is the SHA-256 checksum of graph and functions: where another program has changed them (has quantised
the weights, say), the description no longer counts, and the graph is read instead.
`kind` and `header` are those of a model file (`nabi.files.ModelFile`): "model" with what
`nabi.models.describe_model` says for a Sequential or functional model, the kind of a ready system with what
its `save` says, and "module" for a module of `nabi.nn`, with `{"class": "RNN", "arguments": {...}}`; the cell
among the arguments is described by `nabi.layers.cell_config`.

`tensors` says for each tensor of that model file where its numbers are, so that no weight is stored twice:

    {"dtype": "float32", "shape": [3, 8], "rows": [[INITIALIZER, FIRST, COUNT, SIGN], ...], "axes": [1, 0]}
    {"dtype": "float32", "shape": [8], "values": "base64 of the numbers, little-endian"}

With `rows`, COUNT rows of the initializer of that name, seen as a matrix of its last axis, from row FIRST,
times SIGN (1 or -1); all of them, one below the other, are the tensor in the shape that its axes have in the
order `axes`: `values.reshape([shape[a] for a in axes])`, of which axis k is axis `axes[k]` of the tensor.
Some systems are two files: `model.step.onnx` beside `model.onnx`, and so on. The description of the first
has `"parts": {"step": checksum}`, and rows in the second file are those of `step:INITIALIZER`. The second has
the key `nabi.part` instead: what it is, of what, and the name of the first, as it was written.
`nabi.interchange._onnx._own` writes and reads this description: `own_model(message)` gives back the
`ModelFile`, or None where a file has none.

`metadata_props` has two more keys where they apply, short JSON for everyone: `nabi.states`, the states of a
model that was written with `stateful=True`, as `[{"input": ..., "output": ..., "width": ...}, ...]`, each
output to be passed to its input at the next call; and `nabi.preprocessing`, what has to be done with raw data
before the network reads them (see the file beside, of the same name with `.json`).
"""
