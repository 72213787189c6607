"""The sections of a report: what they show of each kind of model."""

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nabi.explain._report._document import Line, bars, facts, lines, marked, matrix, paragraph, picture, table
from nabi.explain._report._memory import remembered
from nabi.explain._report._words import Say
from nabi.models import Answers, Backtest, LayerCall, RegressionReport, Report, SequenceReport, TaggerReport

__all__ = [
    "confusion_of",
    "estimates_of",
    "examples_of",
    "figures_of",
    "memory_of",
    "model_facts",
    "of_nats",
    "settings_of",
    "training_of",
    "words_of",
]

_EXAMPLES, _LONGEST = 4, 1500
_MOST_CLASSES = 24  # in a matrix
_MOST_CURVES = 6


# The model and its training -------------------------------------------------------------------------------


def model_facts(model: Any, calls: Sequence[LayerCall], say: Say, file: str) -> str:
    """Return what the model is, as a table."""
    network = model if isinstance(model, torch.nn.Module) else getattr(model, "network", None) or model.model
    layers = {id(call.layer): call.layer for call in calls}
    cell = getattr(model, "cell", None) or next((one.cell for one in layers.values()), None)
    if isinstance(cell, str):
        cell = next((one.cell for one in layers.values()), cell)
    known: dict[str, Any] = {say("kind"): type(model).__name__}
    if file:
        known[say("file")] = file
    if cell is not None:
        known[say("cell")] = cell if isinstance(cell, str) else type(cell).__name__
        if isinstance(units := getattr(cell, "units", None), int):
            known[say("units")] = units
    if layers:
        # Copies of a layer, which explanations make, have its name.
        known[say("layers")] = len({one.name for one in layers.values()})
    known[say("parameters")] = sum(one.numel() for one in network.parameters())
    if (labels := getattr(model, "labels", None)) is not None and (names := getattr(labels, "names", ())):
        shown = ", ".join(map(str, names[:12])) + (" …" if len(names) > 12 else "")
        known[say("classes")] = f"{len(names):,}: {shown}"
    seconds = getattr(getattr(model, "report", None), "seconds", None) if _is_measured(model) else None
    if isinstance(seconds, int | float) and seconds:
        known[say("seconds")] = f"{seconds:,.1f}"
    return facts(known)


def _is_measured(model: Any) -> bool:
    return getattr(model, "measured", True) is not None and hasattr(model, "report")


def settings_of(model: Any) -> str:
    """Return the settings of a system, as a table; nothing for a model of layers."""
    settings = getattr(model, "settings", None)
    if not is_dataclass(settings):
        return ""
    rows = [(one.name, getattr(settings, one.name)) for one in fields(settings)]
    return facts({name: str(value) for name, value in rows if value is not None})


def training_of(model: Any, say: Say) -> str:
    """Return the figures of each epoch as charts, training and validation in one."""
    kept = getattr(model, "history", None)
    history: Mapping[str, Sequence[float]] = getattr(kept, "history", kept) or {}
    charts = []
    known = {name: values for name, values in history.items() if len(values) > 1 and _are_numbers(values)}
    for name, values in known.items():
        if name.startswith("val_") and name[4:] in known:
            continue
        beside = {name: values}
        if f"val_{name}" in known:
            beside[f"val_{name}"] = known[f"val_{name}"]
        told = " ".join(
            say("training told", name=one, epochs=len(row), first=f"{row[0]:.4g}", last=f"{row[-1]:.4g}")
            for one, row in beside.items()
        )
        charts.append(
            lines(
                [Line(one, row) for one, row in beside.items()],
                across=say("epoch"),
                up="",
                told=told,
                first=1,
            )
        )
    return "".join(charts[:_MOST_CURVES])


def _are_numbers(values: Any) -> bool:
    return all(isinstance(one, int | float) for one in values)


def memory_of(calls: Sequence[LayerCall], say: Say) -> str:
    """Return how far back the first recurrent layer looks, as a chart; nothing where it read too little."""
    found = remembered(calls) if calls else None
    if found is None or not np.isfinite(found).all():
        return ""
    below = np.flatnonzero(found < 0.1)
    told = say(
        "memory told" if len(below) else "memory never",
        tenth=int(below[0]) if len(below) else 0,
        steps=len(found) - 1,
        last=f"{found[-1]:.2g}",
    )
    name = type(calls[0].layer.cell).__name__
    drawn = lines(
        [Line(name, found.tolist())],
        across=say("steps back"),
        up=say("gradient"),
        told=told,
        logarithmic=True,
    )
    return paragraph(say("memory about"), note=True) + drawn + paragraph(told)


