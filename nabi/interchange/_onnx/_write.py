"""Writing a model as an ONNX file."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from torch import nn as torch_nn

from nabi import _checks, models, nn
from nabi._public import public
from nabi._version import __version__
from nabi.errors import ArgumentError, NabiError, OutputError
from nabi.files import ModelFile, read_model_file, write_atomically
from nabi.interchange._onnx._own import KEY, PART, describe, part_path
from nabi.interchange._onnx._writer._models import write_keras_model
from nabi.interchange._onnx._writer._modules import module_header, write_module
from nabi.interchange._onnx._writer._systems import is_system, write_system
from nabi.interchange._onnx._writer._writing import Writing
from nabi.targets.onnx import DOMAIN, Graph, GraphScope, Model, OperatorSet, StringEntry, encoded

__all__ = ["write_onnx"]

_IR_VERSION = 8  # of files with functions
_LARGEST = (1 << 31) - 1  # bytes of a message of Protocol Buffers


@public
def write_onnx(
    model: Any,
    path: str | os.PathLike[str],
    *,
    lengths: bool = False,
    stateful: bool = False,
    opset: int = 17,
) -> tuple[Path, ...]:
    """Write a model as an ONNX file, which ONNX Runtime and other programs run without nabi.

    Batch and time stay open. A layer whose equations are those of ONNX's RNN, LSTM or GRU becomes that
    operator, with its peepholes, coupled gates, clip and activations; any other cell becomes a Scan over its
    equations. Numbers are float32. The file also holds nabi's own description of the model, so that nabi
    reads it back exactly.

    Args:
        model: a Sequential or functional model; a module of `nabi.nn` (`RNN(cell)`, `LSTM`, `GRU`,
            `ElmanRNN`); or a ready system that has been trained.
        path: of the file. For a system, what stands before its network (a vocabulary) is written beside it,
            with the suffix `.json`. Of a translator or captioner this file is the encoder; one step of the
            decoder is written beside it, `model.step.onnx` for `model.onnx`. What draws the chords of a model
            of notes is in `model.chord.onnx`.
        lengths: whether there is an input `lengths`, int32 `[batch]`: how many steps of each row count.
        stateful: whether the states of recurrent layers are inputs and outputs, so that a sequence can be
            read piece by piece; the pairs are in the file's metadata under `nabi.states`.
        opset: version of ONNX's operators, from 17 to 22.

    Returns:
        The files that were written, the one at `path` first.

    Raises:
        ArgumentError: for a model or layers without a rendering in ONNX; all such layers are named.
        OutputError: if the file cannot be written.

    Source: the ONNX specification, https://onnx.ai/onnx/operators/.

    >>> import tempfile, pathlib
    >>> from nabi import interchange, layers, models
    >>> model = models.Sequential([layers.LSTM(4, input_shape=(None, 3)), layers.Dense(1)])
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "model.onnx"
    >>> [one.name for one in interchange.write_onnx(model, file)]
    ['model.onnx']
    >>> file.stat().st_size > 1000
    True
    """
    w = Writing(GraphScope(_checks.whole("opset", opset)), stateful)
    what = _write(w, model, lengths)
    w.finish(what)
    if stateful and not w.states:
        raise ArgumentError(f"stateful: {what} has no recurrent layer, and so no state")
    return _save(w, what, path, _own(model))


def _write(w: Writing, model: Any, lengths: bool) -> str:
    """Write the graph; returns what the model is called."""
    if isinstance(model, models.Model):
        write_keras_model(w, model, lengths)
        return str(model.name)
    if is_system(model):
        return write_system(w, model, lengths)
    if isinstance(model, torch_nn.Module):
        write_module(w, model, lengths)
        return type(model).__name__
    raise ArgumentError(
        f"model: expected a model of nabi or a recurrent module of nabi.nn, got {type(model).__name__}"
    )


def _own(model: Any) -> ModelFile | None:
    """Return the model as nabi's own file holds it; None if it holds code of the user's that no file can."""
    if isinstance(model, nn.RNN | nn.LSTM | nn.GRU):
        return ModelFile(Path(), "module", module_header(model), dict(model.state_dict()))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "model.nabi"
        try:
            model.save(place)
        except OutputError:
            raise
        except NabiError:
            return None
        file = read_model_file(place)
    header = {key: value for key, value in file.header.items() if key not in ("format", "layout", "kind")}
    if file.kind == "model":  # an ONNX file does not go on with a training
        header["training"] = None
        kept = {name: one for name, one in file.tensors.items() if name.startswith(("weights/", "state/"))}
        return ModelFile(file.path, file.kind, header, kept)
    return ModelFile(file.path, file.kind, header, file.tensors)


def _save(w: Writing, what: str, path: str | os.PathLike[str], own: ModelFile | None) -> tuple[Path, ...]:
    """Write the files; each is encoded before any is written."""
    places = {part: part_path(path, part) for part in w.parts}
    w.preprocessing |= {part: place.name for part, place in places.items()}
    messages = {part: _message(one, f"{what}_{part}") for part, one in w.parts.items()}
    message = _message(w, what)
    if own is not None:
        message.metadata_props.insert(0, StringEntry(KEY, describe(own, message, messages)))
    files = []
    for part, one in messages.items():
        told = {"part": part, "of": what, "file": Path(path).name}
        one.metadata_props.append(StringEntry(PART, json.dumps(told, ensure_ascii=False)))
        files.append((places[part], _pieces(one, what)))
    files.append((Path(path), _pieces(message, what)))
    for place, pieces in files:
        with write_atomically(place) as file:
            for piece in pieces:
                file.write(piece)
    written = [place for place, _ in reversed(files)]
    if w.preprocessing:
        written.append(Path(path).with_suffix(".json"))
        with write_atomically(written[-1], "w") as file:
            json.dump(w.preprocessing, file, ensure_ascii=False, indent=2)
    return tuple(written)


def _message(w: Writing, name: str) -> Model:
    graph, functions = w.graph, list(w.graph.functions.values())
    message = Model(
        ir_version=_IR_VERSION,
        producer_name="nabi",
        producer_version=__version__,
        graph=Graph(graph.nodes, name, graph.initializers, "", w.inputs, w.outputs),
        opset_import=[OperatorSet("", graph.opset), *([OperatorSet(DOMAIN, 1)] if functions else [])],
        functions=functions,
    )
    if w.states:
        message.metadata_props.append(StringEntry("nabi.states", json.dumps(w.states)))
    if w.preprocessing:
        text = json.dumps(w.preprocessing, ensure_ascii=False)
        message.metadata_props.append(StringEntry("nabi.preprocessing", text))
    return message


def _pieces(message: Model, what: str) -> list[bytes]:
    pieces = list(encoded(message))
    size = sum(map(len, pieces))
    if size > _LARGEST:
        raise ArgumentError(f"model: {what} takes {size:,} bytes, more than the 2 GiB of an ONNX file")
    return pieces
