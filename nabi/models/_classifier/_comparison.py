"""A report with simpler models beside the classifier, and what follows from them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi.models._baselines._verdict import verdict
from nabi.models._classifier._decision import as_probabilities
from nabi.models._classifier._report import Beside, Report
from nabi.models._classifier._scores import margin_of, rate_rows

__all__ = ["compare"]

Floats = npt.NDArray[np.floating[Any]]


def compare(
    report: Report, logits: Floats, beside: Mapping[str, Floats], truth: npt.NDArray[Any], *, rare: bool
) -> Report:
    """Return the report with figures of simpler models and a verdict against the first of them.

    A difference is one where it is larger than its standard error.

    Args:
        report: of the classifier.
        logits: of the classifier `[N, labels]`.
        beside: logits of each simpler model by its name, the baseline first.
        truth: the right labels.
        rare: whether the macro F1 decides; otherwise the accuracy, or the F1 of all decisions.
    """
    names = tuple(one.label for one in report.by_label)
    several = report.several
    baselines = []
    for name, values in beside.items():
        one = Report.measure(names, truth, as_probabilities(values, several), several=several)
        baselines.append(Beside(name, one.accuracy, one.macro_f1, one.micro_f1))
    first = next(iter(beside))
    own, other, margin = (
        rate_rows(logits, truth, several),
        rate_rows(beside[first], truth, several),
        margin_of(logits, beside[first], truth, several),
    )
    place = 1 if rare else 0
    measure = "macro F1" if rare else "micro F1" if several else "accuracy"
    said = verdict(own[place], {first: other[place]}, measure=measure, margin=margin[place])
    return replace(report, baselines=tuple(baselines), verdict=said)
