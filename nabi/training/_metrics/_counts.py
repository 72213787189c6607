"""Classification metrics from confusion counts: precision, recall, F scores, AUC."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nabi import _checks
from nabi.errors import ArgumentError, ShapeError, unknown_name
from nabi.training._data._align import align_targets
from nabi.training._metrics._base import Metric, as_tensor, flat_weights

__all__ = [
    "AUC",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Precision",
    "Recall",
    "TrueNegatives",
    "TruePositives",
]


_MOST_THRESHOLDS = 1_000_000


def _thresholds(given: Any, default: float) -> list[float]:
    """Return the thresholds as a list of floats."""
    if given is None:
        return [default]
    several = given if _is_several(given) else [given]
    values = [_checks.real("thresholds", one, least=0, most=1) for one in several]
    if not values:
        raise ArgumentError("thresholds: expected at least one, got none")
    return values


def _kept_thresholds(given: Any) -> list[float] | float | None:
    """Return the thresholds for a configuration: Python numbers, one or several as given."""
    if given is None:
        return None
    values = _thresholds(given, 0.5)
    return values if _is_several(given) else values[0]


def _is_several(given: Any) -> bool:
    return isinstance(given, list | tuple) or getattr(given, "ndim", 0) == 1


class _Counts(Metric):
    """Weighted counts of the outputs above and below each threshold, correct and incorrect.

    Outputs and targets are compared element by element; a target above 0.5 is positive.
    """

    _summed = ("_right", "_wrong", "_positives", "_negatives")

    def __init__(
        self,
        thresholds: Sequence[float],
        name: str | None,
        dtype: Any,
        top_k: int | None = None,
        class_id: int | None = None,
    ) -> None:
        super().__init__(name, dtype)
        if top_k is not None:
            top_k = _checks.whole("top_k", top_k, floats=True, otherwise=" or None")
        if class_id is not None:
            class_id = _checks.whole("class_id", class_id, 0, floats=True, otherwise=" or None")
        self.top_k, self.class_id = top_k, class_id
        self._limits = torch.tensor(list(thresholds), dtype=torch.float64)
        self.reset_state()

    def reset_state(self) -> None:
        """Reset the metric."""
        empty = torch.zeros(len(self._limits), dtype=torch.float64)
        self._right, self._wrong = empty, empty.clone()  # above the threshold
        self._positives = self._negatives = 0.0  # among the targets

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Update the metric with a batch; weights are for samples, steps or single outputs."""
        outputs = as_tensor(y_pred)
        mask = getattr(y_pred, "_keras_mask", None)
        targets = align_targets(as_tensor(y_true, outputs), outputs)
        if mask is not None:
            outputs._keras_mask = mask  # type: ignore[attr-defined]
        weights = flat_weights(self.name, outputs, sample_weight)
        outputs = outputs.to(torch.float64).nan_to_num(nan=-math.inf)  # NaN is above no threshold
        if self.top_k is not None:
            kept = outputs.topk(min(self.top_k, outputs.shape[-1]), -1).indices
            lowest = torch.full_like(outputs, -1e10)
            outputs = lowest.scatter(-1, kept, outputs.gather(-1, kept))
        if self.class_id is not None:
            if outputs.dim() < 2 or self.class_id >= outputs.shape[-1]:
                raise ShapeError(
                    f"y_pred: {self.name} expected outputs with a class {self.class_id}, got shape "
                    f"{tuple(outputs.shape)}"
                )
            outputs, targets = outputs[..., self.class_id], targets[..., self.class_id]
            weights = None if weights is None else weights[..., self.class_id]
        self._count(targets.reshape(-1) != 0, outputs.reshape(-1), weights)

    def _count(self, positive: Tensor, outputs: Tensor, weights: Tensor | None) -> None:
        limits = self._limits.to(outputs.device)
        numbers = torch.ones_like(outputs) if weights is None else weights.reshape(-1)
        if weights is not None:  # excluded values may be NaN
            counted = numbers != 0
            positive, outputs, numbers = positive[counted], outputs[counted], numbers[counted]
        # An output exceeds the first n sorted thresholds, for some n. So the weights are summed per n, and
        # the cumulative sums from the end are the counts of all thresholds.
        order = limits.argsort()
        place = torch.searchsorted(limits[order].contiguous(), outputs.contiguous())
        found = []
        for chosen in (positive, ~positive):
            sums = torch.zeros(len(limits) + 1, dtype=torch.float64, device=outputs.device)
            sums.index_add_(0, place[chosen], numbers[chosen])
            above = sums.flip(0).cumsum(0).flip(0)[1:]
            found.append((torch.empty_like(above).scatter_(0, order, above).cpu(), float(sums.sum())))
        (right, positives), (wrong, negatives) = found
        self._right, self._wrong = self._right + right, self._wrong + wrong
        self._positives, self._negatives = self._positives + positives, self._negatives + negatives

    def _given(self, values: Tensor) -> Any:
        """Return a number, or an array with one number per threshold."""
        return float(values[0]) if len(values) == 1 else values.numpy().astype(np.float32)


