"""Text classifiers to and from files: the network and all that stands around it, in one model file."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nabi.data import Labels, Vocabulary
from nabi.errors import ArgumentError
from nabi.interchange import ModelFile, check_figures, read_kind, reading, write_model_file
from nabi.layers import Dense, Embedding
from nabi.models._classifier._report import Report
from nabi.models._classifier._samples import Columns
from nabi.models._classifier._settings import TextSettings
from nabi.models._keras_models import describe_model, make_model
from nabi.models._sequential import Sequential
from nabi.models._task._described import check_fields

if TYPE_CHECKING:
    from nabi.models._classifier._classifier import TextClassifier

__all__ = ["KIND", "fill", "misfit", "save"]

KIND = "text classifier"


def save(classifier: "TextClassifier", path: str | os.PathLike[str]) -> None:
    """Write a classifier that has learnt something."""
    header, tensors = describe_model(classifier.model)
    columns, checked, measured = classifier.columns, classifier.validation_report, classifier.measured
    header["classifier"] = {
        "vocabulary": classifier.vocabulary.to_dict(),
        "labels": classifier.labels.to_dict(),
        "settings": classifier.settings.to_dict(),
        "reasons": dict(classifier.reasons),
        "notes": list(classifier.notes),
        "shares": classifier.shares.tolist(),
        "aspects": classifier.has_aspects,
        "columns": None if columns is None else [columns.text, columns.label, columns.aspect],
        "history": classifier.history,
        "seconds": classifier.seconds,
        "report": None if measured is None else measured.to_dict(),
        "validation_report": None if checked is None else checked.to_dict(),
    }
    write_model_file(path, KIND, header, tensors)


def fill(
    classifier: "TextClassifier", path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None
) -> None:
    """Give a new classifier what a file holds."""
    file = read_kind(path, (KIND,))
    model = make_model(file, custom_objects)
    with reading(file.path, "it cannot be made a text classifier again"):
        _fill(classifier, model, file)
        fault = misfit(classifier)
        if fault:
            raise ArgumentError(fault)


def _fill(classifier: "TextClassifier", model: Any, file: ModelFile) -> None:
    described = file.header["classifier"]
    classifier.model = model
    classifier.vocabulary = Vocabulary.from_dict(described["vocabulary"])
    classifier.labels = Labels.from_dict(described["labels"])
    classifier.asked = classifier.settings = TextSettings.from_dict(described["settings"])
    classifier.reasons = {str(name): str(why) for name, why in described["reasons"].items()}
    classifier.notes = tuple(map(str, described["notes"]))
    classifier.shares = np.array(described["shares"], dtype=np.float64)
    classifier.has_aspects = bool(described["aspects"])
    columns = described["columns"]
    if columns is not None:
        text, label, aspect = columns
        label = tuple(label) if isinstance(label, list) else label
        check_fields(Columns, {"text": text, "label": label, "aspect": aspect}, "columns")
        columns = Columns(text, label, aspect)
    classifier.columns = columns
    classifier.history = check_figures("history", described["history"])
    classifier.seconds = float(described["seconds"])
    measured = described["report"]
    classifier.measured = None if measured is None else Report.from_dict(measured)
    checked = described["validation_report"]
    classifier.validation_report = None if checked is None else Report.from_dict(checked)
    classifier.trained = True


def misfit(classifier: "TextClassifier") -> str:
    """What of a classifier does not fit together; "" where all does."""
    model, labels = classifier.model, len(classifier.labels.names)
    stack = model.layers if isinstance(model, Sequential) else []
    if (
        not stack
        or not isinstance(stack[0], Embedding)
        or not isinstance(stack[-1], Dense)
        or not model.built
    ):
        return "its network does not lead from an Embedding to a Dense layer"
    if not stack[0].mask_zero:
        return "its network reads padding, because its Embedding has no mask_zero"
    if stack[0].input_dim != len(classifier.vocabulary):
        return f"its network knows {stack[0].input_dim} codes, its vocabulary {len(classifier.vocabulary)}"
    if len(model.output_shape or ()) != 2:
        return f"its network gives {model.output_shape}, one row of outputs for a text is expected"
    # One output is enough for one of two labels: the probability of the second.
    outputs = (1, 2) if labels == 2 and not classifier.labels.several else (labels,)
    if stack[-1].units not in outputs or classifier.shares.shape != (labels,):
        return f"its network has {stack[-1].units} outputs for {labels} labels"
    if classifier.settings.maxlen is None:
        return "its settings have no maxlen"
    return ""
