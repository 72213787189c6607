"""The song 나비야: four notes in, the next note out, by a network with memory and by one without.

Four windows of the song have two different continuations, so four notes do not determine the fifth: a network
that sees nothing else (the MLP, a multilayer perceptron) can get at most 46 of the 50 right. The LSTM is
stateful: it reads the song from the beginning, window by window, and carries its state over.

Both train for the lecture's 2000 epochs. The loss of an LSTM trained note by note jumps occasionally,
possibly in the last epoch. Therefore the weights of the epoch with the lowest loss are used, and the figures
of the last epoch are reported as well.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from nabi.callbacks import Callback
from nabi.data import NABIYA, NOTES, decode_notes, encode_notes, windows
from nabi.explain import gates_picture, gradient_distance_picture
from nabi.layers import LSTM, Dense
from nabi.models import Model, Sequential
from nabi.recipes._results._song import Performance, Sung, show, write
from nabi.recipes._run._run import EpochBar, Run
from nabi.utils import set_random_seed, to_categorical

__all__ = ["main"]

Codes = npt.NDArray[Any]

WINDOW = 4
SCALE = len(NOTES) - 1  # the largest code, 13: inputs lie between 0 and 1


def main(run: Run) -> None:
    """Train both networks on the song, let each predict and sing it, and write the results."""
    # The data: codes 0 to 13, 50 windows of four with the code that follows each.
    heard, following = windows(encode_notes(NABIYA), WINDOW)
    x = heard / SCALE  # [50, 4]
    y = to_categorical(following)  # [50, 12]: the codes 12 and 13 never follow

    # The network with memory reads one window at a time, in the order of the song; at the end of the song its
    # states are reset.
    set_random_seed(run.seed)
    lstm = Sequential(
        [
            LSTM(128, batch_input_shape=(1, WINDOW, 1), stateful=True),
            Dense(y.shape[1], activation="softmax"),
        ]
    )
    lstm.compile(loss="categorical_crossentropy", optimizer="adam")
    best = BestWeights()
    with run.training("LSTM", run.epochs, steps=len(x)) as bar:
        callbacks = [best, bar]
        for _ in range(run.epochs):
            lstm.fit(x[:, :, None], y, epochs=1, batch_size=1, shuffle=False, verbose=0, callbacks=callbacks)
            lstm.reset_states()
    performances = [perform("LSTM", lstm, heard[:, :, None], best, bar)]
    lstm.save(run.folder / "model.nabi")

    # The network without memory, on the same windows.
    if not run.interrupted:
        set_random_seed(run.seed)
        mlp = Sequential(
            [
                Dense(128, input_dim=WINDOW, activation="relu"),
                Dense(128, activation="relu"),
                Dense(y.shape[1], activation="softmax"),
            ]
        )
        mlp.compile(loss="categorical_crossentropy", optimizer="adam")
        best = BestWeights()
        with run.training("MLP", run.epochs, steps=len(x) // 10) as bar:
            mlp.fit(x, y, epochs=run.epochs, batch_size=10, verbose=0, callbacks=[best, bar])
        performances.append(perform("MLP", mlp, heard, best, bar))
        mlp.save(run.folder / "mlp.nabi")

    # The results: the original and each prediction as text, MIDI and piano roll; how many notes are right.
    for performance in performances:
        run.figures |= performance.figures()
    write(run.folder, performances)
    show(run.console, performances)

    # Inside the LSTM: its gates over the song, drawn at the newest note of each window; and why its memory
    # reaches so far back when that of a plain recurrent network does not.
    gates_picture(
        lstm.layers[0],
        x.reshape(1, -1, 1),
        run.folder / "gates.png",
        gates=["f", "i", "o", "c"],
        steps=slice(WINDOW - 1, None, WINDOW),
        labels=NABIYA[WINDOW - 1 : -1],
        title="The gates of the LSTM over the song",
    )
    gradient_distance_picture(run.folder / "gradients.png")


def perform(network: str, model: Model, heard: Codes, best: "BestWeights", bar: EpochBar) -> Performance:
    """Let a network sing with the weights of its last and of its best epoch; keep the best."""
    last = sing(model, heard)
    if best.weights is not None:
        model.set_weights(best.weights)
    return Performance(network, best.epoch, best.loss, sing(model, heard), last, bar.microseconds_per_step)


def sing(model: Model, heard: Codes) -> Sung:
    """Predict each note from the true four before it, then from the network's own predictions."""
    first = heard[0].ravel().tolist()

    model.reset_states()
    one_step = model.predict(heard / SCALE, batch_size=1, verbose=0).argmax(-1)

    model.reset_states()
    full_song = list(first)
    for _ in heard:
        window = np.reshape(full_song[-WINDOW:], heard[:1].shape)
        full_song.append(int(model.predict(window / SCALE, verbose=0).argmax()))

    model.reset_states()
    return Sung(decode_notes([*first, *one_step]), decode_notes(full_song))


class BestWeights(Callback):
    """Keeps the weights of the epoch with the lowest training loss."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs, self.epoch = 0, 0
        self.loss: float | None = None
        self.weights: list[npt.NDArray[Any]] | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Check the epoch's loss; epochs are counted here, since `epoch` restarts with each call of `fit`."""
        self.epochs += 1
        loss = float((logs or {})["loss"])
        if self.loss is None or loss < self.loss:
            self.epoch, self.loss, self.weights = self.epochs, loss, self.model.get_weights()
