"""Fake news: a post about COVID-19 in, real or fake out (many to one).

The data come in three files, for training, validation and test (Constraint 2021). The authors' baseline, a
linear model on word counts, is hard to beat: 0.933.
"""

from nabi.callbacks import EarlyStopping
from nabi.datasets import fake_news
from nabi.layers import LSTM, Dense, Dropout, Embedding
from nabi.models import Sequential
from nabi.optimizers import Adam
from nabi.recipes._results._text import show_test, show_training
from nabi.recipes._run._run import Run
from nabi.recipes._run._text import Corpus, Network, Settings
from nabi.utils import set_random_seed

__all__ = ["lstm", "main"]

SETTINGS = Settings(words=20_000, maxlen=120, batch_size=32, learning_rate=1e-3, patience=3)
EMBEDDING, UNITS, DROPOUT = 100, 64, 0.4


def lstm(words: int, labels: int) -> Sequential:
    """Return the network: Embedding, LSTM, Dense, with dropout against overfitting."""
    return Sequential(
        [
            Embedding(words, EMBEDDING, mask_zero=True),
            Dropout(DROPOUT),
            LSTM(UNITS),
            Dropout(DROPOUT),
            Dense(labels, activation="softmax"),
        ]
    )


def main(run: Run, network: Network = lstm, settings: Settings = SETTINGS) -> None:
    """Learn from 6,420 posts, then classify 2,140 others."""
    # The data, which have a validation part.
    training, validation, test = fake_news.load_texts(run.data)
    corpus = Corpus(fake_news.get_label_names(), training, validation, test, settings, run.seed)

    # The model: words become vectors, the LSTM reads them, its last output becomes two probabilities.
    set_random_seed(run.seed)
    model = network(len(corpus.vocabulary), len(corpus.labels))
    model.compile(Adam(settings.learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"])

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
