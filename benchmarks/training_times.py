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
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.layers.machine import processor
from nabi.data import read_frames, read_ts, split_genes, write_midi_frames
from nabi.datasets import moving_shapes, shapes
from nabi.files import write_atomically

PAGE = Path(__file__).resolve().parents[1] / "docs" / "your-own-texts.md"
BEGIN, END = "<!-- times: written by benchmarks/training_times.py -->", "<!-- times: end -->"
UNITS = {"second": 1, "minute": 60, "hour": 3600, "s": 1, "min": 60, "h": 3600}
TIME = r"([\d.,]+) (seconds?|minutes?|hours?|s|min|h)\b"


def data(name: str) -> Path:
    """Return a file of the folder of data sets."""
    return Path(os.environ["NABI_DATA"]) / name


def packed(name: str) -> Callable[[Path], Path]:
    """Take a file as it is."""

    def taken(place: Path) -> Path:
        return data(name)

    taken.__name__ = Path(name).stem
    return taken


def write_table(place: Path, rows: Iterable[Sequence[object]]) -> Path:
    with place.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return place


def first_rows(name: str, rows: int, place: Path) -> Path:
    """Return a table with so many rows of a data set."""
    opened = lzma.open if name.endswith(".xz") else open
    with opened(data(name), "rt", encoding="utf-8", newline="") as file:
        return write_table(place / "table.csv", islice(csv.reader(file), rows + 1))


def reviews(place: Path) -> Path:
    """Korean reviews of films."""
    return first_rows("text/nsmc_sample.csv.xz", 8_000, place)


def sequences(place: Path) -> Path:
    """Splice junctions."""
    return first_rows("dna/splice.csv", 1_600, place)


def tagged(place: Path) -> Path:
    """Lines of the plays, whose tokens have a tag: a name that is spoken, another capital, or neither."""
    lines = data("text/tiny_shakespeare.txt").read_text().splitlines()
    sentences = []
    for line in lines[:20_000]:
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
        some = [one for one in archive if one.isdir() or int(one.name[:-4].rsplit("_", 1)[1]) < 20]
        archive.extractall(place, some, filter="data")
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
    kind("labels of texts", reviews, "--text text --label label --units 32 --embedding-size 64 --epochs 12"),
    kind(
        "numbers of texts", reviews, "--text text --target label --units 32 --embedding-size 64 --epochs 12"
    ),
    kind("tags", tagged, "--units 64 --embedding-size 64 --epochs 2"),
    kind(
        "pairs",
        packed("translation/tatoeba_eng_kor.tsv"),
        "--no-quotes --source 0 --target 1 --units 96 --embedding-size 64 --epochs 6",
    ),
    kind("text to write", packed("text/tiny_shakespeare.txt"), "--units 128 --window 64 --epochs 1"),
    kind("music", chorales, "--units 128 --epochs 60"),
    kind("labels of series", packed("series/JapaneseVowels_TRAIN.ts"), "--epochs 300"),
    kind("numbers of series", with_numbers, "--id id --time step --target number --epochs 30"),
    kind(
        "forecast",
        packed("series/daily-min-temperatures.csv"),
        "--target Temp --horizon 7 --epochs 200",
    ),
    kind("captions", pictures, "--captions {}/captions.csv --units 96 --image-size 32 --epochs 6"),
    kind("clips", clips, "--frames --image-size 32 --units 48 --epochs 8"),
    kind("labels of recordings", recordings, "--label-from name --units 48 --epochs 20"),
    kind("speech", recordings, "--label-from name --joined 4 --units 64 --epochs 10"),
    kind("DNA", sequences, "--sequence sequence --label-from class --units 32 --epochs 20"),
    kind("labels of bases", genes, "--sequence sequence --base-labels labels --units 32 --epochs 10"),
)
"""All kinds of data that `nabi train` knows."""


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
    parser.add_argument("--results", type=Path, help="JSON file of figures, to which these are added")
    parser.add_argument("--show", action="store_true", help="show what the trainings print")
    parser.add_argument("--prepare", action="store_true", help="only make the data")
    parser.add_argument("--page", action="store_true", help="put the table into docs/your-own-texts.md")
    given = parser.parse_args()
    found: dict[str, Times] = {}
    if given.results and given.results.exists():
        found = {name: Times(**one) for name, one in json.loads(given.results.read_text()).items()}
    with tempfile.TemporaryDirectory() as temporary:
        for one in KINDS:
            if given.only is None or one.name in given.only:
                file, place = made(one, given.data or Path(temporary))
                if not given.prepare:
                    found[one.name] = measure(one, file, place, show=given.show)
                    print(row(one.name, found[one.name]), flush=True)
    if given.results:
        given.results.write_text(json.dumps({name: asdict(one) for name, one in found.items()}))
    if given.page:
        text = "\n".join(table({one.name: found[one.name] for one in KINDS if one.name in found}))
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        with write_atomically(PAGE, "w") as page:
            page.write(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}")


def made(one: Kind, folder: Path) -> tuple[Path, Path]:
    """Return FILE and the folder that it was made in, where other files lie."""
    place = folder / (one.make.__name__)
    known = place / "made.json"
    if not known.exists():
        place.mkdir(parents=True, exist_ok=True)
        known.write_text(json.dumps(str(one.make(place))))
    return Path(json.loads(known.read_text())), place


def measure(one: Kind, file: Path, place: Path, *, show: bool) -> Times:
    """Train, and read the times in what the command prints."""
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
        f"Processor: {processor()}.",
        "",
        "| data | training: said | took | evaluation: said | took | together |",
        "|---|---:|---:|---:|---:|---:|",
        *(row(name, one) for name, one in found.items()),
    ]


if __name__ == "__main__":
    main()
