"""Whole models as step programs: chains and graphs of layers, and the networks of ready systems."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from nabi import layers, models
from nabi._public import public
from nabi.data import KEYS
from nabi.errors import ArgumentError, CellError, NabiError, NotFiniteError
from nabi.shipping._program._equation_layer import Equations, UnshippableError, equation_layer
from nabi.shipping._program._instructions import Lookup, Numbers, Product, Value, reads_of
from nabi.shipping._program._layers import steps_of
from nabi.shipping._program._passes import Passes
from nabi.shipping._program._sequences import series_input, write_series
from nabi.shipping._program._step_program import StepLayer, StepProgram

__all__ = ["exported_program", "identifier", "left_out", "step_program"]


@public
def step_program(model: Any, name: str | None = None) -> StepProgram:
    """Return what one step of a model computes.

    A step reads one row of features, or one code where the model begins with an embedding, and gives what the
    model gives for the sequence that ends there. Layers that do something in training only are left out.

    Args:
        model: a built Sequential or functional model with one input and one output; a `LanguageModel`, whose
            step reads a code and gives logits; a `NoteModel` without labels, whose step reads a frame of 88
            keys and gives logits; a `TextClassifier` that reads in one direction; or a `SeriesClassifier`
            that does so without leaving steps out, whose step gives probabilities.
        name: of the program, a C identifier; by default the name of the model.

    Raises:
        ArgumentError: if the model is not built, or has layers that cannot go step by step, all of which are
            named; or the name is no identifier.
        NotFiniteError: if a weight is NaN or infinite.

    >>> from nabi import layers, models, shipping
    >>> model = models.Sequential([layers.LSTM(4, input_shape=(None, 3)), layers.Dense(1)], name="gate")
    >>> shipping.step_program(model)
    <StepProgram gate: 3 → 1, 2 layers, 8 numbers of state>
    """
    return _program(model, name, None)


def exported_program(model: Any, name: str | None = None) -> StepProgram:
    """Return what a step of a model computes, or, if it has bidirectional layers, its passes over a sequence.

    Args:
        model, name: see `step_program`.

    Raises:
        ArgumentError, NotFiniteError: as `step_program`, but for bidirectional layers.
    """
    network = model.model if isinstance(model, models.TextClassifier) else model
    both_ways = isinstance(network, models.Sequential | models.Functional) and any(
        isinstance(one, layers.Bidirectional) for one in network.modules()
    )
    return _program(model, name, Passes() if both_ways else None)


def left_out(model: Any) -> str:
    """Return what a ready system computes beside the network that is exported; empty if there is nothing.

    >>> from nabi import models
    >>> left_out(models.Sequential())
    ''
    """
    if isinstance(model, models.TextClassifier) and (decision := model.decision) is not None:
        if decision.simple:
            return "word features, which decide with the network in Python, are not in it"
        if decision.network != 1 or decision.move:
            return "the move towards rare labels that decides in Python is not in it"
    if isinstance(model, models.NoteModel) and model.network.coupling() is not None:
        return "what the keys of a chord know of each other is not in it"
    return ""


def _program(model: Any, name: str | None, passes: Passes | None) -> StepProgram:
    if name is not None and identifier(name) != name:
        raise ArgumentError(f"name: expected letters, digits and _ that begin with a letter, got {name!r}")
    walk = _Walk(passes)
    _check_trained(model)
    if isinstance(model, models.LanguageModel):
        label, entry = "language", walk.language(model)
    elif isinstance(model, models.NoteModel):
        label, entry = "notes", walk.notes(model)
    elif isinstance(model, models.TextClassifier):
        models.no_columns(model, "exported as a program")
        label, entry = "classifier", walk.model(model.model)
    elif isinstance(model, models.SeriesClassifier):
        label, entry = "series", walk.series(model)
    else:
        label, entry = str(getattr(model, "name", "model")), walk.model(model)
    walk.finish(label)
    name = identifier(label if name is None else name)
    if passes is None:
        program = StepProgram(name, entry, walk.codes, tuple(walk.layers))
    else:
        found = passes.finished(walk.layers)
        ordered = tuple(layer for one in found for layer in one.layers)
        program = StepProgram(name, entry, walk.codes, ordered, found, passes.row)
    _check_finite(program)
    return program


def _check_trained(model: Any) -> None:
    """Refuse a ready system without a network."""
    for kind in type(model).__mro__:
        if kind.__name__ in _UNSTEPPED and kind.__module__.startswith("nabi."):
            reason = _UNSTEPPED[kind.__name__]
            raise ArgumentError(f"model: {type(model).__name__} cannot go step by step: {reason}")
    systems = (models.LanguageModel, models.NoteModel, models.SeriesClassifier, models.TextClassifier)
    network = "model" if isinstance(model, models.TextClassifier) else "network"
    if isinstance(model, systems) and getattr(model, network, None) is None:
        raise ArgumentError(f"model: {type(model).__name__} has no network yet; fit it first")


def identifier(name: str) -> str:
    """Return a name as a C identifier.

    >>> identifier("my gate-2")
    'my_gate_2'
    """
    found = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_") or "model"
    return f"model_{found}" if found[0].isdigit() else found


# Ready systems whose network is a part of what they compute, and not one of one step.
_SOUND = (
    "its steps are spectra of stretches of sound, which its front computes; stream() of the model reads "
    "sound piece by piece in Python. A Sequential model that reads samples or spectra can be exported"
)
_UNSTEPPED = {  # by name: to load them takes time
    "SoundClassifier": _SOUND,
    "SpeechRecognizer": _SOUND,
    "DNAClassifier": "it reads words of letters, from both ends or at their places in a sequence",
    "DNARegressor": "it reads words of letters, from both ends or at their places in a sequence",
    "Tagger": "it reads words and their characters, in both directions",
    "ClipClassifier": "its steps are pictures, which convolutions of two axes read",
    "Forecaster": "its network reads features of the calendar and of filters that are computed in float64 "
    "beside it; state() of the model reads value by value in Python, and export to a page (web) is possible. "
    "A Sequential model that reads the series can be exported",
    "TextRegressor": "it gives a standardized number, in which words count too; as ONNX its network is "
    "exported with what stands around it",
    "SeriesRegressor": "it gives a standardized number, in which a linear model of the whole series counts "
    "too; as ONNX its network is exported with what stands around it",
    "Translator": "it reads a whole sentence before it writes",
    "Captioner": "it reads a whole picture before it writes",
}


class _Walk:
    def __init__(self, passes: Passes | None = None) -> None:
        self.layers: list[StepLayer] = []
        self._passes = passes
        self.codes = 0
        self._problems: list[tuple[str, str, str]] = []
        self._names: set[str] = set()

    def finish(self, what: str) -> None:
        """Raise one error for all layers that cannot be exported."""
        if self._problems:
            listed = "; ".join(f"{name} ({kind}): {reason}" for name, kind, reason in self._problems)
            how = "go step by step" if self._passes is None else "be exported as code"
            raise ArgumentError(f"model: {what} cannot {how}: {listed}")
        if not self.layers:
            raise ArgumentError(f"model: {what} has no layer that computes something")

    # Models of layers -------------------------------------------------------------------------------------

    def model(self, model: Any) -> Value:
        """Write a Sequential or functional model; return what it reads."""
        kind = models.Sequential if isinstance(model, models.Sequential) else models.Functional
        if not isinstance(model, models.Model):
            raise ArgumentError(
                f"model: expected a Sequential or functional model, got {type(model).__name__}"
            )
        if not isinstance(model, kind) or type(model).call is not kind.call:
            raise ArgumentError(
                f"model: expected a Sequential or functional model, got {type(model).__name__}, whose call "
                "is code of its own; write it as Model(inputs, outputs) of layers to export it"
            )
        if not model.built or model.input_shape is None:
            raise ArgumentError(f"model: {model.name} has no input shape yet; build or fit it first")
        shape = model.input_shape
        if isinstance(shape, list) or (isinstance(model, models.Functional) and len(model.outputs) > 1):
            raise ArgumentError(f"model: expected one input and one output, {model.name} has several")
        x = self._input(_first_layer(model), tuple(shape), model.name)
        self._run(model, x)
        return x

    def _input(self, first: Any, shape: tuple[int | None, ...], name: str) -> Value:
        if isinstance(first, layers.Embedding):
            if len(shape) != 2:
                raise ArgumentError(f"model: expected codes (batch, time), {name} reads {shape}")
            self.codes = int(first.input_dim)
            return self._entry(1)
        if len(shape) not in (2, 3) or shape[-1] is None:
            raise ArgumentError(
                f"model: expected an input (batch, time, features) or (batch, features), {name} reads {shape}"
            )
        return self._entry(int(shape[-1]))

    def _entry(self, width: int) -> Value:
        return Value("x", width, "input") if self._passes is None else self._passes.entry(width)

    def _run(self, model: Any, x: Value) -> Value:
        if isinstance(model, models.Sequential):
            for layer in model.layers:
                x = self._call(layer, [x])
            return x
        graph = model.graph
        values: list[Value | None] = [x, *[None] * (graph.size - 1)]
        for step in graph.steps:
            sources = step.sources if step.source is None else (step.source,)
            if sources is None or not step.single or any(v is not None for v in step.keywords.values()):
                self._refuse(step.layer, "it is called with more than the outputs of other layers")
                sources = sources or (0,)
            given = [value for slot in sources if (value := values[slot]) is not None]
            found = self._call(step.layer, given)
            for target in step.targets:
                values[target] = found
        found = values[graph.outputs[0]]
        return x if found is None else found

    def _call(self, layer: Any, sources: list[Value]) -> Value:
        """Write a layer; what has no rendering is noted, and the others are tried without it."""
        if isinstance(layer, models.Sequential | models.Functional):
            return self._run(layer, sources[0])
        _check_weights(layer)
        try:
            if self._passes is not None:
                steps = self._passes.steps_of(layer, sources)
            else:
                steps = steps_of(layer, sources)
        except UnshippableError as problem:
            self._refuse(layer, str(problem))
            return _placeholder(layer, sources[0])
        except CellError:
            if not self._problems:
                raise
            # Widths that do not fit follow from a layer that was refused before.
            return _placeholder(layer, sources[0])
        for step in steps:
            self._add(step)
        return steps[-1].output if steps else sources[0]

    def _refuse(self, layer: Any, reason: str) -> None:
        self._problems.append((layer.name, type(layer).__name__, reason))

    def _add(self, step: StepLayer) -> None:
        name, number = identifier(step.name), 1
        while name in self._names:
            number += 1
            name = f"{identifier(step.name)}_{number}"
        self._names.add(name)
        self.layers.append(replace(step, name=name))
        if self._passes is not None:
            self._passes.renamed(step, self.layers[-1])

    # Ready systems ----------------------------------------------------------------------------------------

    def language(self, model: Any) -> Value:
        """Write the network of a language model: from a code to the logits of the next one."""
        network = model.network
        x = Value("x", 1, "input")
        table = _array(network.embedding.embeddings)
        self.codes = len(table)
        y = Value("y", table.shape[1])
        title = f"Embedding of {table.shape[0]} codes in {table.shape[1]} features"
        lookup = Lookup(table, x, y)
        self._add(StepLayer("embedding", title, ("y = the row of E that x names",), (lookup,), (), y))
        value = self._stack(network, y)
        if network.projection is not None:
            value = self._call(network.projection, [value])
        matrix, bias = (_array(one) for one in network.readout_weights())

        def write(e: Equations) -> Any:
            return e.product("W", matrix, e.x) + e.vector("b", bias)

        text = f"Dense of {len(bias)} units"
        self._add(equation_layer("readout", text, ["y = W x + b"], [value], write))
        return x

    def notes(self, model: Any) -> Value:
        """Write the network of a model of notes: from a frame to the logits of the keys, each by itself."""
        network = model.network
        if network.labels is not None:
            raise ArgumentError(
                f"model: a model of notes with labels ({', '.join(model.labels)}) reads one, too"
            )
        x = Value("x", KEYS, "input")
        value = self._stack(network, self._call(network.frames, [x]))
        self._call(network.readout, [value])
        return x

    def series(self, model: Any) -> Value:
        """Write a classifier of series: from the channels of a step to the probabilities of the classes."""
        x = series_input(model)
        try:
            write_series(model, x, self._add)
        except UnshippableError as problem:
            raise ArgumentError(f"model: SeriesClassifier cannot go step by step: {problem}") from None
        return x

    def _stack(self, network: Any, x: Value) -> Value:
        for layer in network.recurrent.rnns:
            x = self._call(layer, [x])
        return x


def _array(tensor: Any) -> Any:
    return np.ascontiguousarray(tensor.detach().cpu().float().numpy())


def _first_layer(model: Any) -> Any:
    if isinstance(model, models.Sequential):
        given = [layer for layer in model.layers if not isinstance(layer, layers.InputLayer)]
        first = given[0] if given else None
    else:
        first = next((step.layer for step in model.graph.steps if step.source == 0), None)
    if isinstance(first, models.Sequential | models.Functional):
        return _first_layer(first)
    return first.layer if isinstance(first, layers.TimeDistributed) else first


def _placeholder(layer: Any, x: Value) -> Value:
    """Return a value of the width of a layer that has no rendering, so that its followers are tried, too."""
    try:
        shape = layer.compute_output_shape((None, None, x.width))
    except NabiError:
        return x
    width = shape[-1] if isinstance(shape, tuple) and shape else None
    return Value("y", width) if isinstance(width, int) else x


def _check_weights(layer: Any) -> None:
    """Refuse a layer with a weight that is no number, before anything is computed from it."""
    if not isinstance(layer, torch.nn.Module):
        return
    for tensor in (*layer.parameters(), *layer.buffers()):
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise NotFiniteError(f"model: the weights of {layer.name} contain NaN or infinity")


def _check_finite(program: StepProgram) -> None:
    """Refuse what was computed from weights and is no number: a root, a power, a folded factor."""
    for layer in program.layers:
        if not all(np.isfinite(one).all() for one in _weights_of(layer)):
            raise NotFiniteError(f"model: the weights of {layer.name} contain NaN or infinity")


def _weights_of(layer: StepLayer) -> Iterator[Numbers]:
    """Return all numbers of a layer that were learned: matrices, vectors, tables, and how states begin."""
    for instruction in layer.instructions:
        match instruction:
            case Product(bias=bias, terms=terms):
                yield from [bias, *[term.matrix for term in terms]]
            case Lookup(table=table):
                yield table
        yield from [value.numbers for value in reads_of(instruction) if value.numbers is not None]
    for state in layer.states:
        yield state.initial[~np.isinf(state.initial)] if state.is_stated else state.initial
