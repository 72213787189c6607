"""Attention layers: for each query, the mean of values, weighted by how well their keys match the query."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nabi.errors import ArgumentError, ShapeError, unknown_name
from nabi.layers._layer._arguments import rate as check_rate
from nabi.layers._layer._base import Layer
from nabi.layers._layer._seeds import SeedGenerator

__all__ = ["AdditiveAttention", "Attention"]

_MODES = ("dot", "concat")


class Attention(Layer):
    """Dot-product attention over a list `[query, value]` or `[query, value, key]` (Luong et al. 2015).

    The query is `[B, T, D]`, the key `[B, S, D]` (the value itself by default), the value `[B, S, M]`:
    `softmax(query keyᵀ) value` is `[B, T, M]`.

    Masks come with the inputs, or as `mask=[query_mask, value_mask]`, each `[B, T]` or `[B, S]` or None.
    Masked steps of the value get weight 0. Masked steps of the query get output 0, and the query's mask is
    the mask of the output. If all steps of a value are masked, they all get the same weight.

    Args:
        use_scale: whether the scores are multiplied by a learned weight, initially 1.
        score_mode: "dot", or "concat": a weight times the sum of `tanh(query + key)`.
        dropout: share of the weights that are dropped in training.
        seed: seed of the layer's own random generator.

    Call arguments: `mask`; `training`; `return_attention_scores`, for the weights `[B, T, S]` as a second
    output; `use_causal_mask`, so that step t of the query sees the steps of the value up to t only.

    Raises:
        UnknownNameError: for any other score mode.
        ArgumentError: if `dropout` is not a rate, or the masks are not a list.
        ShapeError: if the shapes of the inputs do not match.

    >>> import torch
    >>> query, value = torch.zeros(1, 2, 4), torch.tensor([[[1.0], [3.0], [8.0]]])
    >>> key = torch.zeros(1, 3, 4)
    >>> counts = torch.tensor([[True, True, False]])
    >>> Attention()([query, value, key], mask=[None, counts])
    tensor([[[2.],
             [2.]]])
    """

    supports_masking = True
    _makes_mask = False
    _casts_integers = True
    _takes_several = True

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if score_mode not in _MODES:
            raise unknown_name("score_mode", score_mode, _MODES)
        self.use_scale, self.score_mode = bool(use_scale), score_mode
        self.dropout = check_rate("dropout", dropout)
        self.seed_generator = SeedGenerator(seed)
        self.seed = self.seed_generator.seed

    def build(self, input_shape: Any) -> None:
        """Check the shapes of the inputs and create the weights."""
        self._check_shapes(input_shape)
        self.scale: Tensor | None = None
        self.concat_score_weight: Tensor | None = None
        if self.use_scale:
            self.scale = self._make_scale(int(input_shape[0][-1]))
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight((), "ones", name="concat_score_weight")

    def _make_scale(self, width: int) -> Tensor:
        return self.add_weight((), "ones", name="scale")

    def call(
        self,
        inputs: Sequence[Tensor],
        mask: Sequence[Tensor | None] | None = None,
        training: bool = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Return the weighted means, and the weights on request."""
        self._check_shapes([tuple(one.shape) for one in inputs])
        query, value = inputs[0], inputs[1]
        scores = self._scores(query, inputs[2] if len(inputs) > 2 else value)
        query_mask, value_mask = self._masks(mask)
        counts = None if value_mask is None else value_mask.to(torch.bool).unsqueeze(-2)
        if use_causal_mask:
            seen = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
            counts = seen if counts is None else counts & seen
        if counts is not None:
            scores = scores.masked_fill(~counts, torch.finfo(scores.dtype).min)
        weights = scores.softmax(-1)
        if training and self.dropout:
            weights = weights * self.seed_generator.keep(weights, self.dropout)
        output = weights @ value
        if query_mask is not None:
            output = torch.where(query_mask.to(torch.bool).unsqueeze(-1), output, 0.0)
        return (output, weights) if return_attention_scores else output

    def _scores(self, query: Tensor, key: Tensor) -> Tensor:
        if self.score_mode == "dot":
            scores = query @ key.transpose(-2, -1)
            return scores if self.scale is None else scores * self.scale
        compared = query.unsqueeze(-2) + key.unsqueeze(-3)
        if self.scale is not None:
            compared = compared * self.scale
        assert self.concat_score_weight is not None
        return compared.tanh().sum(-1) * self.concat_score_weight

    def _masks(self, mask: Any) -> tuple[Tensor | None, Tensor | None]:
        if mask is None:
            return None, None
        if not isinstance(mask, list | tuple) or len(mask) not in (2, 3):
            raise ArgumentError(
                f"mask: {self.name} ({type(self).__name__}) expected a list [query_mask, value_mask], got "
                f"{f'{len(mask)} masks' if isinstance(mask, list | tuple) else type(mask).__name__}"
            )
        return mask[0], mask[1]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Tensor | None:
        """Return the mask of the query."""
        return self._masks(mask)[0]

    def _check_shapes(self, shapes: Any) -> None:
        several = isinstance(shapes, list | tuple) and all(isinstance(one, list | tuple) for one in shapes)
        if not several or len(shapes) not in (2, 3):
            got = f"{len(shapes)} of them" if several else f"one tensor of shape {tuple(shapes)}"
            raise ShapeError(
                f"inputs: {self.name} ({type(self).__name__}) expected a list of 2 or 3 tensors, [query, "
                f"value] or [query, value, key], got {got}"
            )
        query, value, key = shapes[0], shapes[1], shapes[-1]
        fit = len(query) == len(value) == len(key) >= 3 and not any(
            None not in pair and pair[0] != pair[1] for pair in ((query[-1], key[-1]), (value[-2], key[-2]))
        )
        if not fit:
            raise ShapeError(
                f"inputs: {self.name} ({type(self).__name__}) expected a query (batch, T, D), a value "
                f"(batch, S, M) and a key (batch, S, D), by default the value, got "
                f"{' and '.join(str(tuple(one)) for one in shapes)}"
            )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {
            **super().get_config(),
            "use_scale": self.use_scale,
            "score_mode": self.score_mode,
            "dropout": self.dropout,
            "seed": self.seed,
        }


class AdditiveAttention(Attention):
    """Additive attention over a list as for `Attention`: a score is the sum of `scale * tanh(query + key)`.

    With `use_scale` (the default), `scale` has D weights (Bahdanau et al. 2015; the matrices of the paper are
    `Dense` layers before this one). Everything else is as for `Attention`.

    >>> import torch
    >>> AdditiveAttention()([torch.zeros(2, 3, 4), torch.zeros(2, 5, 4)]).shape
    torch.Size([2, 3, 4])
    """

    def __init__(
        self, use_scale: bool = True, dropout: float = 0.0, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(use_scale, dropout=dropout, seed=seed, **kwargs)

    def _make_scale(self, width: int) -> Tensor:
        return self.add_weight((width,), "glorot_uniform", name="scale")

    def _scores(self, query: Tensor, key: Tensor) -> Tensor:
        compared = (query.unsqueeze(-2) + key.unsqueeze(-3)).tanh()
        return compared.sum(-1) if self.scale is None else compared @ self.scale

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        config = super().get_config()
        del config["score_mode"]
        return config
