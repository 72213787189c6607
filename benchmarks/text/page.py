"""Writing the tables of docs/reading-text.md between its markers, and the picture of learning curves."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.layers.machine import describe
from benchmarks.text.curves import draw
from benchmarks.text.experiments import EXPERIMENTS, Experiment
from nabi.files import write_atomically

__all__ = ["BEGIN", "END", "PAGE", "generated", "write"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reading-text.md"
BEGIN = "<!-- reading text: written by python -m benchmarks.text -->"
END = "<!-- reading text: end -->"

Result = dict[str, Any]
Results = Mapping[str, Sequence[Result]]
FIGURES = {"test.accuracy": "accuracy", "test.weighted_f1": "weighted F1"}


def write(results: Results, path: Path) -> list[Path]:
    """Write the page and the picture from existing results, and return their paths.

    The page is created if it does not exist.

    Raises:
        SystemExit: if there are no results, or the page lacks the markers.
    """
    if not any(results.values()):
        raise SystemExit("nothing was written, because there are no results yet")
    text = path.read_text(encoding="utf-8") if path.exists() else f"# Reading text\n\n{BEGIN}\n{END}\n"
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{path} lacks the markers {BEGIN} and {END} for the tables")
    picture = path.parent / "pictures" / "reading-text.svg"
    draw(results, picture)
    with write_atomically(path, "w") as file:
        file.write(f"{before}{BEGIN}\n\n{generated(results)}\n\n{END}{after}")
    return [path, picture]


def generated(results: Results) -> str:
    """Return the text between the markers."""
    there = [experiment for experiment in EXPERIMENTS if results.get(experiment.name)]
    parts = [
        machine(results),
        "### Targets",
        *aims(there, results),
        "![Validation accuracy per epoch](pictures/reading-text.svg)",
        "### Padding",
        *padding(there, results),
        "### All runs",
        *runs(there, results),
    ]
    return "\n\n".join(part for part in parts if part)


def machine(results: Results) -> str:
    found = describe()
    every = [result for experiment in results.values() for result in experiment]
    threads = sorted({result["figures"]["threads"] for result in every})
    minutes = sum(result["seconds"] for result in every) / 60
    counted = f"{' or '.join(map(str, threads))} thread{'s' if threads != [1] else ''} per run"
    return (
        f"{found['processor']}, {counted}, torch {found['torch']}. All {len(every)} runs took "
        f"{minutes:.0f} minutes in total, including reading the data, testing and drawing."
    )


def table(head: Sequence[str], rows: Sequence[Sequence[object]], texts: int) -> str:
    """Write a table with text columns followed by number columns."""
    if not rows:
        return ""
    lines = [f"| {' | '.join(head)} |", "|---" * texts + "|---:" * (len(head) - texts) + "|"]
    return "\n".join(lines + [f"| {' | '.join(map(str, row))} |" for row in rows])


def values(results: Sequence[Result], figure: str) -> list[float]:
    return [result["figures"][figure] for result in results]


def spread(numbers: Sequence[float]) -> str:
    """Format the mean and the range.

    >>> spread([0.75, 0.77]), spread([0.75])
    ('0.760 (0.750 to 0.770)', '0.750')
    """
    mean = f"{statistics.mean(numbers):.3f}"
    return mean if len(numbers) == 1 else f"{mean} ({min(numbers):.3f} to {max(numbers):.3f})"


def aims(there: Sequence[Experiment], results: Results) -> Iterator[str]:
    yield "Scores on the test set: the mean over the seeds, with the lowest and highest in parentheses."
    head = ["data", "network", "seeds", "metric", "target", "published", "measured", "macro F1"]
    head += ["parameters", "minutes per run"]
    rows = []
    for experiment in there:
        if experiment.aim is None:
            continue
        found = results[experiment.name]
        figures = values(found, experiment.figure)
        reached = spread(figures)
        if statistics.mean(figures) >= experiment.aim:
            reached = f"**{reached}**"
        rows.append(
            [
                experiment.data,
                experiment.network,
                len(found),
                FIGURES[experiment.figure],
                f"{experiment.aim:.2f}",
                experiment.published or "-",
                reached,
                spread(values(found, "test.macro_f1")),
                f"{found[0]['figures']['parameters']:,}",
                f"{statistics.mean(result['seconds'] for result in found) / 60:.1f}",
            ]
        )
    yield table(head, rows, 2)
    if any("**" in row[6] for row in rows):
        yield "Bold: the mean meets the target."


def padding(there: Sequence[Experiment], results: Results) -> Iterator[str]:
    yield (
        "The same network, trained on batches made in different ways. Values are means over the seeds, with "
        'the lowest and highest in parentheses. "Steps" counts the steps of one epoch, including padding; '
        '"seconds per epoch" excludes validation.'
    )
    rows = []
    compared = sorted(
        (experiment for experiment in there if experiment.batches), key=lambda experiment: experiment.data
    )
    for experiment in compared:
        found = results[experiment.name]
        steps, valid = values(found, "padded_steps"), values(found, "valid_steps")
        rows.append(
            [
                experiment.data,
                experiment.network,
                experiment.batches,
                len(found),
                f"{statistics.mean(steps) / 1e6:.2f} million",
                f"{1 - sum(valid) / sum(steps):.0%}",
                f"{statistics.mean(values(found, 'seconds_per_epoch')):.1f}",
                f"{statistics.mean(values(found, 'epochs')):.0f}",
                spread(values(found, "validation_accuracy")),
                spread(values(found, "test.accuracy")),
            ]
        )
    head = ["data", "network", "batches", "seeds", "steps", "padding", "seconds per epoch", "epochs"]
    yield table([*head, "validation accuracy", "test accuracy"], rows, 3)


def runs(there: Sequence[Experiment], results: Results) -> Iterator[str]:
    yield (
        'Weights are those of the epoch with the best validation score. "Minutes of training" includes '
        'validation; "minutes" covers the whole run.'
    )
    rows = []
    for experiment in there:
        for result in results[experiment.name]:
            figures = result["figures"]
            rows.append(
                [
                    f"`{experiment.name}`",
                    result["seed"],
                    f"{figures['best_epoch']} of {figures['epochs']}",
                    f"{figures['validation_accuracy']:.4f}",
                    *(f"{figures[f'test.{name}']:.4f}" for name in ("accuracy", "macro_f1", "weighted_f1")),
                    f"{figures['seconds_per_epoch']:.1f}",
                    f"{figures['seconds_of_training'] / 60:.1f}",
                    f"{result['seconds'] / 60:.1f}",
                ]
            )
    head = ["run", "seed", "best epoch", "validation accuracy", "test accuracy", "macro F1", "weighted F1"]
    yield table([*head, "seconds per epoch", "minutes of training", "minutes"], rows, 1)
