"""The operators that a program of torch.export may use: a list, and nothing that a file names beyond it."""

import operator
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch

__all__ = ["CELLS", "LAYERS", "MODES", "ZEROS", "is_known", "operator_of"]

# Recurrent operators, which become modules; what nabi calls their kind.
LAYERS = {
    "torch.ops.aten.lstm.input": "LSTM",
    "torch.ops.aten.gru.input": "GRU",
    "torch.ops.aten.rnn_tanh.input": "RNN_TANH",
    "torch.ops.aten.rnn_relu.input": "RNN_RELU",
}
CELLS = {
    "torch.ops.aten.lstm_cell.default": "LSTM",
    "torch.ops.aten.gru_cell.default": "GRU",
    "torch.ops.aten.rnn_tanh_cell.default": "RNN_TANH",
    "torch.ops.aten.rnn_relu_cell.default": "RNN_RELU",
}
ZEROS = "torch.ops.aten.zeros.default"
# Whether a program is in training: the position of the argument. In a module, the module's mode says so.
MODES = {
    "torch.ops.aten.dropout.default": 2,
    "torch.ops.aten.dropout_.default": 2,
    "torch.ops.aten.feature_dropout.default": 2,
    "torch.ops.aten.batch_norm.default": 5,
    **dict.fromkeys(LAYERS, 6),
}

_NAMES = """
_assert_tensor_metadata.default abs.default adaptive_avg_pool1d.default adaptive_avg_pool2d.default
add.Scalar add.Tensor add_.Tensor addmm.default all.default all.dim amax.default amin.default
any.default any.dim arange.default arange.start arange.start_step argmax.default argmin.default
avg_pool1d.default avg_pool2d.default baddbmm.default batch_norm.default bitwise_and.Tensor
bitwise_not.default bitwise_or.Tensor bmm.default cat.default chunk.default clamp.default
clamp_max.default clamp_min.default clone.default concat.default contiguous.default conv1d.default
conv1d.padding conv2d.default conv2d.padding copy_.default cos.default cumsum.default detach.default
detach_.default div.Scalar div.Tensor div.Tensor_mode div_.Tensor dropout.default dropout_.default
elu.default embedding.default embedding_bag.default embedding_bag.padding_idx eq.Scalar eq.Tensor
erf.default exp.default expand.default expand_as.default expm1.default feature_dropout.default
fill_.Scalar flatten.using_ints flip.default floor.default floor_divide.default full.default
full_like.default gather.default ge.Scalar ge.Tensor gelu.default glu.default group_norm.default
gt.Scalar gt.Tensor hardsigmoid.default hardswish.default hardtanh.default index.Tensor
index_select.default layer_norm.default le.Scalar le.Tensor leaky_relu.default
lift_fresh_copy.default linear.default log.default log1p.default log_sigmoid.default log_softmax.int
logical_and.default logical_not.default logical_or.default logsumexp.default lt.Scalar lt.Tensor
masked_fill.Scalar masked_fill.Tensor masked_fill_.Scalar matmul.default max.default max.dim
max_pool1d.default max_pool2d.default maximum.default mean.default mean.dim min.default min.dim
minimum.default mish.default mm.default mul.Scalar mul.Tensor mul_.Tensor narrow.default ne.Scalar
ne.Tensor neg.default new_full.default new_ones.default new_zeros.default norm.ScalarOpt_dim
one_hot.default ones.default ones_like.default pad.default permute.default pow.Tensor_Scalar
pow.Tensor_Tensor prelu.default reciprocal.default relu.default relu6.default relu_.default
repeat.default reshape.default round.default rsqrt.default rsub.Scalar scatter.src select.int
selu.default sigmoid.default sigmoid_.default sign.default silu.default sin.default slice.Tensor
softmax.int softplus.default split.Tensor split_with_sizes.default sqrt.default
square.default squeeze.default squeeze.dim squeeze.dims stack.default std.correction sub.Scalar
sub.Tensor sub_.Tensor sum.default sum.dim_IntList sym_size.int t.default tanh.default tanh_.default
to.device to.dtype to.dtype_layout to.other topk.default transpose.int tril.default triu.default
type_as.default unbind.int unflatten.int unsqueeze.default var.correction view.default
view_as.default where.ScalarOther where.self zeros.default zeros_like.default
"""
_KNOWN = frozenset(f"torch.ops.aten.{name}" for name in _NAMES.split())
# On sizes, which are whole numbers.
_ON_SIZES: dict[str, Callable[..., Any]] = {
    "_operator.add": operator.add,
    "_operator.sub": operator.sub,
    "_operator.mul": operator.mul,
    "_operator.floordiv": operator.floordiv,
    "_operator.mod": operator.mod,
    "_operator.neg": operator.neg,
}


def is_known(target: str) -> bool:
    """Whether an operator may be in a program that is read."""
    return target in _KNOWN or target in _ON_SIZES or target in LAYERS or target in CELLS


@lru_cache
def operator_of(target: str) -> Callable[..., Any]:
    """Return what computes an operator of the list."""
    if target in _ON_SIZES:
        return _ON_SIZES[target]
    assert is_known(target)
    name, overload = target.removeprefix("torch.ops.aten.").split(".")
    found: Callable[..., Any] = getattr(getattr(torch.ops.aten, name), overload)
    return found
