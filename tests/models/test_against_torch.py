"""fit against the same training written by hand with torch alone."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from nabi.layers import LSTM, Dense
from nabi.models import Sequential
from nabi.utils import set_random_seed, to_categorical

UNITS, CLASSES, SAMPLES, STEPS, EPOCHS = 6, 4, 8, 3, 3


def song() -> tuple[np.ndarray, np.ndarray]:
    """A little song: windows of numbers and the number that follows, one-hot."""
    notes = np.random.default_rng(0).integers(0, CLASSES, SAMPLES + STEPS)
    windows = np.stack([notes[i : i + STEPS] for i in range(SAMPLES)])
    return windows[..., None] / CLASSES, to_categorical(notes[STEPS:], CLASSES)


def by_hand(
    kernels: list[np.ndarray], x: np.ndarray, y: np.ndarray, stateful: bool, batch: int
) -> tuple[list[float], torch.nn.Linear]:
    # Keras' gates are i f c o, torch's are i f g o: the same order.
    lstm, dense = torch.nn.LSTM(1, UNITS, batch_first=True), torch.nn.Linear(UNITS, CLASSES)
    kernel, recurrent, bias, readout, offset = (torch.tensor(weight) for weight in kernels)
    with torch.no_grad():
        lstm.weight_ih_l0.copy_(kernel.T)
        lstm.weight_hh_l0.copy_(recurrent.T)
        lstm.bias_ih_l0.copy_(bias)
        lstm.bias_hh_l0.zero_()
        dense.weight.copy_(readout.T)
        dense.bias.copy_(offset)
    lstm.bias_hh_l0.requires_grad_(False)
    weights = [p for p in (*lstm.parameters(), *dense.parameters()) if p.requires_grad]
    adam = torch.optim.Adam(weights, lr=0.01)
    steps = 0
    inputs, labels = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    losses = []
    for _ in range(EPOCHS):
        total, state = 0.0, None
        for start in range(0, SAMPLES, batch):
            part = slice(start, start + batch)
            adam.zero_grad()
            outputs, new = lstm(inputs[part], state)
            state = tuple(one.detach() for one in new) if stateful else None
            loss = F.cross_entropy(dense(outputs[:, -1]), labels[part])
            loss.backward()
            steps += 1
            # Keras adds epsilon to the root before its correction, torch after it.
            adam.param_groups[0]["eps"] = 1e-7 / (1 - 0.999**steps) ** 0.5
            adam.step()
            total += loss.item() * len(labels[part])
        losses.append(total / SAMPLES)
    return losses, dense


@pytest.mark.parametrize("stateful", [True, False])
@pytest.mark.parametrize("batch", [1, 4])
def test_the_songs_training_is_the_one_written_by_hand(stateful: bool, batch: int) -> None:
    from nabi.optimizers import Adam

    set_random_seed(1)
    model = Sequential()
    model.add(LSTM(UNITS, batch_input_shape=(batch, STEPS, 1), stateful=stateful))
    model.add(Dense(CLASSES, activation="softmax"))
    model.compile(loss="categorical_crossentropy", optimizer=Adam(0.01), metrics=["accuracy"])
    x, y = song()
    expected, dense = by_hand(model.get_weights(), x, y, stateful, batch)
    losses = []
    for _ in range(EPOCHS):
        history = model.fit(x, y, epochs=1, batch_size=batch, verbose=0, shuffle=False)
        losses += history.history["loss"]
        model.reset_states()
    np.testing.assert_allclose(losses, expected, rtol=2e-5)
    np.testing.assert_allclose(model.get_weights()[-2], dense.weight.detach().numpy().T, rtol=1e-3, atol=1e-5)
