"""Windows over time: their number, their padding, and the layout of steps if some are masked."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nabi.errors import ShapeError
from nabi.layers._layer._arguments import Shape
from nabi.layers._layer._base import Layer
from nabi.layers._layer._shapes import check_mask, check_rank

__all__ = ["AXES", "WindowedLayer", "Windows", "all_count"]

AXES = "(batch, time, features)"


def all_count(mask: Tensor) -> bool:
    """Tell whether no step is masked; False if that is unknown."""
    return _has_values(mask) and bool(mask.all())


def _has_values(mask: Tensor) -> bool:
    # Compiled code must be correct for every mask; a mask on the meta device has no values, and under `vmap`
    # one row represents all.
    compiled = torch.compiler.is_compiling() or mask.is_meta
    return not compiled and not torch._C._functorch.is_batchedtensor(mask)


@dataclass(frozen=True)
class Windows:
    """Windows of `reach` steps, `stride` apart, with `"valid"`, `"same"` or `"causal"` padding."""

    reach: int
    stride: int
    padding: str

    @property
    def least(self) -> int:
        """The number of steps needed for one window."""
        return self.reach if self.padding == "valid" else 1

    @property
    def keeps_steps(self) -> bool:
        """Whether there is one window per step, so that each output belongs to a step."""
        return self.stride == 1 and (self.padding != "valid" or self.reach == 1)

    @property
    def moves_steps(self) -> bool:
        """Whether the padding before the first step depends on the number of steps."""
        return self.stride > 1 and self.padding == "same"

    def count(self, length: Any) -> Any:
        """Count the windows over `length` steps, a number or a tensor of them."""
        if self.padding == "valid":
            return (length - self.reach) // self.stride + 1
        return -(-length // self.stride)

    def counts(self, lengths: Tensor) -> Tensor:
        """Count the windows of each row; a row with too few steps for a window still has one."""
        return torch.where(lengths > 0, self.count(lengths).clamp(min=1), 0)

    def before(self, lengths: Tensor) -> Tensor:
        """Return the padding before each row; if "same" padding is odd, the larger half comes after."""
        if self.padding != "same":
            return torch.full_like(lengths, self.reach - 1 if self.padding == "causal" else 0)
        missing: Tensor = self._missing(lengths)
        return missing.clamp(min=0) // 2

    def around(self, length: int) -> tuple[int, int]:
        """Return the padding before and after unmasked steps."""
        if self.padding == "same":
            total = max(0, self._missing(length))
            return (total // 2, total - total // 2)
        return (self.reach - 1 if self.padding == "causal" else 0, 0)

    def _missing(self, length: Any) -> Any:
        return (self.count(length) - 1) * self.stride + self.reach - length

    def held(self, lengths: Tensor, steps: int) -> Tensor:
        """Count the steps without padding in each window over `steps`: `[B, windows]`."""
        windows = max(1, self.count(steps))
        first = torch.arange(windows, device=lengths.device) * self.stride - self.before(lengths).unsqueeze(1)
        end = torch.minimum(first + self.reach, lengths.unsqueeze(1))
        return (end - first.clamp(min=0)).clamp(min=0)


class WindowedLayer(Layer):
    """A layer that slides a window over `[B, T, D]`, with or without a mask `[B, T]`.

    Each row yields the output of its unmasked steps alone. They are placed side by side, after the padding
    for that number of steps, and the rest is filled with `_fill`. Masked values are never used, so they may
    be NaN.
    """

    supports_masking = True
    _makes_mask = False
    _fill = 0.0

    @property
    def windows(self) -> Windows:
        raise NotImplementedError(f"{type(self).__name__} must define windows")

    def _slide(self, channels: Tensor) -> Tensor:
        """Return the outputs `[B, windows, ...]` for `[B, D, steps]`, padding included."""
        raise NotImplementedError(f"{type(self).__name__} must define _slide(channels)")

    def _over_windows(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        """Return the outputs `[B, windows, ...]`; `mask` is bool `[B, T]`."""
        windows, length = self.windows, inputs.shape[1]
        if mask is None or not length or (length >= windows.least and all_count(mask)):
            self._steps(inputs.shape)
            channels = inputs.transpose(1, 2)
            padding = windows.around(length)
            if any(padding):
                channels = functional.pad(channels, padding, value=self._fill)
            return self._slide(channels)
        # A right-padded batch, the usual case, needs no rearranging.
        in_place = _has_values(mask) and bool((mask[:, 1:] <= mask[:, :-1]).all())
        lengths = mask.sum(1)
        steps = (max(1, windows.count(length)) - 1) * windows.stride + windows.reach
        if in_place and not windows.moves_steps:
            before = windows.around(length)[0]
            laid = torch.where(mask.unsqueeze(-1), inputs, self._fill)
            laid = functional.pad(laid, (0, 0, before, steps - length - before), value=self._fill)
        else:
            place = torch.arange(steps, device=mask.device) - windows.before(lengths).unsqueeze(1)
            filled = (place >= 0) & (place < lengths.unsqueeze(1))
            source = _order(mask).gather(1, place.clamp(0, length - 1))
            laid = torch.where(filled.unsqueeze(-1), _take(inputs, source), self._fill)
        outputs = self._slide(laid.transpose(1, 2))
        if not windows.keeps_steps:
            mask = torch.arange(outputs.shape[1], device=mask.device) < windows.counts(lengths).unsqueeze(1)
        elif not in_place:
            outputs = _take(outputs, (mask.cumsum(1) - 1).clamp(min=0))
        return torch.where(mask.unsqueeze(-1), outputs, 0.0)

    def _steps(self, shape: Shape) -> int | None:
        """Count the windows over inputs of a shape; None for an open length."""
        length = shape[1]
        if length is None:
            return None
        windows = self.windows
        if length < windows.least:
            raise ShapeError(
                f"inputs: {self.name} ({type(self).__name__}) expected at least {windows.least} time steps "
                f"for its window, got {length}, shape {tuple(shape)}"
            )
        return int(windows.count(length))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask of the windows, or the mask itself if there is one window per step."""
        if mask is None:
            return None
        check_rank(self, inputs.shape, 3, AXES)
        mask, windows = check_mask(self, mask, inputs), self.windows
        if windows.keeps_steps:
            return mask
        numbers = torch.arange(max(1, windows.count(mask.shape[1])), device=mask.device)
        return numbers < windows.counts(mask.sum(1)).unsqueeze(1)


def _order(mask: Tensor) -> Tensor:
    """Return `[B, T]`: the indices of the unmasked steps first; the rest is meaningless."""
    length = mask.shape[1]
    numbers = torch.arange(length, device=mask.device).expand(mask.shape)
    place = torch.where(mask, mask.cumsum(1) - 1, length)  # masked steps all go to one extra place
    return numbers.new_zeros(mask.shape[0], length + 1).scatter(1, place, numbers)[:, :length]


def _take(x: Tensor, steps: Tensor) -> Tensor:
    """Return the steps `[B, N]` of `[B, T, D]`."""
    rows = torch.arange(x.shape[0], device=x.device).unsqueeze(1) * x.shape[1] + steps
    return x.reshape(-1, x.shape[2]).index_select(0, rows.reshape(-1)).reshape(*steps.shape, x.shape[2])
