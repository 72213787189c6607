"""What the files below `Layer` need of a layer: they are parts of its work, and it is made of them."""

from collections.abc import Iterator
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

__all__ = ["LayerLike"]


class LayerLike(Protocol):
    """A layer, for what stands below `Layer`."""

    name: str
    built: bool
    supports_masking: bool
    says_output_shape: ClassVar[bool]
    _takes_several: ClassVar[bool]
    _casts_integers: ClassVar[bool]
    _dtype: torch.dtype
    _warned: bool
    _first_call: Any

    @property
    def dtype(self) -> torch.dtype:
        """The type of its weights and outputs."""

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """Its weights."""

    def build(self, input_shape: Any) -> None:
        """Make the weights."""

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Compute the output."""

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask of the output."""

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the output."""

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make it again."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Prepare the inputs, and call."""

    def _cast(self, inputs: Tensor) -> Tensor:
        """Return inputs in the layer's type."""
