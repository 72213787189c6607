"""Windows over the height and the width of pictures."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Self

from torch import Tensor
from torch.nn import functional

from nabi.errors import ShapeError
from nabi.layers._windows._windows import Windows

if TYPE_CHECKING:
    from nabi.layers._layer._base import Layer

__all__ = ["PICTURE_AXES", "Windows2D"]

PICTURE_AXES = "(batch, height, width, channels)"


class Windows2D(NamedTuple):
    """Windows along the height and along the width."""

    height: Windows
    width: Windows

    @classmethod
    def of(
        cls, size: Sequence[int], strides: Sequence[int], padding: str, dilation: Sequence[int] = (1, 1)
    ) -> Self:
        """Make windows of `size`, `strides` apart, that read every `dilation`-th position."""
        reaches = [(one - 1) * every + 1 for one, every in zip(size, dilation, strict=True)]
        return cls(*(Windows(reach, stride, padding) for reach, stride in zip(reaches, strides, strict=True)))

    def counts(self, layer: "Layer", shape: Sequence[int | None]) -> tuple[int | None, int | None]:
        """Count the windows over pictures `[B, height, width, channels]`, None along an open axis.

        Raises:
            ShapeError: for pictures smaller than a window.
        """
        if any(
            size is not None and size < windows.least for size, windows in zip(shape[1:3], self, strict=True)
        ):
            raise ShapeError(
                f"inputs: {layer.name} ({type(layer).__name__}) expected at least {self.height.least} × "
                f"{self.width.least} pixels for its window, got {shape[1]} × {shape[2]}, "
                f"shape {tuple(shape)}"
            )
        height, width = shape[1], shape[2]
        return (
            None if height is None else int(self.height.count(height)),
            None if width is None else int(self.width.count(width)),
        )

    def pad(self, layer: "Layer", inputs: Tensor, fill: float) -> Tensor:
        """Return pictures `[B, height, width, channels]` as `[B, channels, ...]` with padding.

        The channels of a position stay contiguous in memory, torch's fastest layout for convolution.
        """
        self.counts(layer, inputs.shape)
        channels = inputs.permute(0, 3, 1, 2)
        padding = (*self.width.around(inputs.shape[2]), *self.height.around(inputs.shape[1]))
        return functional.pad(channels, padding, value=fill) if any(padding) else channels
