"""The word 'hello': a letter in, the next letter out, at every step (many to many).

One sample is enough: h-e-l-l goes in and e-l-l-o should come out. The letter l is followed once by l and once
by o, so only a network with memory can get both right.
"""

import numpy as np
from rich.table import Table

from nabi.data import Characters
from nabi.layers import Dense, SimpleRNN
from nabi.models import Sequential
from nabi.optimizers import Adam
from nabi.recipes._results._pictures import letters_picture
from nabi.recipes._run._run import Run
from nabi.utils import set_random_seed

__all__ = ["main"]

WORD = "hello"


def main(run: Run) -> None:
    """Train on the one word, then spell it from its first letter."""
    # The data: one-hot letters, [1 sample, 4 steps, 4 letters].
    letters = Characters.of(WORD)
    x = letters.one_hot(WORD[:-1])[None]
    y = letters.one_hot(WORD[1:])[None]

    # The model: every hidden state, not only the last, yields a probability for each letter.
    set_random_seed(run.seed)
    model = Sequential(
        [
            SimpleRNN(10, return_sequences=True, input_shape=[None, len(letters)]),
            Dense(len(letters), activation="softmax"),
        ]
    )
    model.compile(optimizer=Adam(learning_rate=0.01), loss="categorical_crossentropy")
    run.figures["parameters"] = model.count_params()

    # The training.
    with run.training("SimpleRNN", run.epochs, steps=1) as bar:
        model.fit(x, y, epochs=run.epochs, verbose=0, callbacks=[bar])

    # The results: each letter's successor, and the whole word from an h, feeding back its own letters.
    probabilities = model.predict(x, verbose=0)[0]
    successors = letters.decode(probabilities.argmax(-1))
    spelled = WORD[0]
    while len(spelled) < len(WORD):
        so_far = letters.one_hot(spelled)[None]
        spelled += letters.decode([model.predict(so_far, verbose=0)[0, -1].argmax()])

    table = Table("letters in", "right", "out", "spelled from h")
    table.add_row(WORD[:-1], WORD[1:], successors, f"[bold]{spelled}[/bold]")
    run.console.print(table)

    run.figures["spelled"] = spelled
    run.figures["letters_right"] = int(np.sum(probabilities.argmax(-1) == y[0].argmax(-1)))
    model.save(run.folder / "model.nabi")
    picture = letters_picture(WORD[:-1], WORD[1:], letters.alphabet, probabilities)
    run.folder.write_picture("hello.png", picture)
