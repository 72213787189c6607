"""The networks within ready systems, and what stands before them that a graph cannot hold."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nabi import models
from nabi.data import KEYS, Vocabulary
from nabi.errors import ArgumentError
from nabi.files import writer
from nabi.interchange._onnx._writer._chords import write_chord
from nabi.interchange._onnx._writer._decoders import write_captioner, write_translator
from nabi.interchange._onnx._writer._forecasts import write_forecaster
from nabi.interchange._onnx._writer._models import write_keras_model
from nabi.interchange._onnx._writer._recurrent import write_stack
from nabi.interchange._onnx._writer._sequences import write_sequence_networks
from nabi.interchange._onnx._writer._taggers import write_tagger
from nabi.interchange._onnx._writer._writing import RESERVED_CODES, Value, Writing

__all__ = ["is_system", "write_system"]


def is_system(model: Any) -> bool:
    """Return whether a model is a ready system."""
    return isinstance(model, tuple(_WRITERS))


def write_system(w: Writing, model: Any, lengths: bool) -> str:
    """Write the network of a ready system; returns what it is called.

    Raises:
        ArgumentError: for a system that has not been trained, and what it has no rendering for.
    """
    name = type(model).__name__
    if (
        getattr(
            model,
            "model" if isinstance(model, models.TextClassifier | models.TextRegressor) else "network",
            None,
        )
        is None
    ):
        raise ArgumentError(f"model: {name} has no network yet; fit it first")
    next(write for kind, write in _WRITERS.items() if isinstance(model, kind))(w, model, lengths)
    w.preprocessing = {"written_by": writer(), "system": name, **w.preprocessing}
    return name


def _vocabulary(vocabulary: Vocabulary) -> dict[str, Any]:
    return {"vocabulary": vocabulary.to_dict(), "reserved": RESERVED_CODES}


def _other_columns(model: Any) -> dict[str, Any]:
    """Return how the second input is made, of a model that reads other columns beside the text."""
    others = model.other_columns
    if others is None:
        return {}
    return {
        "columns": others.to_file()[0],
        "columns_input": "for each column in order: of numbers (values is null) the standardized number, "
        f"from -{others.FURTHEST:g} to {others.FURTHEST:g}, and 1 where it is missing; of categories 1 for "
        "the value of the cell, 0 for others",
    }


def _text_regressor(w: Writing, model: Any, lengths: bool) -> None:
    write_keras_model(w, model.model, lengths)
    scale, decision = model.scale, "the network alone"
    if model.share:
        decision += f"; in nabi, ridge regression on words counts {model.share:g}, the network the rest"
    w.preprocessing = {
        "input": "codes of a text, after the code for its start; padded with 0",
        "maxlen": model.settings.maxlen,
        "truncating": model.settings.truncating,
        **_vocabulary(model.vocabulary),
        **_other_columns(model),
        "outputs": f"a standardized number: times {scale.deviation!r}, plus {scale.mean!r}",
        "decision": decision,
    }


def _text_classifier(w: Writing, model: Any, lengths: bool) -> None:
    write_keras_model(w, model.model, lengths)
    settings = model.settings
    decision = "the network alone"
    if getattr(model, "simple", None) is not None and settings.word_features:
        decision += "; in nabi, logistic regression on words decides together with it"
    w.preprocessing = {
        "input": "codes of a text, after the code for its start; padded with 0",
        "maxlen": settings.maxlen,
        "truncating": settings.truncating,
        **_vocabulary(model.vocabulary),
        **_other_columns(model),
        "labels": list(model.labels.names),
        "several_labels": bool(model.labels.several),
        "outputs": "one probability is that of the second label" if model.model.output_shape[-1] == 1 else "",
        "decision": decision,
    }


def _language(w: Writing, model: Any, lengths: bool) -> None:
    network, graph = model.network, w.graph
    if network.several and not w.stateful:
        raise ArgumentError(
            "stateful: a language model of several texts sets its states to zero where a text begins; write "
            "it with stateful=True and pass zeros there"
        )
    codes = w.input("codes", np.int64, ["batch", "time"], (None, None))
    table = w.weight(network.embedding.embeddings, "embeddings")
    x = Value(graph.add("Gather", [table, codes.name], "embedded"), (None, None, None))
    x = write_stack(w, network.recurrent, w.inside(x, lengths))
    found = x.name
    if network.projection is not None:
        found = w.dense(found, network.projection.kernel, None, "projection")
    matrix, bias = network.readout_weights()
    found = w.dense(found, matrix.T, bias, "readout")
    w.output(found, "logits", np.float32, ["batch", "time", len(model.vocabulary)])
    w.preprocessing = {
        "input": "codes of a text; the first of a text is that of its start, with states of zero",
        "outputs": "logits of the code after each",
        **_vocabulary(model.vocabulary),
    }


def _notes(w: Writing, model: Any, lengths: bool) -> None:
    network, graph = model.network, w.graph
    frames = w.input("frames", np.float32, ["batch", "time", KEYS], (None, None, KEYS))
    found = w.dense(frames.name, network.frames.kernel, network.frames.bias, "frames_read")
    if network.labels is not None:
        labels = w.input("labels", np.int64, ["batch"], (None,))
        table = w.weight(network.labels.embeddings, "label_embeddings")
        row = graph.add("Unsqueeze", [graph.add("Gather", [table, labels.name]), graph.ints(1)], "label_rows")
        found = graph.add("Add", [found, row], "frames_of_label")
    x = write_stack(w, network.recurrent, w.inside(Value(found, (None, None, None)), lengths))
    found = w.dense(x.name, network.readout.kernel, network.readout.bias, "readout")
    w.output(found, "logits", np.float32, ["batch", "time", KEYS + 1])
    w.preprocessing = {
        "input": "frames of 88 keys, 1 for each that sounds; before the first a frame of zeros",
        "labels": list(model.labels),
        "outputs": "logits of the keys of the next frame, each by itself, and of the end of the piece",
    }
    coupling = network.coupling()
    if coupling is not None:
        write_chord(w.beside("chord"), coupling)
        w.preprocessing["outputs"] = (
            "logits of the keys of the next frame, as if none below them sounded, and of the end of the piece"
        )
        w.preprocessing["drawing"] = (
            "the file `chord` reads the logits, a random number from 0 to 1 for each key, and a temperature "
            "above 0; it gives `keys`, and the logits of each that knew those below it; draws of 0.5 take "
            "what is more probable than not"
        )


def _numbers(reads: str) -> Callable[[Writing, Any, bool], None]:
    def write(w: Writing, model: Any, lengths: bool) -> None:
        _refuse_states(w)
        write_sequence_networks(w, model.network, lengths)
        scale, decision = model.scale, "the networks alone"
        if model.share:
            linear = model.network.linear.name
            decision += f"; in nabi, {linear} counts {model.share:g}, the networks the rest"
        w.preprocessing = {
            "input": reads,
            "outputs": f"a standardized number: times {scale.deviation!r}, plus {scale.mean!r}",
            "decision": decision,
        }

    return write


def _refuse_states(w: Writing) -> None:
    if w.stateful:
        raise ArgumentError("stateful: it is for modules, layers, language models and models of notes")


_DNA = "codes of letters, as nabi.data has them: A 0, C 1, G 2, T 3, ..."
_SERIES = "channels as they were measured; a missing value is NaN"


def _sequences(reads: str) -> Callable[[Writing, Any, bool], None]:
    def write(w: Writing, model: Any, lengths: bool) -> None:
        _refuse_states(w)
        write_sequence_networks(w, model.network, lengths)
        w.preprocessing = {"input": reads, "labels": list(model.labels.names)}
        if model.network.answer == "string":
            w.preprocessing["outputs"] = "number 0 is the blank, class c is number c + 1"

    return write


_WRITERS: Mapping[type, Callable[[Writing, Any, bool], None]] = {
    models.Captioner: write_captioner,
    models.Forecaster: write_forecaster,
    models.Tagger: write_tagger,
    models.Translator: write_translator,
    models.TextClassifier: _text_classifier,
    models.TextRegressor: _text_regressor,
    models.LanguageModel: _language,
    models.NoteModel: _notes,
    models.SeriesClassifier: _sequences(_SERIES),
    models.SeriesRegressor: _numbers(_SERIES),
    models.DNAClassifier: _sequences(_DNA),
    models.DNARegressor: _numbers(_DNA),
    models.ClipClassifier: _sequences("frames of red, green and blue, 0 to 255, in the size of the training"),
    models.SoundClassifier: _sequences(
        "features: log-mels without their running mean, as the front of the model computes them from samples"
    ),
    models.SpeechRecognizer: _sequences(
        "features: log-mels without their running mean, as the front of the model computes them from samples"
    ),
}
