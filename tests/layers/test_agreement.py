"""The recurrent layers against torch's, with the same weights."""

import pytest
import torch
from hypothesis import given, settings, strategies as st

from nabi import layers

KINDS = {
    "SimpleRNN": (layers.SimpleRNN, torch.nn.RNN, [0]),
    "LSTM": (layers.LSTM, torch.nn.LSTM, [0, 1, 2, 3]),  # i f c o is torch's i f g o
    "GRU": (layers.GRU, torch.nn.GRU, [1, 0, 2]),  # z r h against r z n
}


def set_torch_weights(
    module: torch.nn.Module, layer: layers.Layer, order: list[int], suffix: str = ""
) -> None:
    """Copy a layer's weights into torch's module, gate by gate."""
    kernel, recurrent, bias = (torch.as_tensor(array) for array in layer.get_weights())

    def gates(rows: torch.Tensor) -> torch.Tensor:
        parts = rows.chunk(len(order))
        return torch.cat([parts[gate] for gate in order])

    with torch.no_grad():
        getattr(module, f"weight_ih_l0{suffix}").copy_(gates(kernel.T))
        getattr(module, f"weight_hh_l0{suffix}").copy_(gates(recurrent.T))
        two = bias if bias.dim() == 2 else torch.stack([bias, torch.zeros_like(bias)])
        getattr(module, f"bias_ih_l0{suffix}").copy_(gates(two[0]))
        getattr(module, f"bias_hh_l0{suffix}").copy_(gates(two[1]))


def randomize(layer: layers.Layer) -> None:
    with torch.no_grad():
        for weight in layer.weights:
            weight.uniform_(-0.7, 0.7)


@pytest.mark.rotates(days=3)
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None)
@given(
    batch=st.integers(1, 4),
    time=st.integers(1, 6),
    width=st.integers(1, 5),
    units=st.integers(1, 7),
    data=st.data(),
)
def test_outputs_states_and_gradients(
    kind: str, batch: int, time: int, width: int, units: int, data: st.DataObject
) -> None:
    ours, theirs, order = KINDS[kind]
    torch.manual_seed(data.draw(st.integers(0, 100)))
    layer = ours(units, return_sequences=True, return_state=True, dtype="float64")
    layer.build((batch, time, width))
    randomize(layer)
    module = theirs(width, units, batch_first=True, dtype=torch.float64)
    set_torch_weights(module, layer, order)
    x = torch.randn(batch, time, width, dtype=torch.float64, requires_grad=True)
    initial = [torch.randn(batch, units, dtype=torch.float64) for _ in layer.state_size]
    output, *states = layer(x, initial_state=initial)
    stacked = tuple(state.unsqueeze(0) for state in initial)
    expected, final = module(x, stacked if kind == "LSTM" else stacked[0])
    final = final if kind == "LSTM" else (final,)
    torch.testing.assert_close(output, expected, rtol=1e-10, atol=1e-10)
    for state, one in zip(states, final, strict=True):
        torch.testing.assert_close(state, one[0], rtol=1e-10, atol=1e-10)
    weights = torch.randn_like(output)
    (ours_x,) = torch.autograd.grad((output * weights).sum(), x, retain_graph=True)
    (theirs_x,) = torch.autograd.grad((expected * weights).sum(), x, retain_graph=True)
    torch.testing.assert_close(ours_x, theirs_x, rtol=1e-10, atol=1e-10)
    kernel = torch.autograd.grad((output * weights).sum(), layer.kernel)[0]
    weight = torch.autograd.grad((expected * weights).sum(), module.weight_ih_l0)[0]
    parts = kernel.T.chunk(len(order))
    torch.testing.assert_close(torch.cat([parts[gate] for gate in order]), weight, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_bidirectional(kind: str) -> None:
    ours, theirs, order = KINDS[kind]
    torch.manual_seed(0)
    layer = layers.Bidirectional(ours(5, return_sequences=True), dtype="float32")
    layer.build((3, 4, 2))
    randomize(layer)
    module = theirs(2, 5, batch_first=True, bidirectional=True)
    set_torch_weights(module, layer.forward_layer, order)
    set_torch_weights(module, layer.backward_layer, order, "_reverse")
    x = torch.randn(3, 4, 2)
    torch.testing.assert_close(layer(x), module(x)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_right_padded_mask_is_a_packed_sequence(kind: str) -> None:
    ours, theirs, order = KINDS[kind]
    torch.manual_seed(0)
    layer = ours(5, return_sequences=True, return_state=True, zero_output_for_mask=True)
    layer.build((3, 4, 2))
    randomize(layer)
    module = theirs(2, 5, batch_first=True)
    set_torch_weights(module, layer, order)
    x, lengths = torch.randn(3, 4, 2), torch.tensor([4, 1, 3])
    mask = torch.arange(4) < lengths[:, None]
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    expected, final = module(packed)
    output, *states = layer(x, mask=mask)
    torch.testing.assert_close(
        output, torch.nn.utils.rnn.pad_packed_sequence(expected, batch_first=True, total_length=4)[0]
    )
    for state, one in zip(states, final if kind == "LSTM" else (final,), strict=True):
        torch.testing.assert_close(state, one[0])


def test_convolution_and_pooling_are_torchs() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 11, 4)
    for padding, strides, dilation, groups in [("valid", 2, 1, 1), ("valid", 1, 2, 2), ("same", 1, 1, 1)]:
        layer = layers.Conv1D(6, 3, strides, padding, dilation_rate=dilation, groups=groups)
        output = layer(x)
        expected = torch.nn.functional.conv1d(
            x.transpose(1, 2),
            layer.kernel.permute(2, 1, 0),
            layer.bias,
            strides,
            padding if strides == 1 else 0,
            dilation,
            groups,
        )
        torch.testing.assert_close(output, expected.transpose(1, 2))
        assert layer.compute_output_shape((None, 11, 4)) == (None, *output.shape[1:])
    pooled = layers.MaxPooling1D(3, 2)(x)
    torch.testing.assert_close(
        pooled, torch.nn.functional.max_pool1d(x.transpose(1, 2), 3, 2).transpose(1, 2)
    )
