"""How long `nabi train` says that a training takes, and how long it takes, for each kind of data, for
docs/your-own-texts.md: `NABI_DATA=... python benchmarks/training_times.py --page`.

Each training runs in a process of its own on one thread, without an early end, and takes about half a minute
where nothing else runs. "Said" is the first line about the time; the evaluation "took" what the last line has
beyond the training.
"""

import argparse
import csv
import json
import lzma
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.layers.machine import describe  # noqa: E402
from nabi.data import read_frames, read_ts, split_genes, write_midi_frames  # noqa: E402
from nabi.datasets import moving_shapes, shapes  # noqa: E402
from nabi.files import write_atomically  # noqa: E402

PAGE = Path(__file__).resolve().parents[1] / "docs" / "your-own-texts.md"
BEGIN, END = "<!-- times: written by benchmarks/training_times.py -->", "<!-- times: end -->"
UNITS = {"second": 1, "minute": 60, "hour": 3600, "s": 1, "min": 60, "h": 3600}
TIME = r"([\d.,]+) (seconds?|minutes?|hours?|s|min|h)\b"


def data(name: str) -> Path:
    """Return a file of the folder of data sets."""
    return Path(os.environ["NABI_DATA"]) / name


def packed(name: str) -> Callable[[Path], Path]:
    """Take a table as it is."""
    return lambda place: data(name)


def write_table(place: Path, rows: Iterable[Sequence[object]]) -> Path:
    with place.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return place


def tagged(place: Path) -> Path:
    """Lines of the plays, whose tokens have a tag: a name that is spoken, another capital, or neither."""
    lines = data("text/tiny_shakespeare.txt").read_text().splitlines()
    sentences = []
    for line in lines[:30_000]:
        tokens = re.findall(r"\w+|[^\w\s]", line)
        rows = [f"{one}\t{'UPPER' if one.isupper() else 'Title' if one.istitle() else 'O'}" for one in tokens]
        if rows:
            sentences.append("\n".join(rows) + "\n")
    file = place / "plays.conll"
    file.write_text("\n".join(sentences))
    return file


def with_numbers(place: Path) -> Path:
    """The vowels, each channel of a speaker's a series with its mean as the number."""
    rows: list[Sequence[object]] = [("id", "step", "value", "other", "number")]
    series = read_ts(data("series/JapaneseVowels_TRAIN.ts")).series
    for number, one in enumerate(series):
        for channel in range(1, one.shape[1]):
            mean = one[:, channel].mean()
            rows += [
                (f"{number}-{channel}", step, *one[step, [0, channel]], mean) for step in range(len(one))
            ]
    return write_table(place / "numbers.csv", rows)


def pictures(place: Path) -> Path:
    """Coloured shapes with captions."""
    folder = place / "pictures"
    folder.mkdir()
    part = shapes.load_data(1_500, 1, 1, image_size=32)[0]
    for number, image in enumerate(part.images):
        Image.fromarray(image).save(folder / f"{number}.png")
    names = [(f"{number}.png", one) for number, one in enumerate(part.captions)]
    write_table(place / "captions.csv", [("image", "caption"), *names])
    return folder


def clips(place: Path) -> Path:
    """Shapes that move, in folders by motion."""
    part = moving_shapes.load_data(700, 1, 1)[0]
    for number, (clip, label) in enumerate(zip(part.clips, part.labels, strict=True)):
        (place / "clips" / label).mkdir(parents=True, exist_ok=True)
        first, *rest = [Image.fromarray(frame) for frame in clip]
        first.save(place / "clips" / label / f"{number}.gif", save_all=True, append_images=rest)
    return place / "clips"


def recordings(place: Path) -> Path:
    """The spoken digits."""
    with tarfile.open(data("speech/free_spoken_digits.tar.xz")) as archive:
        archive.extractall(place, filter="data")
    return place / "recordings"


def chorales(place: Path) -> Path:
    """Bach's chorales as MIDI files."""
    folder = place / "chorales"
    folder.mkdir()
    parts = read_frames(data("music/jsb_chorales_quarter.json"))
    for number, piece in enumerate(parts["train"]):
        write_midi_frames(folder / f"{number}.mid", piece)
    return folder


def genes(place: Path) -> Path:
    """Sequences of a hidden Markov model, with a label for every base."""
    made = split_genes().make(2_000, 200, seed=0)
    rows = [
        ("sequence", "labels"),
        *(
            (one, "".join(name[0] for name in names))
            for one, names in zip(made.sequences, made.labels, strict=True)
        ),
    ]
    return write_table(place / "genes.csv", rows)


@dataclass(frozen=True)
class Kind:
    """A training of one kind of data."""

    name: str
    make: Callable[[Path], Path]
    """Returns FILE."""
    options: tuple[str, ...]


def kind(name: str, make: Callable[[Path], Path], options: str) -> Kind:
    return Kind(name, make, tuple(options.split()))


