"""What became NaN or infinite first: the layer, the step, the row and the quantity."""

from nabi.training._finite._checks import check_finite, first_not_finite

__all__ = ["check_finite", "first_not_finite"]
