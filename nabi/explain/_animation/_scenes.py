"""What each kind of model reads step by step: its layers, the names of steps, its answers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nabi import models
from nabi.errors import ArgumentError
from nabi.explain._animation._film import Said
from nabi.explain._animation._numbers import as_numbers, is_file
from nabi.models import LayerCall, watched_layers

if TYPE_CHECKING:
    from nabi.models import SequencePrediction

__all__ = ["Scene", "scene_of", "steps_together"]

_MOST_ANSWERS = 6
_MOST_STRETCHES = 6
_LONGEST = 100_000  # characters of a text
_PITCHES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")


@dataclass(frozen=True, eq=False)
class Scene:
    """A model that has read something.

    Attributes:
        title: what it read, and what it said in the end.
        calls: those of its recurrent layers.
        labels: of the steps that it read, where these have names.
        says: after each step that it read, or after the last one only.
        final: what it says in the end, where it says nothing before.
        unseen: why the calls of its layers were not seen, if so.
    """

    title: str
    calls: Sequence[LayerCall]
    labels: tuple[str, ...] = ()
    says: tuple[Said, ...] = ()
    final: Said = ()
    unseen: str = ""


def scene_of(model: Any, data: Any) -> Scene:
    """Let a model read something.

    Args:
        model: of any kind.
        data: as `animation_of` takes it.

    Raises:
        ArgumentError: for a model that reads no sequences, and data that it does not read.
    """
    for kind, read in _READERS.items():
        if isinstance(model, getattr(models, kind)):
            found: Scene = read(model, data)
            return found
    raise ArgumentError(f"model: expected a model of nabi, got {type(model).__name__}")


# Texts ----------------------------------------------------------------------------------------------------


def _text(data: Any) -> str:
    """Return a text, or what is in the file of that name."""
    if isinstance(data, Path) or (isinstance(data, str) and is_file(data)):
        found = Path(data).read_text(encoding="utf-8", errors="replace")[:_LONGEST]
    elif isinstance(data, str):
        found = data
    else:
        raise ArgumentError(f"data: expected a text or the path of a file, got {type(data).__name__}")
    if not found.strip():
        raise ArgumentError("data: expected a text to read, got none")
    return found.strip("\n")


def _path(data: Any, what: str) -> Path:
    if isinstance(data, str | Path) and Path(data).exists():
        return Path(data)
    raise ArgumentError(f"data: expected {what}, got {data!r}")


def _classified(model: Any, data: Any) -> Scene:
    from nabi.explain._reading import read_text

    text = _text(data).strip()
    models.no_columns(model, "shown as it reads a text alone")
    if model.has_aspects:
        raise ArgumentError("model: expected one that reads texts alone, got one with aspects")
    reading = read_text(model, text)
    with watched_layers() as calls:
        model.probabilities([text])
    first = len(model.encode([text])[0]) - len(reading.tokens)
    labels = ["▸"] * first + [token.text for token in reading.tokens]
    rows = [reading.before] * min(first, 1) + list(reading.probabilities)
    order = np.argsort(-reading.probabilities[-1], kind="stable")[:_MOST_ANSWERS]
    says = [()] * (len(labels) - len(rows)) + [_said(reading.labels, row, order) for row in rows]
    return Scene(f"{_quoted(text)} → {reading.label}", calls, tuple(labels), tuple(says))


def _estimated(model: Any, data: Any) -> Scene:
    text = _text(data).strip()
    models.no_columns(model, "shown as it reads a text alone")
    if model.has_aspects:
        raise ArgumentError("model: expected one that reads texts alone, got one with aspects")
    with watched_layers() as calls:
        number = float(model.predict([text])[0])
    tokens = model.vocabulary.tokens(text)
    labels = [token.text for token in tokens[: len(model.encode([text])[0]) - 1]]
    return Scene(f"{_quoted(text)} → {number:.4g}", calls, ("▸", *labels), final=(("number", number),))


def _said(names: Sequence[str], values: Any, order: Any) -> Said:
    return tuple((names[int(at)], float(values[int(at)])) for at in order)


def _continued(model: Any, data: Any) -> Scene:
    text = _text(data)
    vocabulary = model.vocabulary
    tokens = vocabulary.tokens(text)
    codes = torch.tensor([[vocabulary.START, *(token.code for token in tokens)]])
    with watched_layers() as calls, torch.no_grad():
        logits, _ = model.network(codes, model.network.start(1))
    # Codes that no text holds cannot come next.
    logits[..., [vocabulary.PADDING, vocabulary.UNKNOWN, vocabulary.SEPARATOR]] = -torch.inf
    best = logits[0].softmax(-1).topk(min(_MOST_ANSWERS, logits.shape[-1]))
    words = vocabulary.words
    says = [
        tuple((words[code], value) for value, code in zip(values, codes_of_step, strict=True))
        for values, codes_of_step in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    ]
    return Scene(_quoted(text), calls, ("▸", *(token.text for token in tokens)), tuple(says))


def _tagged(model: Any, data: Any) -> Scene:
    with watched_layers() as calls:
        [found] = model.predict([_text(data)])
    with_probabilities = zip(model.probabilities([found.tokens])[0], found.tags, strict=True)
    # Tags of the best path come first, also where another tag of a token alone is more probable.
    says = []
    for (values, tag), sure in zip(with_probabilities, found.probabilities, strict=True):
        others = _ranked(dict(zip(model.labels.names, values.tolist(), strict=True)))
        says.append(((tag, sure), *(one for one in others if one[1] != sure))[:_MOST_ANSWERS])
    tags = " ".join(
        f"{token}/{tag}" for token, tag in zip(found.tokens, found.tags, strict=True) if tag != "O"
    )
    return Scene(f"{_quoted(' '.join(found.tokens))} → {_quoted(tags)}", calls, found.tokens, tuple(says))


def _translated(model: Any, data: Any) -> Scene:
    text = _text(data).strip()
    with watched_layers() as calls:
        [found] = model.translate([text])
    encoded = [call for call in calls if len(call.inputs) == 1]
    labels: tuple[str, ...] = ()
    if model.network.decoder.attention is not None:
        labels = tuple(piece.replace("▁", " ").strip() or "▸" for piece in model.attention(text).source)
    return Scene(f"{_quoted(text)} → {_quoted(found.text)}", encoded, labels)


def _captioned(model: Any, data: Any) -> Scene:
    image = _path(data, "the path of a picture") if isinstance(data, str | Path) else data
    name = image.name if isinstance(image, Path) else "a picture"
    if model.network.decoder.attention is None:
        [found] = model.caption([image])
        title = f"{name} → {_quoted(found.text)}"
        return Scene(title, (), unseen="expected a captioner with attention, got one without")
    with watched_layers() as calls:
        seen = model.attention(image)
    words = [piece.replace("▁", " ").strip() for piece in seen.words]
    # The decoder reads a beginning, and then each word that it has written.
    says = tuple(((word, 1.0),) for word in words)
    labels = ("▸", *words[:-1]) if words else ()
    return Scene(f"{name} → {_quoted(' '.join(words))}", calls[-_layers(calls) * len(words) :], labels, says)


def _layers(calls: Sequence[LayerCall]) -> int:
    return len({id(call.layer) for call in calls})


# Sequences of numbers -------------------------------------------------------------------------------------


def _sequences(data: Any) -> Any:
    """Return what a model of sequences takes: the path of a file, or arrays, which a .npy file holds too."""
    source = _path(data, "the path of a file, as in training") if isinstance(data, str | Path) else data
    return [as_numbers(source)] if isinstance(source, Path) and source.suffix.lower() == ".npy" else source


def _estimated_of_series(model: Any, data: Any) -> Scene:
    [(name, series), *_] = model.read(_sequences(data))
    with watched_layers() as calls:
        number = float(model.predict([series])[0])
    return Scene(f"{name} → {number:.4g}", calls, final=(("number", number),))


def _labelled(model: Any, data: Any) -> Scene:
    source = _sequences(data)
    name = None
    if isinstance(model, models.SeriesClassifier):
        # One alone: in a batch of several the shortest is the first.
        [(name, source), *_] = model.read(source)
    with watched_layers() as calls:
        [found] = model.predict([source])
    return _of_prediction(found if name is None else replace(found, name=name), calls)


def _labelled_clip(model: Any, data: Any) -> Scene:
    clip = _path(data, "the path of a clip") if isinstance(data, str | Path) else data
    with watched_layers() as calls:
        [found] = model.predict([clip])
    scene = _of_prediction(found, calls)
    order = np.argsort([-value for _, value in scene.final], kind="stable")
    names = [name for name, _ in scene.final]
    rows = model.steps(clip)
    classes = list(found.probabilities)
    places = [classes.index(names[int(at)]) for at in order]
    return Scene(scene.title, calls, (), tuple(_said(classes, row, places) for row in rows))


def _read_bases(model: Any, data: Any) -> Scene:
    from nabi.data import read_dna

    sequence = data
    if isinstance(data, Path) or (isinstance(data, str) and is_file(data)):
        sequence = read_dna(data).sequences[0]
    if not isinstance(sequence, str):
        raise ArgumentError(f"data: expected bases or the path of a file, got {type(data).__name__}")
    with watched_layers() as calls:
        [found] = model.predict([sequence])
    if isinstance(model, models.DNARegressor):
        scene, answer = Scene("", calls, final=(("number", float(found)),)), f"{found:.4g}"
    else:
        scene, answer = _of_prediction(found, calls), _answer(found)
    front = model.network.networks[0].front
    size = 1 if front.centred else front.size
    # A step is a word of several bases where the model reads words.
    labels = tuple(sequence[start : start + size] for start in range(max(len(sequence) - size + 1, 1)))
    return Scene(f"{_quoted(sequence)} → {answer}", calls, labels, scene.says, scene.final)


def _of_prediction(found: "SequencePrediction", calls: Sequence[LayerCall]) -> Scene:
    title = f"{found.name} → {_answer(found)}"
    if isinstance(found.probabilities, dict):
        return Scene(title, calls, final=_ranked(found.probabilities))
    return Scene(title, calls, says=tuple(_ranked(step) for step in found.probabilities))


def _answer(found: "SequencePrediction") -> str:
    label = found.label
    if isinstance(label, str):
        return label
    if len(label) < 20:
        return _quoted(" ".join(label))
    space = "\N{NO-BREAK SPACE}"
    stretches = [f"{name}{space}×{space}{len(list(steps))}" for name, steps in groupby(label)]
    return ", ".join(stretches[:_MOST_STRETCHES]) + (", …" if len(stretches) > _MOST_STRETCHES else "")


def _ranked(values: dict[str, float]) -> Said:
    return tuple(sorted(values.items(), key=lambda one: -one[1])[:_MOST_ANSWERS])


def _transcribed(model: Any, data: Any) -> Scene:
    source = _path(data, "the path of a recording") if isinstance(data, str | Path) else data
    with watched_layers() as calls:
        [found] = model.transcribe([source])
    return Scene(f"{found.name} → {_quoted(found.text)}", calls)


def _forecast(model: Any, data: Any) -> Scene:
    with watched_layers() as calls:
        found = model.forecast(
            data if data is None or not isinstance(data, str | Path) else _path(data, "a file")
        )
    final = tuple(
        (f"+{step + 1}", float(value)) for step, value in enumerate(found[0].median[:_MOST_ANSWERS])
    )
    return Scene(found[0].name or "forecast", calls, final=final)


def _composed(model: Any, data: Any) -> Scene:
    from nabi.data import read_midi_frames

    if isinstance(data, str | Path):
        music = read_midi_frames(_path(data, "the path of a MIDI file"), model.settings.steps_per_beat or 1)
        frames, name = list(music.frames), Path(data).name
    else:
        frames, name = [tuple(frame) for frame in data], ""
    label = model.labels[0] if model.labels else None
    with watched_layers() as calls:
        list(model.write(frames, 1, label=label, ends=False))
    shown = ("▸", *(" ".join(map(_pitch, frame)) or "-" for frame in frames))
    return Scene(name or "music", calls, shown)


def _pitch(number: int) -> str:
    return f"{_PITCHES[number % 12]}{number // 12 - 1}"


def _of_network(model: Any, data: Any) -> Scene:
    """A model of layers reads numbers, `[T, D]`, or whole numbers `[T]` for an embedding."""
    numbers = as_numbers(data)
    [shape] = model.input_shape if isinstance(model.input_shape, list) else [model.input_shape]
    flat = len(shape) == 2
    if flat and numbers.shape[1] != 1:
        raise ArgumentError(f"data: expected one number for each step, got {numbers.shape[1]}")
    with watched_layers() as calls:
        output = np.asarray(model.predict(numbers[:, 0][None] if flat else numbers[None], verbose=0))
    labels = tuple(" ".join(f"{value:g}" for value in row) for row in numbers)
    if numbers.shape[1] > 3:
        labels = ()
    rows = [_outputs(row) for row in (output[0] if output.ndim == 3 else output)]
    title = str(model.name)
    if output.ndim == 3 and len(rows) == len(numbers):
        return Scene(title, calls, labels, tuple(rows))
    return Scene(title, calls, labels, final=rows[-1])


def _outputs(row: Any) -> Said:
    order = np.argsort(-row, kind="stable")[:_MOST_ANSWERS] if len(row) > _MOST_ANSWERS else range(len(row))
    return tuple((str(int(at)), float(row[int(at)])) for at in order)


def _quoted(text: str, most: int = 60) -> str:
    line = " ".join(text.split())
    return f"“{line if len(line) <= most else line[: most - 1] + '…'}”"


_READERS: dict[str, Callable[[Any, Any], Scene]] = {
    "TextClassifier": _classified,
    "TextRegressor": _estimated,
    "LanguageModel": _continued,
    "Tagger": _tagged,
    "Translator": _translated,
    "Captioner": _captioned,
    "ClipClassifier": _labelled_clip,
    "DNAClassifier": _read_bases,
    "DNARegressor": _read_bases,
    "SeriesClassifier": _labelled,
    "SeriesRegressor": _estimated_of_series,
    "SoundClassifier": _labelled,
    "SpeechRecognizer": _transcribed,
    "Forecaster": _forecast,
    "NoteModel": _composed,
    "Model": _of_network,
}


def steps_together(calls: Sequence[LayerCall]) -> Iterator[LayerCall]:
    """Join calls of one step each, as a decoder makes them, to one call of each layer."""
    waiting: dict[int, list[LayerCall]] = {}
    for call in calls:
        waiting.setdefault(id(call.layer), []).append(call)
    for several in waiting.values():
        single = [call for call in several if call.inputs.shape[1] == 1]
        if len(single) < 2 or len(single) < len(several):
            yield max(several, key=lambda call: call.inputs.shape[1])
            continue
        first = single[0]
        inputs = torch.cat([call.inputs[:1] for call in single], 1)
        yield LayerCall(first.layer, inputs, first.states, None, first.reverse)
