"""Keras-style layers, each also a `torch.nn.Module`."""

# `name as name`: for the rooms above. The public names are those in `__all__`.
from typing import TYPE_CHECKING

from nabi._lazy import loaded_when_asked

if TYPE_CHECKING:
    from nabi.layers._activation_layers import (
        ELU,
        LeakyReLU,
        PReLU,
        ReLU,
    )
    from nabi.layers._attention import (
        AdditiveAttention,
        Attention,
    )
    from nabi.layers._containers import (
        Held as Held,
    )
    from nabi.layers._core import (
        Activation,
        Dense,
        Dropout,
        Flatten,
        Input,
        InputLayer,
        SpatialDropout1D,
    )
    from nabi.layers._functions import (
        Identity,
        Lambda,
    )
    from nabi.layers._layer._activations import (
        linear as linear,
    )
    from nabi.layers._layer._arguments import (
        Shape as Shape,
        dtype_named as dtype_named,
        keyword_arguments as keyword_arguments,
        reset_names,
        unique_name as unique_name,
    )
    from nabi.layers._layer._base import (
        Layer,
    )
    from nabi.layers._layer._claims import (
        only_tensors_of as only_tensors_of,
    )
    from nabi.layers._layer._inputs import (
        casts as casts,
        to_mask as to_mask,
        to_tensor as to_tensor,
    )
    from nabi.layers._layer._registry import (
        deserialize,
        serialize,
    )
    from nabi.layers._layer._seeds import (
        SeedGenerator,
    )
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
    from nabi.layers._merging import (
        Add,
        Average,
        Concatenate,
        Dot,
        Maximum,
        Minimum,
        Multiply,
        Subtract,
    )
    from nabi.layers._noise import (
        ActivityRegularization,
        GaussianDropout,
        GaussianNoise,
    )
    from nabi.layers._normalization import (
        BatchNormalization,
        LayerNormalization,
        RMSNormalization,
        UnitNormalization,
    )
    from nabi.layers._prepared_calls import (
        PreparedCalls as PreparedCalls,
    )
    from nabi.layers._recurrent._bidirectional import (
        Bidirectional,
    )
    from nabi.layers._recurrent._cell_config import (
        cell_config as cell_config,
        cell_from_config as cell_from_config,
    )
    from nabi.layers._recurrent._convolutional import (
        ConvLSTM1D,
        ConvLSTM2D,
        ConvLSTM3D,
    )
    from nabi.layers._recurrent._convolutional_cell import (
        ConvLSTMCell,
    )
    from nabi.layers._recurrent._families import (
        GRU,
        LSTM,
        CuDNNGRU,
        CuDNNLSTM,
        GRUCell,
        LSTMCell,
        SimpleRNN,
        SimpleRNNCell,
    )
    from nabi.layers._recurrent._keras_cells import (
        DropoutRNNCell,
        StackedRNNCells,
    )
    from nabi.layers._recurrent._rnn import (
        RNN,
    )
    from nabi.layers._recurrent._stack_of_equations import (
        stack_of_equations as stack_of_equations,
    )
    from nabi.layers._recurrent._wrappers import (
        TimeDistributed,
        Wrapper,
    )
    from nabi.layers._reshaping import (
        Permute,
        Reshape,
        Softmax,
    )
    from nabi.layers._sequence import (
        Embedding,
        Masking,
        RepeatVector,
    )
    from nabi.layers._small_weights import (
        check_can_train as check_can_train,
        kind_of_weights as kind_of_weights,
        quantize_as as quantize_as,
        quantize_layers as quantize_layers,
        small_weights_header as small_weights_header,
    )
    from nabi.layers._tensors import Arithmetic, Elementwise, Reduce, SequenceMask, Slice, StartState
    from nabi.layers._torch_module import (
        TorchModuleWrapper,
        as_layer as as_layer,
    )
    from nabi.layers._windows._convolution import (
        Conv1D,
        Convolution1D,
    )
    from nabi.layers._windows._convolution_2d import (
        Conv2D,
        Convolution2D,
    )
    from nabi.layers._windows._pooling import (
        AveragePooling1D,
        AvgPool1D,
        GlobalAveragePooling1D,
        GlobalAvgPool1D,
        GlobalMaxPool1D,
        GlobalMaxPooling1D,
        MaxPool1D,
        MaxPooling1D,
    )
    from nabi.layers._windows._pooling_2d import (
        AveragePooling2D,
        AvgPool2D,
        GlobalAveragePooling2D,
        GlobalAvgPool2D,
        GlobalMaxPool2D,
        GlobalMaxPooling2D,
        MaxPool2D,
        MaxPooling2D,
    )
    from nabi.layers._windows._windows import (
        Windows as Windows,
    )
