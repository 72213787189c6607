"""Cells whose output is no state and that read earlier inputs, in layers and in training."""

import pytest
import torch

from nabi import layers, models
from nabi.nn import RNN

from ..ir.test_outputs import Readout

MASK = torch.tensor(
    [[True] * 7, [True] * 3 + [False] * 4, [False] * 7, [False, True, True, False] + [True] * 3]
)


def module_of(layer: layers.RNN) -> RNN:
    rnn = RNN(Readout(5), input_size=3)
    names = {"W_x_l0": "kernel", "b_l0": "bias"}
    weights = {name: getattr(layer, names.get(name, name.removesuffix("_l0"))) for name in rnn.state_dict()}
    rnn.load_state_dict({name: w.detach().T if w.dim() == 2 else w.detach() for name, w in weights.items()})
    return rnn


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("unroll", [False, True], ids=["scan", "unrolled"])
def test_the_last_output_is_that_of_the_last_step(unroll: bool, backwards: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 7, 3)
    layer = layers.RNN(Readout(5), return_state=True, unroll=unroll, go_backwards=backwards)
    output, h, x1, x2 = layer(x)
    assert (layer.state_size, layer.output_size) == ([5, 3, 3], 2)
    inputs = x.flip(1) if backwards else x
    wanted, state = module_of(layer)(inputs)
    torch.testing.assert_close(output, wanted[:, -1])
    torch.testing.assert_close(h, state.h[0])
    assert torch.equal(x1, inputs[:, -1])
    assert torch.equal(x2, inputs[:, -2])
    masked, *_ = layer(x, mask=MASK)
    for row in range(4):
        steps = x[row : row + 1, MASK[row]]
        right = module_of(layer)(steps.flip(1) if backwards else steps)[0][0, -1:]
        torch.testing.assert_close(masked[row : row + 1], right if len(right) else torch.zeros(1, 2))


@pytest.mark.parametrize("sequences", [False, True], ids=["last", "every"])
@pytest.mark.parametrize("stateful", [False, True], ids=["fresh", "stateful"])
def test_training_is_that_of_torch(sequences: bool, stateful: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = torch.randn(3, 7, 3).numpy(), torch.randn(3, *([7] if sequences else []), 1).numpy()
    losses = []
    for native in ("1", "0"):
        monkeypatch.setenv("NABI_NATIVE", native)
        torch.manual_seed(0)
        model = models.Sequential(
            [
                layers.Input((7, 3), batch_size=3),
                layers.RNN(Readout(5), return_sequences=sequences, stateful=stateful),
                layers.Dense(1),
            ]
        )
        generator = torch.Generator().manual_seed(1)
        model.set_weights([torch.randn(w.shape, generator=generator).numpy() for w in model.get_weights()])
        model.compile("adam", "mse")
        losses.append(model.fit(x, y, epochs=5, batch_size=3, shuffle=False, verbose=0).history["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert len(set(losses[0])) == 5


def test_a_layer_from_its_config_and_a_cell_by_itself() -> None:
    layer = layers.RNN(Readout(5), return_sequences=True)
    x = torch.randn(2, 4, 3)
    wanted = layer(x)
    again = layers.RNN.from_config(layer.get_config(), {"Readout": Readout})
    again(x)
    again.set_weights(layer.get_weights())
    torch.testing.assert_close(again(x), wanted)
    both = layers.Bidirectional(layers.RNN(Readout(5), return_sequences=True))
    assert both(x).shape == (2, 4, 4)
