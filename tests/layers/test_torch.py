"""Layers as torch modules: compilation, functional transforms, parametrization."""

import pytest
import torch

from nabi import layers

X = torch.linspace(-1, 1, 24).reshape(2, 4, 3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Dense(3, "relu"),
        lambda: layers.LSTM(3, return_sequences=True),
        lambda: layers.GRU(3),
        lambda: layers.Bidirectional(layers.SimpleRNN(3)),
        lambda: layers.TimeDistributed(layers.Dense(2)),
        lambda: layers.Conv1D(3, 2, padding="same"),
    ],
)
def test_compiled_whole(make) -> None:
    layer = make()
    expected = layer(X)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(X), expected)
    compiled(X).sum().backward()
    assert all(weight.grad is not None for weight in layer.weights)


def test_masks_and_states_are_compiled() -> None:
    mask = torch.tensor([[True, True, False, True], [True, False, False, False]])
    both = layers.Bidirectional(layers.LSTM(3, return_sequences=True))
    expected = both(X, mask=mask)
    compiled = torch.compile(lambda x, m: both(x, mask=m), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(X, mask), expected)
    stateful = layers.LSTM(3, stateful=True)
    expected = [stateful(X) for _ in range(3)]
    stateful.reset_state()
    compiled = torch.compile(stateful, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close([compiled(X) for _ in range(3)], expected)


def test_gradients_of_gradients_and_per_sample() -> None:
    layer = layers.GRU(3, dtype="float64")
    x = X.double().requires_grad_()
    layer.build(x.shape)
    assert torch.autograd.gradcheck(layer, (x,))
    assert torch.autograd.gradgradcheck(layer, (x[:1, :2],))
    weights = dict(layer.named_parameters())

    def loss(weights, one):
        return torch.func.functional_call(layer, weights, (one[None],)).square().sum()

    each = torch.func.vmap(torch.func.grad(loss), (None, 0))(weights, x.detach())
    layer(x).square().sum().backward()
    torch.testing.assert_close(each["kernel"].sum(0), layer.kernel.grad)


def test_weight_norm() -> None:
    layer = layers.LSTM(3)
    expected = layer(X)
    torch.nn.utils.parametrizations.weight_norm(layer, "recurrent_kernel")
    torch.testing.assert_close(layer(X), expected)
    layer(X).sum().backward()
    assert layer.parametrizations.recurrent_kernel.original0.grad is not None


def test_state_dict() -> None:
    layer, twin = layers.Bidirectional(layers.LSTM(3)), layers.Bidirectional(layers.LSTM(3))
    layer.build(X.shape)
    twin.build(X.shape)
    twin.load_state_dict(layer.state_dict())
    torch.testing.assert_close(twin(X), layer(X))


def test_inside_a_torch_module() -> None:
    model = torch.nn.Sequential(layers.LSTM(3), layers.Dropout(0.5), layers.Dense(1))
    model(X)
    optimizer = torch.optim.Adam(model.parameters())
    model.train()
    before = [weight.clone() for weight in model.parameters()]
    model(X).square().sum().backward()
    optimizer.step()
    assert all(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_autocast() -> None:
    layer = layers.LSTM(3)
    expected = layer(X)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(layer(X).float(), expected, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.LSTM(3, return_sequences=True, dropout=0.1, recurrent_dropout=0.1),
        lambda: layers.GRU(3, stateful=True),
        lambda: layers.RNN([layers.GRUCell(3), layers.SimpleRNNCell(2)], return_state=True),
        lambda: layers.Bidirectional(layers.SimpleRNN(3, return_sequences=True)),
        lambda: layers.LSTM(3, unroll=True),
        lambda: layers.TimeDistributed(layers.Dense(2)),
        lambda: layers.Dropout(0.5),
    ],
)
def test_everything_is_on_the_device_of_the_inputs(make, masked) -> None:
    """The meta device stands for any other: a tensor made on the wrong one would be refused."""
    layer = make()
    mask = torch.ones(2, 4, dtype=torch.bool, device="meta") if masked else None
    for training in (False, True):
        outputs = layer(X.to("meta"), training=training, mask=mask)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        assert {one.device.type for one in outputs} == {"meta"}
    assert {weight.device.type for weight in layer.weights} <= {"meta"}
    layer.reset_states()