KINDS = (
    kind("labels of texts", packed("text/nsmc_sample.csv.xz"), "--text text --label label --units 32 --embedding-size 64 --epochs 4"),
    kind("numbers of texts", packed("text/nsmc_sample.csv.xz"), "--text text --target label --units 32 --embedding-size 64 --epochs 4"),
    kind("tags", tagged, "--units 64 --embedding-size 64 --epochs 2"),
    kind("pairs", packed("translation/tatoeba_eng_kor.tsv"), "--no-quotes --source 0 --target 1 --units 96 --embedding-size 64 --epochs 6"),
    kind("text to write", packed("text/tiny_shakespeare.txt"), "--units 160 --window 64 --epochs 3"),
    kind("labels of series", packed("series/JapaneseVowels_TRAIN.ts"), "--epochs 700"),
    kind("numbers of series", with_numbers, "--id id --time step --target number --epochs 15"),
    kind("forecast", packed("series/daily-min-temperatures.csv"), "--target Temp --horizon 7 --epochs 400"),
    kind("captions", pictures, "--captions {}/captions.csv --units 96 --image-size 32 --epochs 8"),
    kind("clips", clips, "--frames --image-size 32 --units 48 --epochs 5"),
    kind("labels of recordings", recordings, "--label-from name --units 48 --epochs 4"),
    kind("speech", recordings, "--label-from name --joined 4 --units 64 --epochs 5"),
    kind("music", chorales, "--units 128 --epochs 40"),
    kind("DNA", packed("dna/splice.csv"), "--sequence sequence --label-from class --units 32 --epochs 15"),
    kind("labels of bases", genes, "--sequence sequence --base-labels labels --units 32 --epochs 8"),
)  # fmt: skip


@dataclass(frozen=True)
class Times:
    """Seconds of a training and of the evaluation after it, said and taken."""

    said: float
    took: float
    said_afterwards: float
    took_afterwards: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", help="kind of data, such as speech; may be repeated")
    parser.add_argument("--data", type=Path, help="folder to keep what is made of the data sets in")
    parser.add_argument("--show", action="store_true", help="show what the trainings print")
    parser.add_argument("--page", action="store_true", help="put the table into docs/your-own-texts.md")
    given = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as temporary:
        place = given.data or Path(temporary)
        for one in KINDS:
            if given.only is None or one.name in given.only:
                found[one.name] = measure(one, place, show=given.show)
                print(row(one.name, found[one.name]), flush=True)
    if given.page:
        text = "\n".join(table(found))
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        with write_atomically(PAGE, "w") as file:
            file.write(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}")


def measure(one: Kind, folder: Path, *, show: bool) -> Times:
    """Train, and read the times in what the command prints."""
    place = folder / (one.make.__name__ if one.make.__name__ != "<lambda>" else "plain")
    known = place / "file.json"
    if not known.exists():
        place.mkdir(parents=True, exist_ok=True)
        file = one.make(place)
        if one.make.__name__ != "<lambda>":
            known.write_text(json.dumps(str(file)))
    else:
        file = Path(json.loads(known.read_text()))
    options = [part.format(place) for part in one.options]
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "nabi", "train", str(file), *options, "--patience", "1000"]
        command += ["--threads", "1", "--out", f"{out}/model.nabi"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=out)
    if show or done.returncode:
        print(done.stdout, done.stderr, sep="\n", flush=True)
    done.check_returncode()
    return times(done.stdout)


def times(text: str) -> Times:
    """Return what a training has said of its time."""
    said = re.search(rf"^about {TIME} for .*$", text, re.MULTILINE)
    took = re.search(rf"epochs? took {TIME}", text)
    ended = re.search(rf"^Training took .*the evaluation after it {TIME}", text, re.MULTILINE)
    afterwards = re.search(rf"then about {TIME} of evaluation", said[0] if said else "")
    return Times(seconds(said), seconds(took), seconds(afterwards) if afterwards else 0.0, seconds(ended))


def seconds(match: re.Match[str] | None) -> float:
    if match is None:
        raise SystemExit("expected lines about the time, got none; --show shows what was printed")
    return float(match[1].replace(",", "")) * UNITS[match[2].removesuffix("s") or "s"]


def row(name: str, one: Times) -> str:
    said, took = one.said + one.said_afterwards, one.took + one.took_afterwards
    return (
        f"| {name} | {one.said:.0f} s | {one.took:.0f} s | {one.said_afterwards:.0f} s | "
        f"{one.took_afterwards:.0f} s | {took / said - 1:+.0%} |"
    )


def table(found: dict[str, Times]) -> list[str]:
    return [
        f"{describe()}:",
        "",
        "| data | training: said | took | evaluation: said | took | together |",
        "|---|---:|---:|---:|---:|---:|",
        *(row(name, one) for name, one in found.items()),
    ]


if __name__ == "__main__":
    main()
