"""Forward and backward passes of Embedding; see `nabi.training._step._chain`."""

import torch
from torch import Tensor

from nabi.layers import Embedding

__all__ = ["DirectEmbedding", "direct_embedding"]

Shape = tuple[int, ...]


def direct_embedding(layer: Embedding) -> "DirectEmbedding":
    """The passes of an embedding."""
    return DirectEmbedding(layer)


class DirectEmbedding:
    """A vector for each whole number."""

    def __init__(self, layer: Embedding) -> None:
        self._layer, self._weight = layer, layer.embeddings
        self._width = layer.output_dim
        self._indices: Tensor | None = None
        self._gradient: Tensor | None = None

    def fits(self, shape: Shape) -> Shape | None:
        """Every shape with a batch in it."""
        return (*shape, self._width) if shape else None

    def forward(self, x: Tensor) -> Tensor:
        """The vectors of the numbers."""
        self._indices = x
        return self._layer.call(x)

    def backward(self, cotangent: Tensor, need_input: bool) -> None:
        """The gradient of the vectors: the sum over the places that had each."""
        assert self._indices is not None
        indices, self._indices = self._indices.reshape(-1), None
        gradient = self._gradient
        if gradient is None:
            # The next batch writes over it: memory of this size would be fetched from the system every time.
            gradient = self._gradient = torch.zeros_like(self._weight)
        else:
            gradient.zero_()
        self._weight.grad = gradient.index_add_(0, indices, cotangent.reshape(-1, self._width))
