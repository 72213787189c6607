"""Logistic regression: the optimum of its objective, dense and sparse alike, one label or several."""

import pytest
import torch

from nabi.models._baselines._logistic import LogisticRegression


def samples(classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    targets = torch.randint(classes, (60,), generator=generator)
    centres = torch.randn(classes, 5, generator=generator, dtype=torch.float64)
    return centres[targets] + torch.randn(60, 5, generator=generator, dtype=torch.float64), targets


@pytest.mark.parametrize("weighted", [False, True])
def test_gradient_of_the_objective_is_zero_at_the_result(weighted: bool) -> None:
    features, targets = samples(3)
    class_weight = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64) if weighted else None
    model = LogisticRegression.fit(features, targets, 3, penalty=2.0, class_weight=class_weight)
    weight, bias = model.weight.requires_grad_(), model.bias.requires_grad_()
    loss = torch.nn.functional.cross_entropy(features @ weight + bias, targets, weight=class_weight)
    (loss + weight.square().sum() / 60).backward()
    assert weight.grad is not None
    assert bias.grad is not None
    assert weight.grad.abs().max() < 1e-4
    assert bias.grad.abs().max() < 1e-4


def test_sparse_features_give_the_same() -> None:
    features, targets = samples(2)
    features = torch.where(features > 0, features, 0.0)
    dense = LogisticRegression.fit(features, targets, 2)
    sparse = LogisticRegression.fit(features.to_sparse(), targets, 2)
    torch.testing.assert_close(sparse.weight, dense.weight, rtol=0, atol=1e-5)
    torch.testing.assert_close(
        sparse.probabilities(features.to_sparse()), dense.probabilities(features), rtol=0, atol=1e-5
    )


def test_several_labels_are_fitted_independently() -> None:
    features, targets = samples(3)
    both = torch.stack([targets == 0, targets != 1], 1).double()
    together = LogisticRegression.fit(features, both, 2)
    for place in range(2):
        alone = LogisticRegression.fit(features, both[:, place : place + 1], 1)
        torch.testing.assert_close(together.weight[:, place], alone.weight[:, 0], rtol=0, atol=1e-3)