# How good it is -------------------------------------------------------------------------------------------


def figures_of(found: Any, say: Say, *, now: bool) -> str:
    """Return what was measured, by the kind of the result; nothing for nothing."""
    if found is None:
        return ""
    if isinstance(found, Report):
        content, rows = _of_report(found, say), say("rows", count=f"{found.rows:,}")
    elif isinstance(found, RegressionReport):
        content, rows = _of_numbers(found, say), say("rows", count=f"{found.rows:,}")
    elif isinstance(found, SequenceReport):
        content, rows = _of_sequences(found, say), say("rows", count=f"{found.held_out:,}")
    elif isinstance(found, TaggerReport):
        content, rows = _of_tags(found, say), say("rows", count=f"{found.held_out:,}")
    elif isinstance(found, Backtest):
        content, rows = _of_backtest(found, say), say("the data given")
    elif isinstance(found, Mapping):
        content, rows = facts(dict(found)), say("the data given")
    else:
        values = found.to_dict()
        plain = {name: one for name, one in values.items() if isinstance(one, int | float | str)}
        content, rows = facts(plain) + _scores(values.get("scores"), say), say("the data given")
    if not content:
        return ""
    said = say("measured now", rows=rows) if now else say("measured then")
    return paragraph(said, note=True) + content


def _of_report(report: Report, say: Say) -> str:
    overall = [
        (say("accuracy"), report.accuracy),
        (say("macro F1"), report.macro_f1),
        (say("weighted F1"), report.weighted_f1),
    ]
    head = [say("class"), say("precision"), say("recall"), "F1", say("rows of it")]
    classes = [(one.label, one.precision, one.recall, one.f1, one.rows) for one in report.by_label]
    beside = [(one.name, one.accuracy, one.macro_f1) for one in report.baselines]
    content = table([say("figure"), say("value")], overall) + table(head, classes)
    if beside:
        caption = say("simple", measure=f"{say('accuracy')}, {say('macro F1')}")
        content += table([say("method"), say("accuracy"), say("macro F1")], beside, caption=caption)
    return content


def _of_numbers(report: RegressionReport, say: Say) -> str:
    head = ["MAE", "RMSE", "R²"]
    own = list(zip(head, (report.mae, report.rmse, report.r2), strict=True))
    content = table([say("figure"), say("value")], own)
    beside = [(one.name, one.mae, one.rmse, one.r2) for one in report.baselines]
    caption = say("simple", measure=", ".join(head))
    return content + table([say("method"), *head], beside, caption=caption) if beside else content


def _of_sequences(report: SequenceReport, say: Say) -> str:
    if report.scores is not None:
        content = _of_report(report.scores, say)
    elif report.error_rate is not None:
        rows = [(say("error rate"), report.error_rate), (say("exact"), report.exact)]
        content = table([say("figure"), say("value")], rows)
    else:
        return ""
    if report.baselines:
        rows = list(report.baselines.items())
        caption = say("simple", measure=report.measure)
        content += table([say("method"), say("value")], rows, caption=caption)
    return content


def _of_tags(report: TaggerReport, say: Say) -> str:
    """Return the figures of the spans by type, or those of the tags."""
    if report.scores is None:
        return ""
    if report.f1 is None:
        content = _of_report(report.scores, say)
    else:
        overall = [
            (say("accuracy"), report.scores.accuracy),
            (say("precision"), report.precision),
            (say("recall"), report.recall),
            ("F1", report.f1),
        ]
        head = [say("class"), say("precision"), say("recall"), "F1", say("rows of it")]
        types = [(one.label, one.precision, one.recall, one.f1, one.rows) for one in report.by_type]
        content = table([say("figure"), say("value")], overall) + table(head, types)
    caption = say("simple", measure=report.measure)
    return content + table([say("method"), say("value")], list(report.baselines.items()), caption=caption)


def _scores(scores: Any, say: Say) -> str:
    """Return the table of a forecaster's methods."""
    if not isinstance(scores, Mapping) or not scores:
        return ""
    names = list(next(iter(scores.values())))
    rows = [(method, *(values.get(name) for name in names)) for method, values in scores.items()]
    return table([say("method"), *names], rows)


