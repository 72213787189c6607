"""Logistic regression on fixed features, the baseline of every classifier."""

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

from nabi.models._baselines._lbfgs import minimize

__all__ = ["LogisticRegression", "product", "squared"]

_STEPS = 200  # of L-BFGS at most; it converges in some dozens
_TOLERANCE = 1e-9
_TINY = 1e-12


class LogisticRegression:
    """Multinomial logistic regression with an L2 penalty, fitted by L-BFGS.

    It minimizes the weighted mean of the cross-entropy plus `penalty / (2 N)` times the squared norm of the
    weights; the bias is not penalized. That is the usual parametrization `C = 1 / penalty`.

    Attributes:
        weight: `[features, classes]`.
        bias: `[classes]`.
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight, self.bias = weight, bias

    @classmethod
    def fit(
        cls,
        features: Tensor,
        targets: Tensor,
        classes: int,
        *,
        penalty: float = 1.0,
        class_weight: Tensor | None = None,
        start: Self | None = None,
        steps: int = _STEPS,
        tolerance: float = _TOLERANCE,
    ) -> Self:
        """Fit to samples.

        Args:
            features: `[N, features]`, dense or sparse (COO), float32 or float64.
            targets: `[N]`, whole numbers from 0 to `classes - 1`; or `[N, classes]` of 0 and 1 for several
                labels at once, which are then fitted independently.
            classes: how many there are.
            penalty: the strength of the L2 penalty.
            class_weight: `[classes]`, how much a sample of each class counts; for several labels at once, how
                much the presence of each label counts.
            start: where to begin, such as the result of another penalty; by default weights of zero, and the
                bias that gives each label its share.
            steps: of L-BFGS at most.
            tolerance: it ends with the step that lowers what is minimized by no more than this.

        >>> features = torch.tensor([[0.0], [1.0], [3.0], [4.0]])
        >>> model = LogisticRegression.fit(features, torch.tensor([0, 0, 1, 1]), 2)
        >>> model.probabilities(features).argmax(1).tolist()
        [0, 0, 1, 1]
        """
        count, width = features.shape
        dtype = features.dtype
        several = targets.dim() == 2
        wanted = targets.to(dtype) if several else torch.nn.functional.one_hot(targets, classes).to(dtype)
        share = torch.ones_like(wanted)
        if class_weight is not None:
            weights = class_weight.to(dtype)
            share = 1 + wanted * (weights - 1) if several else (wanted @ weights)[:, None].expand_as(wanted)
        share = share / (share.sum(0, keepdim=True) if several else share[:, :1].sum())
        forwards, backwards = product(features), product(features.t())
        # The last row is the bias.
        begin = torch.zeros(width + 1, classes, dtype=dtype)
        if start is None:
            often = (share * wanted).sum(0).clamp(1 / (count + 2), 1 - 1 / (count + 2))
            begin[-1] = often.logit() if several else often.log()
        else:
            begin[:-1], begin[-1] = start.weight, start.bias

        def objective(both: Tensor) -> tuple[float, Tensor]:
            weight, logits = both[:-1], forwards(both[:-1]).add_(both[-1])
            if several:
                error = logits.sigmoid() - wanted
                fits = (share * torch.nn.functional.softplus(torch.where(wanted > 0, -logits, logits))).sum()
            else:
                logarithms = logits.log_softmax(1)
                error = logarithms.exp() - wanted
                fits = -(share * wanted * logarithms).sum()
            error *= share
            gradient = torch.empty_like(both)
            torch.add(backwards(error), weight, alpha=penalty / count, out=gradient[:-1])
            torch.sum(error, 0, out=gradient[-1])
            return float(fits) + penalty / (2 * count) * float(weight.square().sum()), gradient

        with torch.no_grad():
            logits = forwards(begin[:-1]) + begin[-1]
            chance = logits.sigmoid() if several else logits.softmax(1)
            spread = chance * (1 - chance) * share
            curvature = torch.cat(
                [product(squared(features).t())(spread) + penalty / count, spread.sum(0)[None]]
            )
            both = minimize(objective, begin, curvature.clamp_min(_TINY), steps=steps, tolerance=tolerance)
        return cls(both[:-1].clone(), both[-1].clone())

    def probabilities(self, features: Tensor, *, several: bool = False) -> Tensor:
        """Return `[N, classes]` for features as in `fit`; `several` where labels are independent."""
        logits = self.logits(features)
        return logits.sigmoid() if several else logits.softmax(1)

    def logits(self, features: Tensor) -> Tensor:
        """Return `[N, classes]` before softmax or sigmoid."""
        return product(features)(self.weight) + self.bias


def squared(matrix: Tensor) -> Tensor:
    """Return the square of each number of a dense or sparse matrix."""
    if not matrix.is_sparse:
        return matrix.square()
    matrix = matrix.coalesce()
    return torch.sparse_coo_tensor(
        matrix.indices(),
        matrix.values().square(),
        matrix.shape,
        is_coalesced=True,
        check_invariants=False,
    )


def product(matrix: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the function that multiplies a dense or sparse matrix with a dense one."""
    if not matrix.is_sparse:
        return lambda other: matrix @ other
    # Sums of weighted rows: on processors that is ten times faster than torch's product of a sparse matrix.
    matrix = matrix.coalesce()
    rows, columns = matrix.indices()
    values = matrix.values()
    first = torch.searchsorted(rows.contiguous(), torch.arange(matrix.shape[0]))

    def product(other: Tensor) -> Tensor:
        summed: Tensor = torch.nn.functional.embedding_bag(
            columns, other, first, mode="sum", per_sample_weights=values
        )
        return summed

    return product
