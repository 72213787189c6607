"""IMDB: a film review in, positive or negative out (many to one), with the lecture's network.

A convolution reads five words at a time, pooling keeps the maximum of every four steps, and an LSTM reads the
result: a quarter of the steps, each with information about its neighbours.
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

# Of a long review the end is read, which usually has the verdict. Early stopping monitors the validation
# loss, which rises when the network becomes overconfident, before it makes more mistakes.
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
    """Return the lecture's network; `masked` says whether padding is masked."""
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
    """Learn from 25,000 reviews, then classify 25,000 others."""
    # The data: half of the reviews are the test part. A share of the others is held out for early stopping.
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

    # The training: until the validation metric stops improving; the weights of the best epoch are kept.
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

    # The results: the accuracy on the test part, and the most confident mistakes.
    show_test(run, model, corpus)