def _ratio(above: Tensor, below: Tensor | float) -> Tensor:
    """Return the quotient, 0 where the divisor is 0."""
    below = torch.as_tensor(below, dtype=above.dtype).expand_as(above)
    return torch.where(below == 0, 0.0, above / torch.where(below == 0, 1.0, below))


class Precision(_Counts):
    """The share of outputs above the threshold whose target is 1.

    Arguments as in Keras: `thresholds`, one number or several (0.5); `top_k`, to count only the `top_k`
    largest outputs of a sample as above; `class_id`, to evaluate one class only. With several thresholds, the
    result is an array. Raises `ArgumentError` for thresholds outside 0 to 1.

    >>> precision = Precision()
    >>> precision.update_state([0, 1, 1, 1], [0.9, 0.2, 0.8, 0.7])
    >>> round(precision.result(), 4)
    0.6667
    """

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.thresholds = _kept_thresholds(thresholds)
        # With top_k, all remaining outputs are above.
        default = 0.5 if top_k is None else -1e10
        super().__init__(_thresholds(thresholds, default), name, dtype, top_k, class_id)

    def result(self) -> Any:
        """Return the share since the last reset; 0 if no output was above."""
        return self._given(_ratio(self._right, self._right + self._wrong))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the metric."""
        own = {"thresholds": self.thresholds, "top_k": self.top_k, "class_id": self.class_id}
        return {**super().get_config(), **own}


class Recall(Precision):
    """The share of outputs with target 1 that are above the threshold; arguments as for `Precision`.

    >>> recall = Recall()
    >>> recall.update_state([0, 1, 1, 1], [0.9, 0.2, 0.8, 0.7])
    >>> round(recall.result(), 4)
    0.6667
    """

    def result(self) -> Any:
        """Return the share since the last reset; 0 if no target was 1."""
        return self._given(_ratio(self._right, self._positives))


class _OneCount(_Counts):
    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None) -> None:
        self.thresholds = _kept_thresholds(thresholds)
        super().__init__(_thresholds(thresholds, 0.5), name, dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the metric."""
        return {**super().get_config(), "thresholds": self.thresholds}


class TruePositives(_OneCount):
    """The number (or total weight) of outputs above the threshold whose target is 1.

    >>> count = TruePositives()
    >>> count.update_state([0, 1, 1, 1], [0.9, 0.2, 0.8, 0.7])
    >>> count.result()
    2.0
    """

    def result(self) -> Any:
        """Return the number since the last reset."""
        return self._given(self._right)


class FalsePositives(_OneCount):
    """The number (or total weight) of outputs above the threshold whose target is 0."""

    def result(self) -> Any:
        """Return the number since the last reset."""
        return self._given(self._wrong)


