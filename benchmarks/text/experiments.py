"""The experiments: data, network, number of seeds. The cheap ones come first.

Networks and settings of recipes are defined in the recipes; those used only by this benchmark are here.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from benchmarks.text.nsmc import main as nsmc_main
from nabi import recipes
from nabi.layers import (
    GRU,
    LSTM,
    Bidirectional,
    Dense,
    Dropout,
    Embedding,
    GlobalMaxPooling1D,
    SpatialDropout1D,
)
from nabi.models import Sequential
from nabi.recipes import Run, fake_news, imdb, reuters
from nabi.recipes._run._text import Settings

__all__ = ["EXPERIMENTS", "Experiment"]

# IMDB: the best recurrent network that trains within 15 minutes on two cores.
IMDB_BEST = Settings(
    words=20_000,
    maxlen=400,
    truncating="pre",
    batch_size=64,
    learning_rate=2e-3,
    patience=2,
    decay=0.6,
    monitor="val_loss",
)
IMDB_BEST_EPOCHS = 5
IMDB_BEST_EMBEDDING, IMDB_BEST_UNITS, IMDB_BEST_DROPOUT, IMDB_BEST_WORD_DROPOUT = 128, 96, 0.5, 0.15


def reuters_bidirectional(words: int, topics: int) -> Sequential:
    """Return the recipe's network with a bidirectional LSTM."""
    return Sequential(
        [
            Embedding(words, reuters.EMBEDDING, mask_zero=True),
            Dropout(reuters.DROPOUT),
            Bidirectional(LSTM(reuters.UNITS)),
            Dropout(reuters.DROPOUT),
            Dense(topics, activation="softmax"),
        ]
    )


def imdb_best(words: int, labels: int) -> Sequential:
    """Return a bidirectional GRU with max pooling over time."""
    return Sequential(
        [
            Embedding(words, IMDB_BEST_EMBEDDING, mask_zero=True),
            Dropout(IMDB_BEST_WORD_DROPOUT, noise_shape=(None, None, 1)),  # of whole words
            SpatialDropout1D(IMDB_BEST_DROPOUT),  # of features, in all words
            Bidirectional(GRU(IMDB_BEST_UNITS, return_sequences=True)),
            GlobalMaxPooling1D(),
            Dropout(IMDB_BEST_DROPOUT),
            Dense(1, activation="sigmoid"),
        ]
    )


def padded(settings: Settings, padding: str = "post") -> Settings:
    """Return the same settings with batches of mixed lengths, all padded to the longest text overall."""
    return replace(settings, grouped=False, padding=padding)


@dataclass(frozen=True)
class Experiment:
    """A network on a data set, trained with several seeds."""

    name: str
    data: str
    network: str
    main: Callable[[Run], None]
    epochs: int
    seeds: int
    figure: str = "test.accuracy"
    """The target."""
    aim: float | None = None
    published: str = ""
    batches: str = ""
    """The padding of its batches, for the comparison of paddings."""


GROUPED, PADDED, UNMASKED = (
    "grouped by length, masked",
    "padded to the longest, masked",
    "padded to the longest, not masked",
)
REUTERS_EPOCHS, IMDB_EPOCHS = recipes.get("reuters").epochs, recipes.get("imdb").epochs

EXPERIMENTS = [
    Experiment(
        "fake-news",
        "COVID fake news",
        "LSTM",
        fake_news.main,
        recipes.get("fake-news").epochs,
        3,
        "test.weighted_f1",
        0.93,
        "0.933, a linear model",
    ),
    Experiment(
        "reuters",
        "Reuters, 46 topics",
        "LSTM",
        reuters.main,
        REUTERS_EPOCHS,
        3,
        aim=0.75,
        published="0.71 to 0.72, an LSTM",
        batches=GROUPED,
    ),
    Experiment(
        "reuters-bidirectional",
        "Reuters, 46 topics",
        "bidirectional LSTM",
        partial(reuters.main, network=reuters_bidirectional),
        REUTERS_EPOCHS,
        3,
        aim=0.75,
        published="0.71 to 0.72, an LSTM",
    ),
    Experiment("nsmc", "NSMC sample", "bidirectional LSTM", nsmc_main, 8, 3, aim=0.80),
    Experiment(
        "imdb",
        "IMDB",
        "CNN-LSTM",
        imdb.main,
        IMDB_EPOCHS,
        3,
        aim=0.86,
        published="0.8498, the same network",
        batches=GROUPED,
    ),
    Experiment(
        "imdb-padded",
        "IMDB",
        "CNN-LSTM",
        partial(imdb.main, settings=padded(imdb.SETTINGS)),
        IMDB_EPOCHS,
        3,
        batches=PADDED,
    ),
    Experiment(
        "imdb-unmasked",
        "IMDB",
        "CNN-LSTM",
        partial(
            imdb.main, network=partial(imdb.cnn_lstm, masked=False), settings=padded(imdb.SETTINGS, "pre")
        ),
        IMDB_EPOCHS,
        3,
        batches=UNMASKED,
    ),
    Experiment(
        "reuters-padded",
        "Reuters, 46 topics",
        "LSTM",
        partial(reuters.main, settings=padded(reuters.SETTINGS)),
        REUTERS_EPOCHS,
        3,
        batches=PADDED,
    ),
    Experiment(
        "reuters-unmasked",
        "Reuters, 46 topics",
        "LSTM",
        partial(
            reuters.main,
            network=partial(reuters.lstm, masked=False),
            settings=padded(reuters.SETTINGS, "pre"),
        ),
        REUTERS_EPOCHS,
        1,
        batches=UNMASKED,
    ),
    Experiment(
        "imdb-best",
        "IMDB",
        "bidirectional GRU, maximum over time",
        partial(imdb.main, network=imdb_best, settings=IMDB_BEST),
        IMDB_BEST_EPOCHS,
        1,
        aim=0.88,
    ),
]
