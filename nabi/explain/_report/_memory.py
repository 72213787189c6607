"""How far a trained recurrent layer remembers, measured on what it has really read."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from nabi.models import LayerCall
from nabi.scan import scan

__all__ = ["remembered"]

_ROWS, _MOST_STEPS, _FEWEST_STEPS = 16, 200, 5


def remembered(calls: Sequence[LayerCall]) -> npt.NDArray[np.float64] | None:
    """Return how much of the last output's gradient reaches the input k steps earlier, `[steps]`.

    It is the norm of the gradient of a random projection of the last output, averaged over up to 16 of the
    sequences that the first recurrent layer has read, and relative to k = 0; in float64.

    Args:
        calls: of the layers, from `watched_layers`.

    Returns:
        None where nothing of at least five steps was read.
    """
    first = [call for call in calls if call.layer is calls[0].layer]
    rows: list[torch.Tensor] = []
    for call in first:
        steps = [call.inputs.shape[1]] * len(call.inputs) if call.lengths is None else call.lengths.tolist()
        for row, length in zip(call.inputs, steps, strict=True):
            if length >= _FEWEST_STEPS:
                read = row[:length].flip(0) if call.reverse else row[:length]
                rows.append(read[-_MOST_STEPS:].double())
    rows = sorted(rows, key=len, reverse=True)[:_ROWS]
    if not rows:
        return None
    layer = first[0].layer
    program = layer.program()
    weights = [weight.detach().double() for weight in layer.cell_parameters()]
    generator = torch.Generator().manual_seed(0)
    # Distances that all of the longest half of the sequences have.
    reach = len(rows[(len(rows) - 1) // 2])
    total = torch.zeros(reach, dtype=torch.float64)
    counts = torch.zeros(reach, dtype=torch.float64)
    for row in rows:
        x = row[None].clone().requires_grad_()
        with torch.enable_grad():
            output, _, _ = scan(program, x, None, weights)
            direction = torch.randn(output.shape[-1], generator=generator, dtype=torch.float64)
            (gradient,) = torch.autograd.grad((output[0, -1] * direction / direction.norm()).sum(), x)
        norms = gradient[0].norm(dim=1).flip(0)[:reach]
        if norms[0] > 0:
            total[: len(norms)] += norms / norms[0]
            counts[: len(norms)] += 1
    if not counts.all():
        return None
    found: npt.NDArray[np.float64] = (total / counts).numpy()
    return found
