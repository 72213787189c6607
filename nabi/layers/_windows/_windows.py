"""Windows over time: how many fit, what pads them, and where steps go when some of them are masked."""

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
    """Tell whether no step is masked; False where that is not known."""
    return _has_values(mask) and bool(mask.all())


def _has_values(mask: Tensor) -> bool:
    # Code that is being compiled must be right for every mask; one on the meta device is none at all, and
    # `vmap` shows one row for all of them.
    compiled = torch.compiler.is_compiling() or mask.is_meta
    return not compiled and not torch._C._functorch.is_batchedtensor(mask)


@dataclass(frozen=True)
class Windows:
    """Windows of `reach` steps, `stride` apart, over steps padded as `"valid"`, `"same"` or `"causal"`."""

    reach: int
    stride: int
    padding: str

    @property
    def least(self) -> int:
        """How many steps are needed for one window."""
        return self.reach if self.padding == "valid" else 1

    @property
    def keeps_steps(self) -> bool:
        """Whether there is one window for each step, so that an output belongs to a step."""
        return self.stride == 1 and (self.padding != "valid" or self.reach == 1)

    @property
    def moves_steps(self) -> bool:
        """Whether the padding before the first step depends on how many steps there are."""
        return self.stride > 1 and self.padding == "same"

    def count(self, length: Any) -> Any:
        """Count the windows over `length` steps, a number or a tensor of them."""
        if self.padding == "valid":
            return (length - self.reach) // self.stride + 1
        return -(-length // self.stride)

    def counts(self, lengths: Tensor) -> Tensor:
        """Count the windows of each row: steps that are too few for a window have one all the same."""
        return torch.where(lengths > 0, self.count(lengths).clamp(min=1), 0)

    def before(self, lengths: Tensor) -> Tensor:
        """Return the padding before each row; where "same" is odd, the larger half comes after."""
        if self.padding != "same":
            return torch.full_like(lengths, self.reach - 1 if self.padding == "causal" else 0)
        missing: Tensor = self._missing(lengths)
        return missing.clamp(min=0) // 2

    def around(self, length: int) -> tuple[int, int]:
        """Return the padding before and after steps none of which is masked."""
        if self.padding == "same":
            total = max(0, self._missing(length))
            return (total // 2, total - total // 2)
        return (self.reach - 1 if self.padding == "causal" else 0, 0)

    def _missing(self, length: Any) -> Any:
        return (self.count(length) - 1) * self.stride + self.reach - length

    def held(self, lengths: Tensor, steps: int) -> Tensor:
        """Count the steps, padding left out, in each of the windows over `steps`: `[B, windows]`."""
        windows = max(1, self.count(steps))
        first = torch.arange(windows, device=lengths.device) * self.stride - self.before(lengths).unsqueeze(1)
        end = torch.minimum(first + self.reach, lengths.unsqueeze(1))
        return (end - first.clamp(min=0)).clamp(min=0)


class WindowedLayer(Layer):
    """A layer that slides a window over `[B, T, D]`, with or without a mask `[B, T]`.

    Each row gives what the steps of it that count would give alone. They are laid out side by side, after
    the padding that so many steps have, and what is left holds `_fill`; what a masked step holds is never
    computed with, so that it may be NaN.
    """

    supports_masking = True
    _makes_mask = False
    _fill = 0.0

    @property
    def windows(self) -> Windows:
        raise NotImplementedError(f"{type(self).__name__} must say which windows it has")

    def _slide(self, channels: Tensor) -> Tensor:
        """Return the outputs `[B, windows, ...]` for `[B, D, steps]`, which has the padding in it."""
        raise NotImplementedError(f"{type(self).__name__} must compute its windows")

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
        # A right-padded batch, the usual one, stays as it is.
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
        """Count the windows over inputs of a shape, None for an open number of them."""
        length = shape[1]
        if length is None:
            return None
        windows = self.windows
        if length < windows.least:
            raise ShapeError(
                f"inputs: {self.name} ({type(self).__name__}) expected at least {windows.least} time steps "
                f"for its window; got {length}, shape {tuple(shape)}"
            )
        return int(windows.count(length))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask of the windows, the mask itself where each step has one."""
        if mask is None:
            return None
        check_rank(self, inputs.shape, 3, AXES)
        mask, windows = check_mask(self, mask, inputs), self.windows
        if windows.keeps_steps:
            return mask
        numbers = torch.arange(max(1, windows.count(mask.shape[1])), device=mask.device)
        return numbers < windows.counts(mask.sum(1)).unsqueeze(1)


def _order(mask: Tensor) -> Tensor:
    """Return `[B, T]`: the numbers of the steps that count, in front; what follows them means nothing."""
    length = mask.shape[1]
    numbers = torch.arange(length, device=mask.device).expand(mask.shape)
    place = torch.where(mask, mask.cumsum(1) - 1, length)  # masked steps all go to one place too many
    return numbers.new_zeros(mask.shape[0], length + 1).scatter(1, place, numbers)[:, :length]


def _take(x: Tensor, steps: Tensor) -> Tensor:
    """Return the steps `[B, N]` of `[B, T, D]`."""
    rows = torch.arange(x.shape[0], device=x.device).unsqueeze(1) * x.shape[1] + steps
    return x.reshape(-1, x.shape[2]).index_select(0, rows.reshape(-1)).reshape(*steps.shape, x.shape[2])
