"""Files of the task models, and checkpoints of their trainings that were interrupted."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import nabi
from nabi import Captioner, LanguageModel, NoteModel, TextClassifier, Translator, cells, layers
from nabi.data import Labels, Vocabulary
from nabi.utils import set_random_seed

from .old_file import OLD_CELLS, CountBatches, OldFile, StopAfter
from .own_objects import OWN, MinimalGatedUnit

TEXT = "the cat sat on the mat. the dog sat on the log. " * 6
NAMES = ["anna", "otto", "hannah", "bob", "ada", "eve", "nan", "asa"] * 4
PIECES = [[(60, 64), (62,), (), (65, 69)], [(48,), (50, 55), (52,)]] * 5
STYLES = ["a", "b"] * 5
GRAY = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
IMAGES = [GRAY, 255 - GRAY, GRAY // 2, 255 - GRAY // 2] * 4
CAPTIONS = ["a dark dot", "a light dot", "dark", "it is light"] * 4
SOURCES = ["one two", "two one", "one", "two two one", "two", "one one"] * 3
TARGETS = ["1 2", "2 1", "1", "2 2 1", "2", "1 1"] * 3
REVIEWS = ["good film", "bad film", "a good one", "a bad one", "so good", "so bad"] * 5
VERDICTS = ["good", "bad"] * 15
ASKED = ["a good film", "so very bad", "", "film"]


# What each kind of model is asked ---------------------------------------------------------------------------


def _of_report(model: Any) -> dict[str, Any]:
    told = {name: value for name, value in model.report.to_dict().items() if "second" not in name}
    return {"report": told, "history": model.history}


def ask_classifier(model: Any, texts: list[str] | None = None, aspects: Any = None) -> dict[str, Any]:
    said = model.predict(texts or ASKED, aspects)
    settings = {name: str(value) for name, value in model.settings.to_dict().items()}
    return {
        "says": [[one.label, one.probability, one.probabilities] for one in said],
        "labels": model.labels.names,
        "settings": settings,
        "reasons": model.reasons,
        "notes": model.notes,
        **_of_report(model),
    }


def ask_about_food(model: Any) -> dict[str, Any]:
    return ask_classifier(model, ["good food", "slow service", "good"], ["food", "service", "service"])


def ask_language(model: Any) -> dict[str, Any]:
    unit = model.settings.unit
    start = "the" if unit == "words" else "a"
    return {
        "writes": "".join(model.write(start, 12, seed=1, temperature=0.5)),
        "measures": model.evaluate(["a a nan"]),
        "words": [] if unit == "pieces" else [list(one) for one in model.next_words(start, 3)],
        "ends": model.ends,
        "settings": {name: str(value) for name, value in model.settings.to_dict().items()},
        **_of_report(model),
    }


def ask_notes(model: Any) -> dict[str, Any]:
    label = model.labels[1] if model.labels else None
    given = {"labels": [label]} if model.labels else {}
    return {
        "composes": list(model.write([[60]], 6, label=label, voices=4, fewest=0, seed=1)),
        "measures": model.evaluate([[(60,), (62, 64)]], **given),
        "labels": model.labels,
        "settings": {name: str(value) for name, value in model.settings.to_dict().items()},
        **_of_report(model),
    }


def ask_translator(model: Any) -> dict[str, Any]:
    found = model.translate(["one two", "two", "three"], beam=2, best=2)
    settings = {name: str(value) for name, value in model.settings.to_dict().items()}
    looks = model.attention("one two", "1 2").weights if model.settings.attention else None
    return {
        "says": [[one.text, one.log_probability, one.score, one.ended] for one in found],
        "others": [one.others[0].log_probability for one in found],
        "measures": model.evaluate(["one one two"], ["1 1 2"]),
        "looks": looks,
        "unknown": model.unknown("one zwei"),
        "settings": settings,
        **_of_report(model),
    }


def ask_captioner(model: Any) -> dict[str, Any]:
    found = model.caption(IMAGES[:3], beam=2, best=2)
    looks = model.attention(IMAGES[0], "dark").weights if model.settings.attention else None
    return {
        "says": [[one.text, one.log_probability, one.score, one.ended] for one in found],
        "measures": model.evaluate(IMAGES[:4], CAPTIONS[:4]),
        "looks": looks,
        "longest": model.longest,
        "settings": {name: str(value) for name, value in model.settings.to_dict().items()},
        **_of_report(model),
    }


# How each is made -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """A task model, what it learns from, and what it is asked."""

    make: Callable[[], Any]
    data: tuple[Any, ...]
    ask: Callable[[Any], Any]
    options: dict[str, Any] = field(default_factory=dict)

    def trained(self, **more: Any) -> Any:
        model = self.make()
        model.fit(*self.data, verbose=0, **self.options, **more)
        return model

    def old_file(self) -> OldFile:
        kind = type(self.make())

        def write(path: Path) -> Any:
            model = self.trained()
            model.save(path)
            return self.ask(model)

        return OldFile(write, lambda path: self.ask(kind.load(path, OWN)))

    def checkpoint(self, batches: int) -> OldFile:
        """The training, stopped after so many batches; the answers are those of one that was not."""

        def write(path: Path) -> Any:
            stopped = self.trained(checkpoint=path, callbacks=StopAfter(batches))
            assert stopped.report.interrupted
            assert path.exists()
            counting = CountBatches()
            model = self.trained(callbacks=counting)
            return {**self.ask(model), "batches left": counting.batches - batches}

        def read(path: Path) -> Any:
            counting = CountBatches()
            model = self.trained(checkpoint=path, callbacks=counting)
            assert not path.exists()  # the training has come to its end
            return {**self.ask(model), "batches left": counting.batches}

        return OldFile(write, read)


def classifier(*data: Any, ask: Callable[[Any], Any] = ask_classifier, **settings: Any) -> Task:
    given = {"units": 3, "embedding_size": 4, "epochs": 4, "batch_size": 8, "learning_rate": 0.03, **settings}
    return Task(lambda: TextClassifier(**given), data or (REVIEWS, VERDICTS), ask)


def language(*data: Any, **settings: Any) -> Task:
    given = {
        "units": 3,
        "embedding_size": 3,
        "epochs": 2,
        "window": 8,
        "batch_size": 4,
        "warmup": 2,
        **settings,
    }
    return Task(lambda: LanguageModel(learning_rate=0.02, **given), data or ([TEXT],), ask_language)


def notes(*data: Any, **settings: Any) -> Task:
    given = {"units": 3, "embedding_size": 3, "epochs": 3, "batch_size": 3, "warmup": 2, **settings}
    return Task(lambda: NoteModel(learning_rate=0.02, **given), data or (PIECES,), ask_notes)


def translator(options: dict[str, Any] | None = None, **settings: Any) -> Task:
    given = {"units": 4, "embedding_size": 4, "epochs": 3, "batch_size": 4, "warmup": 2, **settings}
    return Task(
        lambda: Translator(**{"learning_rate": 0.03, **given}),
        (SOURCES, TARGETS),
        ask_translator,
        {"validation_share": 0.3} if options is None else options,
    )


def captioner(options: dict[str, Any] | None = None, **settings: Any) -> Task:
    given = {"units": 4, "embedding_size": 3, "epochs": 3, "batch_size": 4, "warmup": 2, **settings}
    return Task(
        lambda: Captioner(image_size=8, learning_rate=0.02, **{"channels": (2, 3), **given}),
        (IMAGES, CAPTIONS),
        ask_captioner,
        {"validation_share": 0.25} if options is None else options,
    )


TOPICS = [["music"], ["sport"], ["music", "sport"], [], ["sport"], ["music"]] * 5
ASPECTS = ["food", "service", "food", "service", "food", "service"] * 5
_OWN_CELL = MinimalGatedUnit(3, keep=0.9)

TASKS: dict[str, Task] = {
    "classifier": classifier(),
    "classifier of several labels": classifier(REVIEWS, TOPICS, unit="words", cell="gru", pooling="mean"),
    "classifier of aspects": classifier(
        REVIEWS, VERDICTS, ASPECTS, ask=ask_about_food, bidirectional=False, pooling="last"
    ),
    "classifier of characters": classifier(
        REVIEWS,
        ["one", "two", "three"] * 10,
        unit="characters",
        class_weight="balanced",
        truncating="pre",
        maxlen=6,
        cell="peephole-lstm",
    ),
    "classifier of pieces": classifier(unit="pieces", vocabulary_size=30, cell="ind-rnn"),
    "classifier of own cell": classifier(cell=_OWN_CELL, units=None),
    **{f"language of {cell}": language(cell=cell) for cell in OLD_CELLS},
    "language of own cell": language(cell=_OWN_CELL),
    "language of cell with options": language(cell=cells.ProjectedLSTM(4, projection=2, cell_clip=3.0)),
    "language of lines": language(NAMES, unit="characters", tied=True, cell="gru"),
    "language of words": language(unit="words", minimum_count=2, lowercase=True, layers=2, tied=True),
    "language of pieces": language(
        unit="pieces", vocabulary_size=30, weight_drop=0.2, embedding_dropout=0.1, input_dropout=0.1
    ),
    "notes": notes(),
    "notes of labels": notes(PIECES, STYLES, output="chords", cell="gru", layers=2, transpose=1),
    "notes of own cell": notes(cell=_OWN_CELL),
    "translator": translator(unit="words"),
    "translator of bahdanau": translator(attention="bahdanau", cell="lstm", layers=2, tied=False),
    "translator without attention": translator({}, attention=None, unit="characters", bidirectional=False),
    "translator with input feeding": translator(
        input_feeding=True, unit="pieces", cell="peephole-lstm", averaging=0.9
    ),
    "translator of own cell": translator(cell=_OWN_CELL, unit="words", lowercase=True),
    "captioner": captioner(),
    "captioner of luong": captioner(
        attention="luong", unit="characters", cell="lstm", layers=2, units=3, channels=(2,)
    ),
    "captioner without attention": captioner(
        {"validation_share": 0}, attention=None, unit="pieces", vocabulary_size=30, lowercase=False
    ),
    "captioner of own cell": captioner(cell=_OWN_CELL, channels=(2,)),
}

CHECKPOINTS: dict[str, OldFile] = {
    "training of language": language(weight_drop=0.2, dropout=0.2).checkpoint(3),
    "training of language in its second epoch": language(cell="gru", layers=2, epochs=3).checkpoint(11),
    "training of language of lines": language(NAMES, tied=True, schedule="constant").checkpoint(2),
    "training of language of pieces": language(unit="pieces", embedding_dropout=0.2).checkpoint(2),
    "training of notes": notes().checkpoint(1),
    "training of notes in its second epoch": notes(
        PIECES, STYLES, transpose=2, weight_drop=0.2, window=2
    ).checkpoint(6),
    "training of translator": translator(unit="words").checkpoint(2),
    "training of translator in its second epoch": translator(
        attention="bahdanau", averaging=0.9, patience=5, scheduled_sampling=0.3, embedding_dropout=0.1
    ).checkpoint(6),
    "training of translator without validation": translator(
        {"validation_share": 0}, averaging=0.9, input_feeding=True
    ).checkpoint(7),
    "training of translator after its best epoch": translator(
        unit="words", epochs=8, patience=3, learning_rate=0.5, schedule="constant"
    ).checkpoint(22),
    "training of captioner": captioner(units=2, channels=(2,)).checkpoint(1),
    "training of captioner in its second epoch": captioner(
        attention="luong", units=2, channels=(1, 2), embedding_size=2
    ).checkpoint(5),
}


# Files of classifiers that are made otherwise ---------------------------------------------------------------


def _of_a_network() -> OldFile:
    """`TextClassifier.of`, of a network of one's own."""

    def write(path: Path) -> Any:
        set_random_seed(5)
        vocabulary = Vocabulary.learn(REVIEWS)
        stack = [layers.Embedding(len(vocabulary), 4, mask_zero=True), layers.LSTM(3)]
        model = nabi.Sequential([layers.Input((None,)), *stack, layers.Dense(1, activation="sigmoid")])
        made = TextClassifier.of(
            model,
            vocabulary,
            Labels(["bad", "good"]),
            maxlen=9,
            truncating="pre",
            shares=[0.4, 0.6],
            history={"loss": [0.5, 0.25]},
        )
        made.save(path)
        return ask(made)

    def ask(made: Any) -> Any:
        said = made.predict(ASKED)
        return [[[one.label, one.probabilities] for one in said], made.history, made.settings.maxlen]

    return OldFile(write, lambda path: ask(TextClassifier.load(path)))


