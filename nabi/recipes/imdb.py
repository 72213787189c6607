"""IMDB: a film review in, whether it is positive out (many to one), as the lecture builds it.

A convolution looks at five words at a time, pooling keeps the strongest of every four places, and an LSTM
reads what is left: a quarter of the steps, each of which knows its neighbours.
"""

from functools import partial

from torch.optim.lr_scheduler import ExponentialLR

from nabi.callbacks import EarlyStopping
from nabi.datasets import imdb
from nabi.layers import LSTM, Conv1D, Dense, Dropout, Embedding, MaxPooling1D
from nabi.models import Sequential
from nabi.optimizers import Adam
from nabi.recipes._results._text import show_test, show_training
from nabi.recipes._run._run import Run
from nabi.recipes._run._text import Corpus, Network, Settings, hold_out
from nabi.utils import set_random_seed

__all__ = ["cnn_lstm", "main"]

# Of a long review the end is read: that is where it says what to think of the film. The validation loss says
# when to stop: it rises when the network is too sure of itself, before it makes more mistakes.
SETTINGS = Settings(
    words=20_000,
    maxlen=400,
    truncating="pre",
    batch_size=32,
    learning_rate=1e-3,
    patience=2,
    monitor="val_loss",
)
EMBEDDING, DROPOUT = 128, 0.4
FILTERS, WORDS_AT_A_TIME, POOL = 64, 5, 4
UNITS = 70


def cnn_lstm(words: int, labels: int, masked: bool = True) -> Sequential:
    """Return the lecture's network; `masked` says whether padding counts as no step."""
    return Sequential(
        [
            Embedding(words, EMBEDDING, mask_zero=masked),
            Dropout(DROPOUT),
            Conv1D(FILTERS, WORDS_AT_A_TIME, padding="valid", activation="relu", strides=1),
            MaxPooling1D(pool_size=POOL),
            LSTM(UNITS),
            Dense(1, activation="sigmoid"),
        ]
    )


def main(run: Run, network: Network = cnn_lstm, settings: Settings = SETTINGS) -> None:
    """Learn from 25,000 reviews, then judge 25,000 others."""
    # The data: half of the reviews are the test part. A part of the others is held out to say when to stop.
    reviews, test = imdb.load_texts(run.data)
    training, validation = hold_out(reviews, settings.validation_share, run.seed)
    corpus = Corpus(imdb.get_label_names(), training, validation, test, settings, run.seed)

    # The model: its output is the probability that a review is positive.
    set_random_seed(run.seed)
    model = network(len(corpus.vocabulary), len(corpus.labels))
    model.compile(
        Adam(settings.learning_rate),
        "binary_crossentropy",
        metrics=["accuracy"],
        schedule=partial(ExponentialLR, gamma=settings.decay),
    )

    # The training: until the validation part gets no better; the weights of its best epoch are kept.
    stopping = EarlyStopping(settings.monitor, patience=settings.patience, restore_best_weights=True)
    with run.batches("training", run.epochs) as bar:
        model.fit(
            corpus.training,
            epochs=run.epochs,
            validation_data=corpus.validation,
            verbose=0,
            callbacks=[stopping, bar],
        )
    show_training(run, model, corpus, stopping, bar)

    # What it shows: how many reviews of the test part it judges rightly, and where it is surely wrong.
    show_test(run, model, corpus)
