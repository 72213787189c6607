"""A trained model as one page that can be sent to somebody."""

import os
import tempfile
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from nabi import models
from nabi._language import language_of
from nabi._public import public
from nabi.drawing import check_suffix
from nabi.errors import ArgumentError
from nabi.explain._animation._numbers import is_file
from nabi.explain._animation._scenes import Scene, scene_of
from nabi.explain._report import _document as page
from nabi.explain._report._document import (
    Line,
    Section,
    bars,
    document,
    lines,
    marked,
    paragraph,
    picture,
    table,
)
from nabi.explain._report._parts import (
    confusion_of,
    estimates_of,
    examples_of,
    figures_of,
    memory_of,
    model_facts,
    of_nats,
    settings_of,
    training_of,
    words_of,
)
from nabi.explain._report._steps import Reading, contributions, watched_reading
from nabi.explain._report._words import Say, speaker
from nabi.files import write_atomically
from nabi.models import Answers, LayerCall, watched_answers, watched_layers

__all__ = ["check_report", "report"]

_WRITTEN = 400  # characters or words that a language model writes for its report


@public
def report(
    model: Any,
    path: str | os.PathLike[str],
    *,
    data: Any = None,
    held_out: Any = None,
    name: str | None = None,
    language: str | None = None,
) -> Path:
    """Write what a trained model does as one page of HTML that needs nothing else.

    It has what there is for the kind of the model: how good it is, with figures, a confusion matrix and the
    answers of which it is most sure, right and wrong; what it read, with the words or steps that moved the
    result; how far back its first recurrent layer remembers; how it was trained; its settings.

    Args:
        model: of any kind that nabi trains.
        path: the file to write, .html.
        data: something to read and to explain, as `animation_of` takes it; nothing by default.
        held_out: what to measure on: what the model's `evaluate` takes, a tuple for several arguments, or a
            function without arguments that returns what `evaluate` gives. By default the figures are those
            that were measured after the training.
        name: of the model, in the title; its file's name or its kind by default.
        language: "en" or "ko"; by default that of `NABI_LANG`, or else of the locale.

    Returns:
        The path.

    Raises:
        ArgumentError: for another suffix, a model that is not trained, and data that it does not read.
        UnknownNameError: for another language.
        OutputError: the file cannot be written.

    >>> import pathlib, tempfile
    >>> from nabi import TextClassifier
    >>> texts, labels = ["good", "so good", "bad", "so bad"] * 8, ["+", "+", "-", "-"] * 8
    >>> classifier = TextClassifier(units=4, embedding_size=8, epochs=5)
    >>> _ = classifier.fit(texts, labels, verbose=0)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "report.html"
    >>> report(classifier, path, data="a good one", held_out=(["good", "bad"], ["+", "-"])).name
    'report.html'
    """
    target = check_report(path)
    spoken = language_of(language)
    say = speaker(spoken)
    if not isinstance(model, tuple(getattr(models, kind) for kind in _KINDS)):
        raise ArgumentError(f"model: expected a model of nabi, got {type(model).__name__}")
    if getattr(model, "trained", True) is False:
        raise ArgumentError("model: expected a trained one, got one that was never trained")
    with watched_layers() as measured, watched_answers() as answers:
        found = None if held_out is None else _measure(model, held_out, say)
    scene = None
    with watched_reading(model) as reading:
        if data is not None:
            scene = scene_of(model, data)
    content = _sections(model, scene, data, reading, found, measured, answers, say, name or "")
    title = say("title", name=name or type(model).__name__)
    about = scene.title if scene is not None else type(model).__name__
    with write_atomically(target) as file:
        file.write(document(title, about, content, spoken, say("footer")))
    return target


def check_report(path: str | os.PathLike[str]) -> Path:
    """Check the path of a report and return it.

    Raises:
        ArgumentError: its suffix is not .html.
    """
    return check_suffix(path, (".html",))


_KINDS = (
    "TextClassifier",
    "TextRegressor",
    "SeriesClassifier",
    "SeriesRegressor",
    "SoundClassifier",
    "SpeechRecognizer",
    "ClipClassifier",
    "DNAClassifier",
    "DNARegressor",
    "Tagger",
    "Forecaster",
    "LanguageModel",
    "NoteModel",
    "Translator",
    "Captioner",
    "Model",
)


def _measure(model: Any, held_out: Any, say: Say) -> Any:
    """Return what `evaluate` says, a number with its name."""
    if callable(held_out):
        found = held_out()
    else:
        given = held_out if isinstance(held_out, tuple) else (held_out,)
        quietly: dict[str, Any] = {"verbose": 0} if isinstance(model, models.Model) else {}
        found = model.evaluate(*given, **quietly)
    if isinstance(model, models.LanguageModel):
        return of_nats(float(found), say)
    if isinstance(model, models.NoteModel):
        return {say("nats a frame"): float(found)}
    if isinstance(model, models.Translator):
        return {"BLEU": float(found)}
    if isinstance(model, models.Captioner):
        return {say("exact"): float(found)}
    if isinstance(model, models.Model):
        values = [float(one) for one in np.atleast_1d(found)]
        return dict(zip(model.metrics_names, values, strict=False)) or {say("loss"): values[0]}
    return found


