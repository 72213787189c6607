"""Measure an epoch of training on film reviews, for docs/reading-text.md: `python benchmarks/imdb_epoch.py`.

The lecture's network (embedding, dropout, convolution, max pooling, LSTM, one output) is trained by nabi, by
plain PyTorch and by Keras on TensorFlow, each in its own process with the same number of threads. All start
with the same weights and must have the same losses in three steps without dropout. Then they take turns on
the same batches; an epoch has 25,000 reviews, and each library also trains a whole one. The peers are listed
in benchmarks/requirements.txt; the reviews are read from the folder NABI_DATA.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.layers.alternate import alternate  # noqa: E402
from benchmarks.layers.arrays import Arrays, disagreements, save  # noqa: E402
from benchmarks.layers.crew import Crew, Seat, WorkerError  # noqa: E402
from benchmarks.layers.figures import Comparison, compare  # noqa: E402
from benchmarks.layers.machine import describe  # noqa: E402
from benchmarks.layers.peers.imdb import BATCH, WORDS  # noqa: E402
from nabi.datasets import imdb  # noqa: E402
from nabi.files import write_atomically  # noqa: E402
from nabi.preprocessing.sequence import pad_sequences  # noqa: E402

PAGE = ROOT / "docs" / "reading-text.md"
BEGIN = "<!-- imdb epoch: written by benchmarks/imdb_epoch.py -->"
END = "<!-- imdb epoch: end -->"
OWN, GROUPED = Seat("nabi"), Seat("nabi", "grouped")
TORCH, KERAS = Seat("torch"), Seat("keras-tensorflow")
NAMES = {
    OWN: "nabi",
    TORCH: "PyTorch, `torch.nn`",
    KERAS: "Keras on TensorFlow",
    GROUPED: "nabi, grouped by length, padding masked",
}
LENGTHS = (100, 400)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--threads", type=int, default=2, help="threads of every library (default 2)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of measurement (default 7)")
    parser.add_argument("--steps", type=int, default=64, help="training steps per call (default 64)")
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS, help="maximum lengths of a review")
    parser.add_argument(
        "--whole", action=argparse.BooleanOptionalAction, default=True, help="also measure whole epochs"
    )
    parser.add_argument(
        "--write", action=argparse.BooleanOptionalAction, default=True, help="write the documentation page"
    )
    given = parser.parse_args()
    (sequences, labels), _ = imdb.load_data(num_words=WORDS)
    found = {}
    with tempfile.TemporaryDirectory(prefix="nabi-benchmark-") as folder:
        for length in given.lengths:
            path = Path(folder) / f"{length}.npz"
            save(padded(sequences, labels, length), path)
            found[length] = measure(path, length, given)
    text = "\n".join(lines(found, given.threads))
    print(text)
    if given.write:
        write(text)


def padded(sequences: Any, labels: Any, length: int) -> Arrays:
    """Return all reviews in one array, truncated and padded at the beginning as in Keras."""
    return {
        "x": pad_sequences(sequences, maxlen=length).astype(np.int64),
        "y": np.asarray(labels, np.float32),
        "lengths": np.array([min(len(sequence), length) for sequence in sequences]),
    }


def measure(path: Path, length: int, given: argparse.Namespace) -> dict[str, Any]:
    """Return comparisons with the peers, CPU times, and seconds of whole epochs."""
    task = {"subject": "imdb", "data": str(path), "length": length, "steps": given.steps}
    with Crew(given.threads, milliseconds=0) as crew:
        task_of = {seat: {**task, "grouped": seat == GROUPED} for seat in NAMES}
        if length == min(LENGTHS):
            # A step compiled by XLA takes many times as long, so it is measured only at the shortest length.
            task_of[KERAS]["jit_compile"] = [False, True]
        agree(crew.prepare({seat: task_of[seat] for seat in (OWN, TORCH, KERAS)}))
        ready(crew.prepare({GROUPED: task_of[GROUPED]}))
        turns = alternate(crew.turn, OWN, [TORCH, KERAS, GROUPED], given.rounds)
        compared = {seat: compare(each.own, each.peer) for seat, each in turns.items()}
        processor = {seat: statistics.median(times) for seat, times in crew.processor.items()}
        notes = dict(crew.notes)
        whole = {}
        for seat in NAMES if given.whole else ():
            whole_seat = Seat(seat.worker, f"{seat.key}, whole")
            results = crew.prepare({whole_seat: {**task_of[seat], "epoch": True, "jit_compile": [False]}})
            whole[seat] = float(ready(results)[whole_seat]["seconds"][0])
            crew.release([whole_seat])
    return {"compared": compared, "processor": processor, "whole": whole, "notes": notes}


def ready(results: dict[Seat, Arrays | WorkerError]) -> dict[Seat, Arrays]:
    """Return the results.

    Raises:
        WorkerError: if one is missing.
    """
    found: dict[Seat, Arrays] = {}
    for seat, each in results.items():
        if isinstance(each, WorkerError):
            raise each
        found[seat] = each
    return found


def agree(results: dict[Seat, Arrays | WorkerError]) -> None:
    """Check that all losses agree with nabi's.

    Raises:
        RuntimeError: if one differs.
    """
    arrays = ready(results)
    for seat, each in arrays.items():
        wrong = disagreements(each, arrays[OWN])
        if wrong:
            raise RuntimeError(f"{seat.worker} does not train the same network: {'; '.join(wrong)}")


# The table ------------------------------------------------------------------------------------------------


def lines(found: dict[int, dict[str, Any]], threads: int) -> Iterator[str]:
    machine = describe()
    yield (
        f"{machine['processor']}, {threads} threads; torch {machine['torch']}, Keras {machine['keras']}, "
        f"TensorFlow {machine['tensorflow-cpu']}; float32. "
        f"Batches of {BATCH}, {steps_of_an_epoch()} per epoch."
    )
    for length, figures in found.items():
        compared: dict[Seat, Comparison] = figures["compared"]
        own = statistics.median(comparison.own for comparison in compared.values())
        yield ""
        whole = figures["whole"]
        at_once = "whole epoch | " if whole else ""
        yield f"| reviews of {length} steps | ms per step | time per epoch | {at_once}ratio to nabi |"
        yield "|---" + "|---:" * (4 if whole else 3) + "|"
        for seat, name in NAMES.items():
            time = own if seat == OWN else compared[seat].peer
            ratio = "" if seat == OWN else spread(compared[seat])
            seconds = time * steps_of_an_epoch() / 1000
            at_once = f"{whole[seat]:.1f} s | " if whole else ""
            yield f"| {name} | {time:.2f} | {seconds:.1f} s | {at_once}{ratio} |"
        yield ""
        times = ", ".join(f"{NAMES[seat]} {figures['processor'][seat]:.1f}" for seat in NAMES)
        yield f"CPU time per step in ms, summed over all threads: {times}."


def spread(comparison: Comparison) -> str:
    return f"{comparison.ratio:.2f} ({comparison.low:.2f} to {comparison.high:.2f})"


def steps_of_an_epoch() -> int:
    return -(-25_000 // BATCH)


def write(text: str) -> None:
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    if not begin:
        raise RuntimeError(f"{PAGE.name} has no place for the figures: {BEGIN}")
    with write_atomically(PAGE, "w") as file:
        file.write(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
