"""Layers for sequences of vectors and of whole numbers: RepeatVector, Masking, Embedding."""

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from nabi import _checks
from nabi.errors import ArgumentError
from nabi.layers._layer import _regularizers
from nabi.layers._layer._arguments import Shape, check_no_constraint, positive_integer
from nabi.layers._layer._base import Layer
from nabi.layers._layer._shapes import check_rank
from nabi.nn import initializers

__all__ = ["Embedding", "Masking", "RepeatVector"]


class RepeatVector(Layer):
    """A vector repeated over `n` time steps: `[B, D]` to `[B, n, D]`.

    >>> import torch
    >>> RepeatVector(3)(torch.zeros(2, 5)).shape
    torch.Size([2, 3, 5])
    """

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = positive_integer("n", n)

    def call(self, inputs: Tensor) -> Tensor:
        """Return the inputs repeated."""
        check_rank(self, inputs.shape, 2, "(batch, features)")
        return inputs.unsqueeze(1).expand(-1, self.n, -1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape with the time axis inserted."""
        check_rank(self, input_shape, 2, "(batch, features)")
        return (input_shape[0], self.n, input_shape[1])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {**super().get_config(), "n": self.n}


class Masking(Layer):
    """Masks the time steps of `[B, T, ...]` whose features all equal `mask_value`, and sets them to 0.

    >>> import torch
    >>> Masking()(torch.tensor([[[1.0], [0.0]]]))._keras_mask
    tensor([[ True, False]])
    """

    supports_masking = True
    _makes_mask: ClassVar[bool] = True

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_value = _checks.real("mask_value", mask_value)

    def compute_mask(self, inputs: Tensor, mask: Any = None) -> Tensor:
        """Return the mask `[B, T]`, True at unmasked steps."""
        return (inputs != self.mask_value).any(-1)

    def call(self, inputs: Tensor) -> Tensor:
        """Return the inputs with masked steps set to 0."""
        return torch.where(self.compute_mask(inputs).unsqueeze(-1), inputs, 0.0)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return `input_shape` unchanged."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {**super().get_config(), "mask_value": self.mask_value}


class Embedding(Layer):
    """A learned vector for each index: `[B, ...]`, from 0 to `input_dim` - 1, to `[B, ..., output_dim]`.

    `mask_zero=True` masks zeros, for sequences that are padded with them. Weights: `embeddings`
    `(input_dim, output_dim)`, uniform in ±0.05 by default. Raises `ArgumentError` for an index out of range.

    >>> import torch
    >>> embedding = Embedding(10, 4, mask_zero=True)
    >>> vectors = embedding(torch.tensor([[3, 0]]))
    >>> vectors.shape, vectors._keras_mask, embedding.parameter_sum()
    (torch.Size([1, 2, 4]), tensor([[ True, False]]), '10 × 4 = 40')
    """

    _makes_mask: ClassVar[bool] = True

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: None = None,
        mask_zero: bool = False,
        input_length: int | None = None,
        **kwargs: Any,
    ) -> None:
        check_no_constraint(embeddings_constraint=embeddings_constraint)
        if input_length is not None and not {"input_shape", "batch_input_shape", "batch_shape"} & set(kwargs):
            kwargs["input_shape"] = (positive_integer("input_length", input_length),)
        super().__init__(**kwargs)
        self.input_dim = positive_integer("input_dim", input_dim)
        self.output_dim = positive_integer("output_dim", output_dim)
        self.embeddings_initializer = initializers.get(embeddings_initializer, "embeddings_initializer")
        self.embeddings_regularizer = _regularizers.get(embeddings_regularizer, "embeddings_regularizer")
        self.mask_zero = bool(mask_zero)
        self.supports_masking = self.mask_zero

    def build(self, input_shape: Shape | None = None) -> None:
        """Create `embeddings`."""
        self.embeddings = self.add_weight(
            (self.input_dim, self.output_dim),
            self.embeddings_initializer,
            "embeddings",
            regularizer=self.embeddings_regularizer,
        )

    def matrices(self) -> dict[str, int]:
        """Return the name of the table, with the axis of its lines."""
        return {"embeddings": 0}

    def compute_mask(self, inputs: Tensor, mask: Any = None) -> Tensor | None:
        """Return True where the number is not 0, or None without `mask_zero`."""
        return inputs != 0 if self.mask_zero else None

    def call(self, inputs: Tensor) -> Tensor:
        """Return the vectors of the indices."""
        indices = inputs if inputs.dtype in (torch.int64, torch.int32) else inputs.long()
        try:
            return functional.embedding(indices, self.embeddings)
        except IndexError:
            raise ArgumentError(
                f"inputs: {self.name} (Embedding) expected whole numbers from 0 to {self.input_dim - 1}, "
                f"got {int(indices.min())} to {int(indices.max())}"
            ) from None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape with the axis of the vectors appended."""
        return (*input_shape, self.output_dim)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": initializers.serialize(self.embeddings_initializer),
            "embeddings_regularizer": _regularizers.serialize(self.embeddings_regularizer),
            "mask_zero": self.mask_zero,
        }