else:
    # A program loads the modules that it uses.
    __getattr__, __dir__ = loaded_when_asked(
        __name__,
        {
            "nabi.layers._activation_layers": ["ELU", "LeakyReLU", "PReLU", "ReLU"],
            "nabi.layers._attention": ["AdditiveAttention", "Attention"],
            "nabi.layers._containers": ["Held"],
            "nabi.layers._core": [
                "Activation",
                "Dense",
                "Dropout",
                "Flatten",
                "Input",
                "InputLayer",
                "SpatialDropout1D",
            ],
            "nabi.layers._functions": ["Identity", "Lambda"],
            "nabi.layers._layer._activations": ["linear"],
            "nabi.layers._layer._arguments": [
                "Shape",
                "dtype_named",
                "keyword_arguments",
                "reset_names",
                "unique_name",
            ],
            "nabi.layers._layer._base": ["Layer"],
            "nabi.layers._layer._claims": ["only_tensors_of"],
            "nabi.layers._layer._inputs": ["casts", "to_mask", "to_tensor"],
            "nabi.layers._layer._registry": ["deserialize", "serialize"],
            "nabi.layers._layer._seeds": ["SeedGenerator"],
            "nabi.layers._layer._symbolic": ["Call", "SymbolicTensor", "call_symbolically", "is_symbolic"],
            "nabi.layers._layer._weights": ["Weighted", "collecting_losses", "has_penalties"],
            "nabi.layers._merge_functions": [
                "add",
                "average",
                "concatenate",
                "dot",
                "maximum",
                "minimum",
                "multiply",
                "subtract",
            ],
            "nabi.layers._merging": [
                "Add",
                "Average",
                "Concatenate",
                "Dot",
                "Maximum",
                "Minimum",
                "Multiply",
                "Subtract",
            ],
            "nabi.layers._noise": ["ActivityRegularization", "GaussianDropout", "GaussianNoise"],
            "nabi.layers._normalization": [
                "BatchNormalization",
                "LayerNormalization",
                "RMSNormalization",
                "UnitNormalization",
            ],
            "nabi.layers._prepared_calls": ["PreparedCalls"],
            "nabi.layers._recurrent._bidirectional": ["Bidirectional"],
            "nabi.layers._recurrent._cell_config": ["cell_config", "cell_from_config"],
            "nabi.layers._recurrent._convolutional": ["ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"],
            "nabi.layers._recurrent._convolutional_cell": ["ConvLSTMCell"],
            "nabi.layers._recurrent._families": [
                "GRU",
                "LSTM",
                "GRUCell",
                "LSTMCell",
                "SimpleRNN",
                "SimpleRNNCell",
                "CuDNNGRU",
                "CuDNNLSTM",
            ],
            "nabi.layers._recurrent._keras_cells": ["DropoutRNNCell", "StackedRNNCells"],
            "nabi.layers._recurrent._rnn": ["RNN"],
            "nabi.layers._recurrent._stack_of_equations": ["stack_of_equations"],
            "nabi.layers._recurrent._wrappers": ["TimeDistributed", "Wrapper"],
            "nabi.layers._reshaping": ["Permute", "Reshape", "Softmax"],
            "nabi.layers._sequence": ["Embedding", "Masking", "RepeatVector"],
            "nabi.layers._small_weights": [
                "check_can_train",
                "kind_of_weights",
                "quantize_as",
                "quantize_layers",
                "small_weights_header",
            ],
            "nabi.layers._tensors": [
                "Arithmetic",
                "Elementwise",
                "Reduce",
                "SequenceMask",
                "Slice",
                "StartState",
            ],
            "nabi.layers._torch_module": ["TorchModuleWrapper", "as_layer"],
            "nabi.layers._windows._convolution": ["Conv1D", "Convolution1D"],
            "nabi.layers._windows._convolution_2d": ["Conv2D", "Convolution2D"],
            "nabi.layers._windows._pooling": [
                "AveragePooling1D",
                "GlobalAveragePooling1D",
                "GlobalMaxPooling1D",
                "MaxPooling1D",
                "AvgPool1D",
                "GlobalAvgPool1D",
                "GlobalMaxPool1D",
                "MaxPool1D",
            ],
            "nabi.layers._windows._pooling_2d": [
                "AveragePooling2D",
                "GlobalAveragePooling2D",
                "GlobalMaxPooling2D",
                "MaxPooling2D",
                "AvgPool2D",
                "GlobalAvgPool2D",
                "GlobalMaxPool2D",
                "MaxPool2D",
            ],
            "nabi.layers._windows._windows": ["Windows"],
        },
    )

__all__ = [
    "ELU",
    "GRU",
    "LSTM",
    "RNN",
    "Activation",
    "ActivityRegularization",
    "Add",
    "AdditiveAttention",
    "Arithmetic",
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
    "Elementwise",
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
    "Reduce",
    "RepeatVector",
    "Reshape",
    "SeedGenerator",
    "SequenceMask",
    "SimpleRNN",
    "SimpleRNNCell",
    "Slice",
    "Softmax",
    "SpatialDropout1D",
    "StackedRNNCells",
    "StartState",
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