def _sections(
    model: Any,
    scene: Scene | None,
    data: Any,
    reading: Reading,
    found: Any,
    measured: Sequence[LayerCall],
    answers: Sequence[Answers],
    say: Say,
    name: str,
) -> list[Section]:
    """Return all sections; those with no content are left out later."""
    with watched_layers() as written:
        own = _of_kind(model, scene, data, say)
    calls = [*(scene.calls if scene is not None else ()), *measured, *written]
    if not calls and isinstance(model, models.Forecaster):
        with watched_layers() as calls:
            model.forecast()
    shown = found if found is not None else getattr(model, "measured", getattr(model, "report", None))
    if isinstance(model, models.Model) and found is None:
        shown = None
    examples = [(key, examples_of(model, answers, right, say)) for key, right in _RIGHT.items()]
    return [
        Section(say("model"), model_facts(model, calls, say, name)),
        Section(say("figures"), figures_of(shown, say, now=found is not None)),
        Section(say("confusion"), confusion_of(shown, say)),
        Section(say("estimates"), estimates_of(shown, say)),
        *(Section(say(key), content) for key, content in examples),
        *own,
        Section(say("read"), _steps_of(model, scene, reading, say)),
        Section(say("memory"), memory_of(calls, say)),
        Section(say("training"), training_of(model, say)),
        Section(say("settings"), settings_of(model)),
    ]


_RIGHT = {"right examples": True, "wrong examples": False}


# What each kind has of its own ----------------------------------------------------------------------------


def _of_kind(model: Any, scene: Scene | None, data: Any, say: Say) -> list[Section]:
    for kind, parts in _OWN.items():
        if isinstance(model, getattr(models, kind)):
            return parts(model, scene, data, say)
    return _answer(model, scene, data, say)


def _of_text(model: Any, scene: Scene | None, data: Any, say: Say) -> list[Section]:
    if scene is None:
        return []
    text = Path(data).read_text("utf-8", "replace") if is_file(data) else str(data)
    return [Section(say("read"), words_of(model, text, say))]


def _of_tagger(model: Any, scene: Scene | None, data: Any, say: Say) -> list[Section]:
    """The tag of each token, with its probability."""
    if scene is None:
        return []
    rows = [(token, *said[0]) for token, said in zip(scene.labels, scene.says, strict=True)]
    return [Section(say("result"), paragraph(scene.title) + table([say("name"), say("said"), "p"], rows))]


def _of_language(model: Any, scene: Scene | None, data: Any, say: Say) -> list[Section]:
    start = str(data) if data is not None and not is_file(data) else ""
    unknown = bool(model.unknown(start))
    sections = []
    if scene is not None and scene.says:
        sections.append(Section(say("next"), bars([(_seen(one), share) for one, share in scene.says[-1]])))
    written = "".join(model.write("" if unknown else start, _WRITTEN))
    content = paragraph(say("wrote", start=start), note=True) if start and not unknown else ""
    return [*sections, Section(say("writes"), content + marked(start + written, [], []))]


def _seen(word: str) -> str:
    """Return a word, white space as signs that are seen."""
    return word.replace("\n", "↵").replace("\t", "→").replace(" ", "␣") if word.isspace() else word


def _of_forecaster(model: Any, scene: Scene | None, data: Any, say: Say) -> list[Section]:
    source = data
    forecasts = model.forecast(source)
    one = forecasts[0]
    reading = model.reading(source, one.name if len(forecasts) > 1 else None)
    values, median = reading.values.tolist(), [float(value) for value in reading.median]
    gap = [float("nan")]
    drawn = lines(
        [
            Line(say("observed"), values + gap * len(median)),
            Line(say("forecast"), gap * len(values) + median),
        ],
        across="",
        up="",
        told=say("forecast told", steps=len(values) + len(median)),
        first=1 - len(values),
    )
    weights = reading.weights[:, 0]
    strongest = len(weights) - int(np.nanargmax(np.abs(weights))) if np.isfinite(weights).any() else 0
    moved = lines(
        [Line(say("forecast of", name=one.name), weights.tolist())],
        across=say("past"),
        up=say("sensitivity"),
        told=say("sensitivity told", step=strongest),
        first=-len(weights),
    )
    return [
        Section(say("forecast of", name=one.name), drawn),
        Section(say("read"), moved and moved + paragraph(say("sensitivity told", step=strongest))),
    ]


def _of_pairs(model: Any, scene: Scene | None, data: Any, say: Say) -> list[Section]:
    """What a translator or captioner looked at while it wrote each word."""
    if scene is None:
        return []
    content = paragraph(scene.title)
    if model.network.decoder.attention is not None:
        content += (
            _looked_at_picture(model, data, say)
            if isinstance(model, models.Captioner)
            else _looked_at_words(model, data)
        )
    return [Section(say("result"), content)]


