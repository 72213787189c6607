"""Reuters: a newswire story in, one of 46 topics out (many to one).

Each word is coded and embedded, an LSTM reads the vectors, and its last output yields a probability for each
topic. Two topics have more than half of the stories, the rarest has 15, so the accuracy says little about
rare topics; the macro F1, the mean over all topics, does.
"""

from nabi.callbacks import EarlyStopping
from nabi.datasets import reuters
from nabi.layers import LSTM, Dense, Dropout, Embedding
from nabi.models import Sequential
from nabi.optimizers import Adam
from nabi.recipes._results._text import show_test, show_training
from nabi.recipes._run._run import Run
from nabi.recipes._run._text import Corpus, Network, Settings, hold_out
from nabi.utils import set_random_seed

__all__ = ["lstm", "main"]

SETTINGS = Settings(words=20_000, maxlen=150, batch_size=32, learning_rate=2e-3, patience=4)
EMBEDDING, UNITS, DROPOUT = 128, 128, 0.4


def lstm(words: int, topics: int, masked: bool = True) -> Sequential:
    """Return the lecture's network, with dropout against overfitting.

    `masked` says whether padding is masked.
    """
    return Sequential(
        [
            Embedding(words, EMBEDDING, mask_zero=masked),
            Dropout(DROPOUT),
            LSTM(UNITS),
            Dropout(DROPOUT),
            Dense(topics, activation="softmax"),
        ]
    )


def main(run: Run, network: Network = lstm, settings: Settings = SETTINGS) -> None:
    """Learn topics from four fifths of the stories, then classify the last fifth."""
    # The data: a random fifth is the test part. A share of the others is held out for early stopping.
    stories, test = reuters.load_texts(run.data)
    training, validation = hold_out(stories, settings.validation_share, run.seed)
    corpus = Corpus(reuters.get_label_names(), training, validation, test, settings, run.seed)

    # The model: words become vectors, the LSTM reads them, its last output yields 46 probabilities.
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