def write_table(path: Path) -> Path:
    """Write a table with several labels in a column and an aspect in another."""
    rows = zip(REVIEWS, TOPICS, ASPECTS, strict=True)
    lines = [f"{text},{';'.join(labels)},{aspect}" for text, labels, aspect in rows]
    path.write_text("\n".join(["review,topics,about", *lines, ""]))
    return path


def _of_a_table() -> OldFile:
    """A classifier of the columns of a table, which a file names."""

    def write(path: Path) -> Any:
        table = write_table(path.with_name("table.csv"))
        made = TextClassifier(
            units=3, embedding_size=4, epochs=2, learning_rate=0.03, label_separator=";", unit="words"
        )
        made.fit(table, text="review", label="topics", aspect="about", verbose=0)
        made.save(path)
        answer = ask(made, table)
        table.unlink()
        return answer

    def ask(made: Any, table: Path) -> Any:
        measured = made.evaluate(table).to_dict()
        measured = {name: value for name, value in measured.items() if "second" not in name}
        return [ask_about_food(made), measured]

    return OldFile(
        write, lambda path: ask(TextClassifier.load(path), write_table(path.with_name("table.csv")))
    )


FILES: dict[str, OldFile] = {
    **{name: task.old_file() for name, task in TASKS.items()},
    **CHECKPOINTS,
    "classifier of a network": _of_a_network(),
    "classifier of a table": _of_a_table(),
}