class FalseNegatives(_OneCount):
    """The number (or total weight) of outputs not above the threshold whose target is 1."""

    def result(self) -> Any:
        """Return the number since the last reset."""
        return self._given(self._positives - self._right)


class TrueNegatives(_OneCount):
    """The number (or total weight) of outputs not above the threshold whose target is 0."""

    def result(self) -> Any:
        """Return the number since the last reset."""
        return self._given(self._negatives - self._wrong)


class AUC(_Counts):
    """The area under the ROC or the precision-recall curve, from counts at `num_thresholds` thresholds.

    Arguments as in Keras: `num_thresholds=200`, `curve="ROC"` or `"PR"`, `summation_method="interpolation"`,
    `"minoring"` or `"majoring"`, your own `thresholds` between 0 and 1, `from_logits=False`. All outputs are
    pooled. For the exact area, or one per class, pass torchmetrics' `BinaryAUROC` or `MulticlassAUROC` to
    `compile`.

    Raises `UnknownNameError` for another curve or method, `ArgumentError` for fewer than two thresholds.

    >>> area = AUC(num_thresholds=3)
    >>> area.update_state([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9])
    >>> area.result()
    0.75
    """

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ) -> None:
        if multi_label or label_weights is not None:
            raise ArgumentError(
                "multi_label: expected False, got True; pass "
                "torchmetrics.classification.MultilabelAUROC to compile(metrics=[...])"
            )
        if curve not in ("ROC", "PR"):
            raise unknown_name("curve", curve, ("ROC", "PR"))
        methods = ("interpolation", "majoring", "minoring")
        if summation_method not in methods:
            raise unknown_name("summation_method", summation_method, methods)
        self.thresholds = None if thresholds is None else _thresholds(thresholds, 0.5)
        if self.thresholds is not None:
            inner = sorted(self.thresholds)
        else:
            count = _checks.whole("num_thresholds", num_thresholds, 2, _MOST_THRESHOLDS, floats=True)
            inner = [(number + 1) / (count - 1) for number in range(count - 2)]
        self.num_thresholds = len(inner) + 2
        self.curve, self.summation_method, self.from_logits = curve, summation_method, bool(from_logits)
        # Every output is above the first threshold and none above the last.
        super().__init__([-1e-7, *inner, 1.0 + 1e-7], name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Update the metric with outputs between 0 and 1, or with their logits if `from_logits`."""
        if self.from_logits:
            outputs = as_tensor(y_pred).sigmoid()
            mask = getattr(y_pred, "_keras_mask", None)
            if mask is not None:
                outputs._keras_mask = mask  # type: ignore[attr-defined]
            y_pred = outputs
        super().update_state(y_true, y_pred, sample_weight)

    def result(self) -> float:
        """Return the area since the last reset."""
        right, wrong = self._right, self._wrong
        recall = _ratio(right, self._positives)
        if self.curve == "ROC":
            x, y = _ratio(wrong, self._negatives), recall
        elif self.summation_method == "interpolation":
            return self._interpolated()
        else:
            x, y = recall, _ratio(right, right + wrong)
        pairs = torch.stack([y[:-1], y[1:]])
        chosen = {"interpolation": pairs.mean(0), "minoring": pairs.amin(0), "majoring": pairs.amax(0)}
        return float(((x[:-1] - x[1:]) * chosen[self.summation_method]).sum())

    def _interpolated(self) -> float:
        """Return the area under the precision-recall curve, by Davis and Goadrich 2006.

        Between two thresholds, the true positives grow in proportion to all outputs above the threshold.
        """
        right, above = self._right, self._right + self._wrong
        grown = right[:-1] - right[1:]
        slope = _ratio(grown, (above[:-1] - above[1:]).clamp(min=0))
        offset = right[1:] - slope * above[1:]
        both = (above[:-1] > 0) & (above[1:] > 0)
        ratio = torch.where(both, _ratio(above[:-1], above[1:].clamp(min=0)), 1.0)
        return float((_ratio(slope * (grown + offset * ratio.log()), self._positives)).sum())

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the metric."""
        return {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "thresholds": self.thresholds,
            "from_logits": self.from_logits,
        }


class FBetaScore(Metric):
    """The weighted harmonic mean of precision and recall per class.

    Outputs and targets are `[..., classes]`.
    Arguments as in Keras: `average` over the classes, None (an array with one number per class), `"micro"`,
    `"macro"` or `"weighted"`; `beta=1.0`, the weight of recall relative to precision; `threshold` above which
    an output is positive (default: the largest output of a sample is). Raises `ArgumentError` for numbers out
    of range.

    >>> score = FBetaScore(average="macro")
    >>> score.update_state([[1, 0], [0, 1], [0, 1]], [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    >>> round(score.result(), 4)
    0.6667
    """

    _summed = ("_counts",)

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, dtype)
        if average not in (None, "micro", "macro", "weighted"):
            raise unknown_name("average", average, ("None", "micro", "macro", "weighted"))
        if threshold is not None:
            threshold = _checks.real("threshold", threshold, above=0, most=1, otherwise=" or None")
        self.average, self.threshold = average, threshold
        self.beta = _checks.real("beta", beta, above=0)
        self.reset_state()

    def reset_state(self) -> None:
        """Reset the metric."""
        self._counts: Tensor | None = None  # [3, classes]: true positives, outputs above, targets

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Update the metric with a batch."""
        outputs = as_tensor(y_pred)
        if outputs.dim() < 2:
            raise ShapeError(
                f"y_pred: {self.name} expected outputs of the shape (batch, classes), "
                f"got {tuple(outputs.shape)}"
            )
        targets = align_targets(as_tensor(y_true, outputs), outputs).to(torch.float64)
        mask = getattr(y_pred, "_keras_mask", None)
        if mask is not None:
            outputs._keras_mask = mask  # type: ignore[attr-defined]
        weights = flat_weights(self.name, outputs, sample_weight)
        if self.threshold is None:
            chosen = (outputs >= outputs.amax(-1, keepdim=True)) & (outputs.abs() > 1e-9)
        else:
            chosen = outputs > self.threshold
        above = chosen.to(torch.float64)
        parts = torch.stack([above * targets, above, targets])
        if weights is not None:
            parts = torch.where(weights == 0, 0.0, parts) * weights
        sums = parts.flatten(1, -2).sum(1).cpu()
        self._counts = sums if self._counts is None else self._counts + sums

    def result(self) -> Any:
        """Return the score since the last reset, or an array with one score per class."""
        if self._counts is None:
            return 0.0
        counts = self._counts.sum(1, keepdim=True) if self.average == "micro" else self._counts
        right, above, targets = counts
        precision, recall = right / (above + _EPSILON), right / (targets + _EPSILON)
        square = self.beta**2
        score = (1 + square) * precision * recall / (square * precision + recall + _EPSILON)
        if self.average == "weighted":
            return float((score * targets / (targets.sum() + _EPSILON)).sum())
        return score.numpy().astype(np.float32) if self.average is None else float(score.mean())

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the metric."""
        own = {"average": self.average, "beta": self.beta, "threshold": self.threshold}
        return {**super().get_config(), **own}


# Avoids division by zero; Keras' value.
_EPSILON = 1e-7


class F1Score(FBetaScore):
    """The harmonic mean of precision and recall: `FBetaScore` with `beta=1`.

    >>> score = F1Score(threshold=0.5)
    >>> score.update_state([[1, 1], [1, 0]], [[0.9, 0.2], [0.8, 0.6]])
    >>> score.result().round(2).tolist()
    [1.0, 0.0]
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the metric."""
        config = super().get_config()
        del config["beta"]
        return config
