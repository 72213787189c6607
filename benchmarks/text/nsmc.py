"""NSMC: a short Korean film review in, positive or negative out.

A list of 20,000 words is not enough for Korean, whose endings form ever new words. Byte-pair encoding cuts
words into recurring pieces.
"""

from nabi.callbacks import EarlyStopping
from nabi.datasets import nsmc
from nabi.layers import LSTM, Bidirectional, Dense, Dropout, Embedding, GlobalMaxPooling1D, SpatialDropout1D
from nabi.models import Sequential
from nabi.optimizers import Adam
from nabi.recipes import Run
from nabi.recipes._results._text import show_test, show_training
from nabi.recipes._run._text import Corpus, Settings, hold_out
from nabi.utils import set_random_seed

__all__ = ["main"]

SETTINGS = Settings(words=8_000, maxlen=100, batch_size=64, learning_rate=2e-3, patience=2, unit="pieces")
EMBEDDING, UNITS, DROPOUT = 128, 96, 0.5


def bidirectional(words: int) -> Sequential:
    return Sequential(
        [
            Embedding(words, EMBEDDING, mask_zero=True),
            SpatialDropout1D(DROPOUT),
            Bidirectional(LSTM(UNITS, return_sequences=True)),
            GlobalMaxPooling1D(),
            Dropout(DROPOUT),
            Dense(1, activation="sigmoid"),
        ]
    )


def main(run: Run) -> None:
    reviews, test = nsmc.load_texts(run.data)
    training, validation = hold_out(reviews, SETTINGS.validation_share, run.seed)
    corpus = Corpus(nsmc.get_label_names(), training, validation, test, SETTINGS, run.seed)

    set_random_seed(run.seed)
    model = bidirectional(len(corpus.vocabulary))
    model.compile(Adam(SETTINGS.learning_rate), "binary_crossentropy", metrics=["accuracy"])
    stopping = EarlyStopping(SETTINGS.monitor, patience=SETTINGS.patience, restore_best_weights=True)
    with run.batches("training", run.epochs) as bar:
        model.fit(
            corpus.training,
            epochs=run.epochs,
            validation_data=corpus.validation,
            verbose=0,
            callbacks=[stopping, bar],
        )
    show_training(run, model, corpus, stopping, bar)
    show_test(run, model, corpus)