def _of_backtest(found: Backtest, say: Say) -> str:
    content = _scores({name: one.to_dict() for name, one in found.table().items()}, say)
    shares = {
        say("covered", level=f"{level:.0%}"): f"{share:.1%}" for level, share in found.coverage().items()
    }
    content += facts(shares)
    actual, said = found.actual[-1], found.median[-1]
    if np.isfinite(actual).any():
        content += lines(
            [Line(say("observed"), actual.tolist()), Line(say("forecast"), said.tolist())],
            across=say("ahead"),
            up="",
            told=say("forecast told", steps=len(said)),
            first=1,
        )
    return content


def confusion_of(found: Any, say: Say) -> str:
    """Return the confusion matrix, if there is one that can be taken in."""
    report = found.scores if isinstance(found, SequenceReport | TaggerReport) else found
    if not isinstance(report, Report) or report.confusion is None or len(report.by_label) > _MOST_CLASSES:
        return ""
    names = [one.label for one in report.by_label]
    about = paragraph(say("confusion caption"), note=True)
    return about + matrix(names, report.confusion, say("right"), say("said"))


def estimates_of(found: Any, say: Say) -> str:
    """Return a picture of estimated against right numbers, if numbers were estimated."""
    if not isinstance(found, RegressionReport):
        return ""
    with tempfile.TemporaryDirectory() as folder:
        drawn = found.picture(Path(folder) / "estimates.png", title=f"R² {found.r2:.3f}")
        return picture(drawn.read_bytes(), say("estimates told", rows=f"{len(found.truth):,}"))


# Examples -------------------------------------------------------------------------------------------------


def examples_of(model: Any, answers: Sequence[Answers], right: bool, say: Say) -> str:
    """Return answers of which the model is most sure, the right or the wrong ones."""
    if not answers:
        return ""
    found = answers[-1]
    values, targets = np.asarray(found.probabilities), np.asarray(found.targets)
    said = values.argmax(1)
    chosen = np.flatnonzero((said == targets) == right)
    chosen = chosen[np.argsort(-values[chosen].max(1), kind="stable")]
    # Of equal texts one.
    once = list({str(found.names[row]): int(row) for row in reversed(chosen)}.values())[::-1][:_EXAMPLES]
    names = model.labels.names
    rows = [
        (int(row), str(names[said[row]]), str(names[targets[row]]), float(values[row].max())) for row in once
    ]
    if not rows:
        return ""
    if not hasattr(model, "vocabulary"):
        head = [say("name"), say("said"), say("right"), "p"]
        return table(head, [(str(found.names[row]), one, other, share) for row, one, other, share in rows])
    parts = []
    for row, one, other, share in rows:
        parts.append(paragraph(say("answer", said=one, right=other, share=f"{share:.1%}")))
        parts.append(words_of(model, found.names[row], say, alone=False))
    return paragraph(say("words of answers"), note=True) + "".join(parts)


def words_of(model: Any, text: str, say: Say, *, alone: bool = True) -> str:
    """Return a text with the words marked that moved a classifier; `alone` also says what it decided."""
    from nabi.explain._reading import read_text

    text = text[:_LONGEST].strip()
    if not text or model.has_aspects or model.other_columns is not None:
        return marked(text, [], [])
    reading = read_text(model, text)
    places = [(token.start, token.end) for token in reading.tokens]
    content = marked(reading.text, places, reading.attributions.tolist())
    if not alone:
        return content
    before = float(reading.before[reading.labels.index(reading.label)])
    curve = [before, *reading.curve.tolist()]
    order = np.argsort(-reading.probabilities[-1], kind="stable")[:8]
    shares = [(reading.labels[int(at)], float(reading.probabilities[-1][at])) for at in order]
    told = say("curve told", label=reading.label, first=f"{before:.1%}", last=f"{reading.probability:.1%}")
    drawn = lines(
        [Line(reading.label, curve)], across=say("word"), up=say("curve", label=reading.label), told=told
    )
    decided = say("decision", said=reading.label, share=f"{reading.probability:.1%}")
    return (
        paragraph(decided)
        + paragraph(say("words", label=reading.label), note=True)
        + content
        + bars(shares)
        + (drawn if len(curve) > 2 else "")
    )


def of_nats(nats: float, say: Say) -> dict[str, float]:
    """Return the figures of a language model by a mean negative log probability."""
    return {
        say("nats"): nats,
        say("bits"): nats / math.log(2),
        say("perplexity"): math.exp(min(nats, 700)),
    }
