"""L-BFGS reaches the lowest point of convex functions, from bad estimates too, and stops when it is told."""

import pytest
import torch

from nabi.models._baselines._lbfgs import minimize


class Bowl:
    """A stretched and turned parabola whose lowest point is known; it counts how often it is looked at."""

    def __init__(self, stretch: float) -> None:
        generator = torch.Generator().manual_seed(3)
        turned, _ = torch.linalg.qr(torch.randn(6, 6, generator=generator, dtype=torch.float64))
        self.hessian = turned @ torch.diag(torch.logspace(0, stretch, 6, dtype=torch.float64)) @ turned.T
        self.lowest = torch.randn(2, 3, generator=generator, dtype=torch.float64)
        self.looks = 0

    def __call__(self, point: torch.Tensor) -> tuple[float, torch.Tensor]:
        self.looks += 1
        gap = (point - self.lowest).flatten()
        slope = self.hessian @ gap
        return float(gap @ slope) / 2, slope.view_as(point)


@pytest.mark.parametrize("wrong", [1e-3, 1.0, 1e3])
def test_lowest_point_is_found_from_curvatures_too_small_or_too_large(wrong: float) -> None:
    bowl = Bowl(2)
    start = torch.zeros(2, 3, dtype=torch.float64)
    curvature = bowl.hessian.diagonal().view(2, 3) * wrong
    found = minimize(bowl, start, curvature, steps=200, tolerance=0.0)
    torch.testing.assert_close(found, bowl.lowest, rtol=0, atol=1e-6)
    assert not start.any()  # is left as it was


def test_right_curvatures_of_independent_variables_need_one_step() -> None:
    scale = torch.tensor([1.0, 100.0, 10_000.0])
    looks = []

    def function(point: torch.Tensor) -> tuple[float, torch.Tensor]:
        looks.append(point)
        return float((scale * (point - 1).square()).sum()) / 2, scale * (point - 1)

    found = minimize(function, torch.zeros(3), scale, steps=50, tolerance=1e-6)
    assert found.tolist() == [1.0, 1.0, 1.0]
    assert len(looks) <= 3


def test_larger_tolerance_and_fewer_steps_end_earlier() -> None:
    looks = []
    for steps, tolerance in ((200, 0.0), (200, 0.1), (2, 0.0)):
        bowl = Bowl(3)
        curvature = bowl.hessian.diagonal().view(2, 3)
        minimize(bowl, torch.zeros(2, 3, dtype=torch.float64), curvature, steps=steps, tolerance=tolerance)
        looks.append(bowl.looks)
    assert looks[1] < looks[0]
    assert looks[2] <= looks[1]
