"""Keras-style layers, each also a `torch.nn.Module`."""

# `name as name`: for the rooms above. The public names are those in `__all__`.
from typing import TYPE_CHECKING

from nabi._lazy import names_missing as _names_missing
from nabi.layers._activation_layers import ELU, LeakyReLU, PReLU, ReLU
from nabi.layers._attention import AdditiveAttention, Attention
from nabi.layers._containers import Held as Held
from nabi.layers._core import Activation, Dense, Dropout, Flatten, Input, InputLayer, SpatialDropout1D
from nabi.layers._functions import Identity, Lambda
from nabi.layers._layer._activations import linear as linear
from nabi.layers._layer._arguments import (
    Shape as Shape,
    dtype_named as dtype_named,
    reset_names,
    unique_name as unique_name,
)
from nabi.layers._layer._base import Layer
from nabi.layers._layer._claims import only_tensors_of as only_tensors_of
from nabi.layers._layer._inputs import casts as casts, to_mask as to_mask, to_tensor as to_tensor
from nabi.layers._layer._registry import deserialize, serialize
from nabi.layers._layer._seeds import SeedGenerator
from nabi.layers._layer._symbolic import (
    Call as Call,
    SymbolicTensor as SymbolicTensor,
    call_symbolically as call_symbolically,
    is_symbolic as is_symbolic,
)
from nabi.layers._layer._weights import (
    Weighted as Weighted,
    collecting_losses as collecting_losses,
    has_penalties as has_penalties,
)
from nabi.layers._merge_functions import (
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from nabi.layers._merging import Add, Average, Concatenate, Dot, Maximum, Minimum, Multiply, Subtract
from nabi.layers._noise import ActivityRegularization, GaussianDropout, GaussianNoise
from nabi.layers._normalization import (
    BatchNormalization,
    LayerNormalization,
    RMSNormalization,
    UnitNormalization,
)
from nabi.layers._recurrent._bidirectional import Bidirectional
from nabi.layers._recurrent._cell_config import (
    cell_config as cell_config,
    cell_from_config as cell_from_config,
)
from nabi.layers._recurrent._convolutional import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D
from nabi.layers._recurrent._convolutional_cell import ConvLSTMCell
from nabi.layers._recurrent._families import GRU, LSTM, GRUCell, LSTMCell, SimpleRNN, SimpleRNNCell
from nabi.layers._recurrent._keras_cells import DropoutRNNCell, StackedRNNCells
from nabi.layers._recurrent._rnn import RNN
from nabi.layers._recurrent._wrappers import TimeDistributed, Wrapper
from nabi.layers._reshaping import Permute, Reshape, Softmax
from nabi.layers._sequence import Embedding, Masking, RepeatVector
from nabi.layers._torch_module import TorchModuleWrapper, as_layer as as_layer
from nabi.layers._windows._convolution import Conv1D
from nabi.layers._windows._convolution_2d import Conv2D
from nabi.layers._windows._pooling import (
    AveragePooling1D,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    MaxPooling1D,
)
from nabi.layers._windows._pooling_2d import (
    AveragePooling2D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    MaxPooling2D,
)
from nabi.layers._windows._windows import Windows as Windows

MaxPool1D = MaxPooling1D
MaxPool2D = MaxPooling2D
CuDNNLSTM = LSTM
CuDNNGRU = GRU
GlobalMaxPool1D = GlobalMaxPooling1D
GlobalMaxPool2D = GlobalMaxPooling2D
AvgPool1D = AveragePooling1D
Convolution1D = Conv1D
Convolution2D = Conv2D
AvgPool2D = AveragePooling2D
GlobalAvgPool1D = GlobalAveragePooling1D
GlobalAvgPool2D = GlobalAveragePooling2D

__all__ = [
    "ELU",
    "GRU",
    "LSTM",
    "RNN",
    "Activation",
    "ActivityRegularization",
    "Add",
    "AdditiveAttention",
    "Attention",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AvgPool1D",
    "AvgPool2D",
    "BatchNormalization",
    "Bidirectional",
    "Concatenate",
    "Conv1D",
    "Conv2D",
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTM3D",
    "ConvLSTMCell",
    "Convolution1D",
    "Convolution2D",
    "CuDNNGRU",
    "CuDNNLSTM",
    "Dense",
    "Dot",
    "Dropout",
    "DropoutRNNCell",
    "Embedding",
    "Flatten",
    "GRUCell",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "Identity",
    "Input",
    "InputLayer",
    "LSTMCell",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Masking",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPooling1D",
    "MaxPooling2D",
    "Maximum",
    "Minimum",
    "Multiply",
    "PReLU",
    "Permute",
    "RMSNormalization",
    "ReLU",
    "RepeatVector",
    "Reshape",
    "SeedGenerator",
    "SimpleRNN",
    "SimpleRNNCell",
    "Softmax",
    "SpatialDropout1D",
    "StackedRNNCells",
    "Subtract",
    "TimeDistributed",
    "TorchModuleWrapper",
    "UnitNormalization",
    "Wrapper",
    "add",
    "average",
    "concatenate",
    "deserialize",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "reset_names",
    "serialize",
    "subtract",
]

if not TYPE_CHECKING:
    __getattr__ = _names_missing(__name__)
