"""`nabi explain` and `nabi show --as animation` on a model of every kind that `nabi train` makes."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from nabi import models
from nabi.data import read_dna, read_series, write_midi_frames, write_wav

from ..explain.test_animation import facts
from ..models.sequences.toy import directions
from ..models.series.test_model import as_ts
from ..models.sound.sounds import RATE, sentences as spoken, words
from ..models.tagger.corpus import as_conll, sentences
from .test_clips import write as write_clips
from .test_compose import SCALE
from .test_dna import genes
from .test_forecast import daily


class Made(NamedTuple):
    """A trained model, what it reads, and what it is measured on."""

    model: Any
    data: str
    file: str | None
    sections: tuple[str, ...]
    """Sections that its report must have beside those that all have."""
    unseen: str = ""
    """What is said in place of an animation."""


TINY = {"units": 4, "epochs": 2, "batch_size": 16}
FIGURES = "How good it is"


def text() -> Made:
    rows = [("a good film", "+"), ("so good", "+"), ("a bad film", "-"), ("so bad", "-")] * 6
    Path("held.csv").write_text("text,label\n" + "".join(f"{one},{label}\n" for one, label in rows))
    model = models.TextClassifier(embedding_size=4, **TINY)
    model.fit("held.csv", text="text", label="label", verbose=0)
    return Made(model, "a good one", "held.csv", (FIGURES, "What it read"))


def language() -> Made:
    Path("held.txt").write_text("the cat sat on the mat. " * 100)
    model = models.LanguageModel(embedding_size=4, window=16, **TINY)
    model.fit(Path("held.txt"), verbose=0)
    return Made(model, "the cat", "held.txt", (FIGURES, "What may come next", "What it writes"))


def series() -> Made:
    Path("held.ts").write_text(as_ts(*directions(20, seed=3)))
    model = models.SeriesClassifier(**TINY)
    model.fit(*directions(40), verbose=0)
    return Made(model, "held.ts", "held.ts", (FIGURES, "Result", "What it read"))


def numbers_of_series() -> Made:
    lines = directions(40)[0]
    numbers = [float(np.nanmean(one)) for one in lines]
    Path("held.ts").write_text(
        as_ts(lines[:20], [f"{one:.3f}" for one in numbers[:20]]).replace(
            "@classLabel true down up", "@targetlabel true"
        )
    )
    model = models.SeriesRegressor(**TINY)
    model.fit(lines, numbers, verbose=0)
    return Made(model, "held.ts", "held.ts", (FIGURES, "What it estimates", "Result"))


def record(sounds: Any, said: Any, column: str) -> None:
    lines = [f"file,{column}"]
    for number, (sound, one) in enumerate(zip(sounds, said, strict=True)):
        write_wav(f"{number}.wav", sound, RATE)
        lines.append(f"{number}.wav,{one}")
    Path("held.csv").write_text("\n".join(lines) + "\n")


def sound() -> Made:
    sounds, labels, _ = words(24)
    record(sounds[:9], labels[:9], "label")
    model = models.SoundClassifier(convolutions=(4,), mels=10, **TINY)
    model.fit(sounds, labels, rate=RATE, verbose=0)
    return Made(model, "0.wav", "held.csv", (FIGURES, "Result", "What it read"))


def speech() -> Made:
    sounds, texts = spoken(24)
    record(sounds[:6], texts[:6], "text")
    model = models.SpeechRecognizer(convolutions=(4,), mels=10, **TINY)
    model.fit(sounds, texts, rate=RATE, verbose=0)
    return Made(model, "0.wav", "held.csv", (FIGURES, "Result"))


def clips() -> Made:
    write_clips("held", 12)
    model = models.ClipClassifier(image_size=8, channels=(4,), features=4, **TINY)
    model.fit(Path("held"), verbose=0)
    return Made(model, "held/lighter/clip1.gif", "held", (FIGURES, "Result", "What it read"))


def dna() -> Made:
    lines = [f">s{row} {label}\n{one}\n" for row, (one, label) in enumerate(genes(30))]
    Path("held.fasta").write_text("".join(lines))
    found = read_dna("held.fasta", label_from="header")
    model = models.DNAClassifier(**TINY)
    model.fit(found.sequences, found.labels, verbose=0)
    return Made(model, "ACCGGTTAACC", "held.fasta", (FIGURES, "Result", "What it read"))


def numbers_of_dna() -> Made:
    found = [one for one, _ in genes(40)]
    numbers = [one.count("G") for one in found]
    lines = [
        f">s{row} {number}\n{one}\n" for row, (one, number) in enumerate(zip(found, numbers, strict=True))
    ]
    Path("held.fasta").write_text("".join(lines))
    model = models.DNARegressor(**TINY)
    model.fit(found, numbers, verbose=0)
    return Made(model, "ACCGGTTAACC", "held.fasta", (FIGURES, "What it estimates", "Result"))


def tags() -> Made:
    Path("held.conll").write_text(as_conll(*sentences(8, 1)))
    model = models.Tagger(embedding_size=4, characters=4, **TINY)
    model.fit(*sentences(40), verbose=0)
    return Made(
        model, "Kalo met Miru in Solten.", "held.conll", (FIGURES, "What it takes for what", "Result")
    )


def forecaster() -> Made:
    model = models.Forecaster(units=4, networks=1, epochs=2, refit=False)
    model.fit(read_series(daily(Path("held.csv"))), horizon=7, verbose=0)
    return Made(model, "held.csv", "held.csv", (FIGURES, "What it read"))


def notes() -> Made:
    write_midi_frames("held.mid", SCALE * 2)
    model = models.NoteModel(embedding_size=8, **TINY)
    model.fit([SCALE * 2] * 8, verbose=0)
    return Made(model, "held.mid", "held.mid", (FIGURES, "What it writes"))


def translator() -> Made:
    pairs = [(f"the {one} {other}", f"{other} {one} da") for one in "abcdef" for other in "uvwxyz"]
    Path("held.tsv").write_text("".join(f"{one}\t{other}\n" for one, other in pairs[:8]))
    model = models.Translator(embedding_size=4, warmup=2, **TINY)
    model.fit(*map(list, zip(*pairs, strict=True)), verbose=0)
    return Made(model, "the a u", "held.tsv", (FIGURES, "Result"))


def captioner() -> Made:
    random = np.random.default_rng(0)
    images = random.integers(0, 255, (24, 8, 8, 3)).astype(np.uint8)
    for number, image in enumerate(images):
        Image.fromarray(image).save(f"{number}.png")
    Path("held.csv").write_text("image,caption\n0.png,a red wall\n1.png,a blue wall\n")
    model = models.Captioner(image_size=8, channels=(4,), embedding_size=4, **TINY)
    model.fit(images, ["a red wall", "a blue wall"] * 12, verbose=0)
    return Made(model, "0.png", "held.csv", (FIGURES, "Result"))


def captioner_without_attention() -> Made:
    made = captioner()
    blind = models.Captioner(image_size=8, channels=(4,), embedding_size=4, attention=None, **TINY)
    images = np.stack([np.asarray(Image.open(f"{number}.png")) for number in range(24)])
    blind.fit(images, ["a red wall", "a blue wall"] * 12, verbose=0)
    return made._replace(model=blind, unseen="model: expected a captioner with attention, got one without")


def network() -> Made:
    from nabi import Sequential, layers

    model = Sequential([layers.Input((6, 1)), layers.GRU(3), layers.Dense(2, activation="softmax")])
    return Made(model, "1 2 3 4 5 6", None, ("Result",))


KINDS: list[Callable[[], Made]] = [
    text, language, series, numbers_of_series, sound, speech, clips, dna, numbers_of_dna, tags, forecaster,
    notes, translator, captioner, captioner_without_attention, network,
]  # fmt: skip


@pytest.mark.rotates(days=4)
@pytest.mark.parametrize("make", KINDS, ids=lambda one: one.__name__)
def test_a_report_and_an_animation_of_every_kind(
    make: Callable[[], Made], nabi: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = make()
    made.model.save("m.nabi")
    held = ("--file", made.file) if made.file else ()
    done = nabi("explain", "m.nabi", made.data, *held, "--out", "m.html", "--language", "en")
    assert (done.status, done.err) == (0, ""), done.err
    page = Path("m.html").read_text("utf-8")
    sections = re.findall(r"<section[^>]*><h2[^>]*>(.*?)</h2>\n(.*?)\n</section>", page, re.DOTALL)
    titles = [title for title, _ in sections]
    assert not {"The model", *made.sections} - set(titles), titles
    for title, content in sections:
        seen = re.sub(r"<[^>]*>", "", content).strip()
        assert seen, title
        assert not re.search(r"Traceback|\bnan\b|\bNone\b|<[\w.]+ object at", seen), (title, seen)
    done = nabi("show", "m.nabi", "--as", "animation", "--data", made.data, "--out", "a.html")
    if made.unseen:
        assert (done.status, done.err) == (2, f"nabi: {made.unseen}\n")
        return
    assert (done.status, done.err) == (0, ""), done.err
    shown = facts(Path("a.html"))
    assert shown["lanes"]
    assert shown["labels"]


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (
            network,
            ["1 2", "--file", "x.csv"],
            "--file: expected a model that a file can measure, got",
        ),
        (network, ["one two"], "data: expected"),
        (dna, ["ACGZ"], "expected the bases A, C, G and T"),
        (dna, ["ACGT", "--label", "weak", "--file", "held.fasta"], "--label: expected it with a TEXT alone"),
        (notes, ["C D E"], "data: expected the path of a MIDI file, got 'C D E'"),
    ],
)
def test_what_a_kind_cannot_show_is_said_in_one_line(
    make: Callable[[], Made],
    arguments: list[str],
    message: str,
    nabi: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.csv").write_text("a,b\n1,2\n")
    make().model.save("m.nabi")
    done = nabi("explain", "m.nabi", *arguments, "--out", "m.html")
    assert (done.status, message in done.err) == (2, True), done.err
    assert done.err.startswith("nabi: ")
    assert "Traceback" not in done.err
    assert not Path("m.html").exists()