def _looked_at_words(model: Any, data: Any) -> str:
    """Return a table of the source's pieces and of those that were written."""
    text = Path(data).read_text("utf-8", "replace") if is_file(data) else str(data)
    seen = model.attention(text.strip())
    head = ["", *(_piece(one) for one in seen.source)]
    rows = [
        (_piece(target), *(f"{share:.0%}" for share in row))
        for target, row in zip(seen.target, np.asarray(seen.weights), strict=True)
    ]
    return table(head, rows)


def _looked_at_picture(model: Any, data: Any, say: Say) -> str:
    """Return the picture, with a map of what was looked at for each word that was written."""
    from nabi.data import read_image
    from nabi.explain._captions_picture import CaptionedImage, captions_picture

    seen = model.attention(data)
    image = read_image(data, model.settings.image_size) if isinstance(data, str | Path) else np.asarray(data)
    caption = " ".join(_piece(one) for one in seen.words)
    with tempfile.TemporaryDirectory() as folder:
        written = captions_picture([CaptionedImage(image, caption, seen)], Path(folder) / "seen.png")
        return picture(written.read_bytes(), say("looked", text=caption))


def _steps_of(model: Any, scene: Scene | None, reading: Reading, say: Say) -> str:
    """Return which steps of a sequence spoke for the class that it was given: bases marked, else a chart."""
    said = () if scene is None else scene.final or (scene.says[-1] if scene.says else ())
    found = contributions(model, reading, said[0][0]) if said else None
    if scene is None or found is None or not np.isfinite(found).all():
        return ""
    label = said[0][0]
    about = paragraph(say("steps about", label=label), note=True)
    if isinstance(model, models.DNAClassifier):
        # Each label is a base, or a word that begins at one.
        bases = "".join(one[0] for one in scene.labels) + scene.labels[-1][1:]
        # A word of several bases counts for all of them alike.
        size = len(bases) - len(found) + 1
        shares = np.convolve(found, np.ones(size) / size)
        return about + marked(bases, [(place, place + 1) for place in range(len(bases))], shares.tolist())
    strongest = int(np.abs(found).argmax())
    told = say("steps told", step=strongest + 1, steps=len(found), label=label)
    drawn = lines([Line(label, found.tolist())], across=say("step"), up=say("log-odds"), told=told, first=1)
    return about + drawn + paragraph(told)


def _piece(text: str) -> str:
    return text.replace("▁", " ").strip() or "·"


def _of_notes(model: Any, scene: Scene | None, data: Any, say: Say) -> list[Section]:
    label = model.labels[0] if model.labels else None
    frames = list(model.write((), 32, label=label, ends=False))
    pitches = sorted({note for frame in frames for note in frame})
    if not pitches:
        return []
    chart = [
        Line(say("highest"), [float(max(frame)) if frame else float("nan") for frame in frames]),
        Line(say("lowest"), [float(min(frame)) if frame else float("nan") for frame in frames]),
    ]
    told = say("music told", frames=len(frames), low=pitches[0], high=pitches[-1])
    return [Section(say("writes"), lines(chart, across=say("step"), up="MIDI", told=told, first=1))]


def _answer(model: Any, scene: Scene | None, data: Any, say: Say) -> list[Section]:
    """What is said of one sequence, and how that grew step by step where it is known."""
    if scene is None:
        return []
    if scene.says and not scene.final and getattr(getattr(model, "network", None), "answer", "") == "step":
        return [Section(say("result"), paragraph(scene.title) + _step_by_step(scene, say))]
    last = scene.final or (scene.says[-1] if scene.says else ())
    shares = all(0 <= value <= 1 for _, value in last)
    content = paragraph(scene.title)
    if last:
        content += bars(last) if shares else page.facts(dict(last))
    if len(scene.says) > 2 and last and all(scene.says):
        first = last[0][0]
        values = [dict(said).get(first, float("nan")) for said in scene.says]
        told = say("curve told", label=first, first=f"{values[0]:.2g}", last=f"{values[-1]:.2g}")
        content += lines([Line(first, values)], across="", up="", told=told, first=1)
    return [Section(say("result"), content)]


def _step_by_step(scene: Scene, say: Say) -> str:
    """Return the stretches of steps with one label, as a table, and the probability of each label."""
    rows, first = [], 1
    for label, steps in groupby(said[0][0] for said in scene.says):
        last = first + len(list(steps)) - 1
        rows.append((label, f"{first:,}", f"{last:,}"))
        first = last + 1
    names = sorted({name for said in scene.says for name, _ in said})
    curves = [Line(name, [dict(said).get(name, float("nan")) for said in scene.says]) for name in names]
    told = say("each step")
    drawn = lines(curves, across=say("step"), up="", told=told, first=1)
    return table([say("class"), say("first"), say("last")], rows) + paragraph(told, note=True) + drawn


_OWN: dict[str, Callable[[Any, Scene | None, Any, Say], list[Section]]] = {
    "TextClassifier": _of_text,
    "Tagger": _of_tagger,
    "LanguageModel": _of_language,
    "Forecaster": _of_forecaster,
    "Translator": _of_pairs,
    "Captioner": _of_pairs,
    "NoteModel": _of_notes,
}
