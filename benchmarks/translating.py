"""Train the translators of docs/translating.md and write its figures.

    python -m benchmarks.translating                       everything, some hours
    python -m benchmarks.translating --only en-de-luong    some of it
    python -m benchmarks.translating --write               only write the page from existing results

The data are read from the folder NABI_DATA. Each run writes a folder with result.json in
runs/translating-results; existing runs are not repeated without --again, and stopped ones are resumed. Models
without attention are trained for the same time as those with attention: one epoch is measured first.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from benchmarks.layers.machine import describe
from nabi import recipes
from nabi.files import write_atomically

__all__ = ["BEGIN", "END", "PAGE", "generated", "write"]

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "runs" / "translating-results"
PAGE = ROOT / "docs" / "translating.md"
PICTURE = "attention-{pair}.svg"
BEGIN = "<!-- translating: written by python -m benchmarks.translating -->"
END = "<!-- translating: end -->"
# Models without attention come after those whose training time they use.
RUNS = {
    f"{pair}-{attention}": {"pair": pair, "attention": attention}
    for pair in ("en-de", "en-ko")
    for attention in ("luong", "none")
}
LANGUAGES = {"en-de": "English to German", "en-ko": "English to Korean"}

Result = dict[str, Any]
Results = Mapping[str, Result]


def main() -> None:
    arguments = parse()
    console = Console(soft_wrap=True)
    if not arguments.write:
        torch.set_num_threads(arguments.threads)
        for name in RUNS:
            if name in arguments.only and (arguments.again or find(arguments.folder, name) is None):
                train(name, arguments, console)
    for path in write(find_all(arguments.folder), arguments.page, arguments.folder):
        console.print(f"written: {path}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.translating",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=RUNS, default=list(RUNS), help="all by default")
    parser.add_argument(
        "--epochs", type=int, help="epochs of the models with attention (default: the recipe's)"
    )
    parser.add_argument("--threads", type=int, default=2, help="threads (2)")
    parser.add_argument("--again", action="store_true", help="repeat existing results")
    parser.add_argument("--write", action="store_true", help="only write the page, train nothing")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="folder of the runs")
    parser.add_argument("--page", type=Path, default=PAGE, help="page to write")
    return parser.parse_args()


def train(name: str, arguments: argparse.Namespace, console: Console) -> None:
    """Train one model, for the recipe's epochs or for the time of its twin with attention."""
    console.rule(name)
    recipe, choices = recipes.get("translate"), RUNS[name]
    epochs = arguments.epochs
    if choices["attention"] == "none":
        twin = find(arguments.folder, f"{choices['pair']}-luong")
        if twin is None:
            sys.exit(
                f"{name} needs the training time of {choices['pair']}-luong, which has not been trained yet"
            )
        probe = find(arguments.folder, f"{name}-epoch")
        if probe is None:
            stop_if_interrupted(recipe.run(arguments.folder / f"{name}-epoch", epochs=1, choices=choices))
            probe = find(arguments.folder, f"{name}-epoch")
            assert probe is not None
        # With few pairs, an epoch may take almost no time.
        epoch = max(probe["figures"]["training_seconds"], 0.1)
        epochs = max(1, round(twin["figures"]["training_seconds"] / epoch))
        console.print(f"{epochs} epochs take as long as {choices['pair']}-luong took")
    stop_if_interrupted(recipe.run(arguments.folder / name, epochs=epochs, choices=choices, console=console))


def stop_if_interrupted(result: recipes.Result) -> None:
    if result.interrupted:
        sys.exit(130)


def find(folder: Path, name: str) -> Result | None:
    """Return the result of a finished run; None if it does not exist or was stopped."""
    try:
        result: Result = json.loads((folder / name / "result.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return None if result.get("interrupted") else result


def find_all(folder: Path) -> dict[str, Result]:
    found = {name: find(folder, name) for name in RUNS}
    return {name: result for name, result in found.items() if result is not None}


# The page ---------------------------------------------------------------------------------------------------


def write(results: Results, page: Path, folder: Path) -> list[Path]:
    """Write the page and the pictures from existing results, and return their paths.

    Raises:
        SystemExit: if there are no results, or the page lacks the markers.
    """
    if not results:
        raise SystemExit("nothing was written, because there are no results yet")
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{page} lacks the markers {BEGIN} and {END} for the figures")
    written = [page, *draw(results, folder, page.parent / "pictures")]
    with write_atomically(page, "w") as file:
        file.write(f"{before}{BEGIN}\n\n{generated(results)}\n\n{END}{after}")
    return written


def generated(results: Results) -> str:
    """Return the text between the markers."""
    found = describe()
    parts = [
        f"{found['processor']}, torch {found['torch']}. Models without attention were trained for the same "
        "time as those with attention.",
        scores(results),
        signatures(results),
    ]
    for pair, languages in LANGUAGES.items():
        result = results.get(f"{pair}-luong")
        if result is not None:
            parts += [f"### {languages}", *examples(result["figures"]["examples"])]
            parts.append(f"![Where the model looked](pictures/{PICTURE.format(pair=pair)})")
    return "\n\n".join(parts)


def scores(results: Results) -> str:
    head = ["languages", "attention", "epochs", "minutes", "weights", "validation loss", "validation BLEU"]
    head += ["test BLEU", "test chrF"]
    rows = []
    for name, result in results.items():
        figures = result["figures"]
        losses = figures["history"]["val_loss"]
        rows.append(
            [
                LANGUAGES[RUNS[name]["pair"]],
                RUNS[name]["attention"],
                len(losses),
                f"{figures['training_seconds'] / 60:.1f}",
                f"{figures['parameters']:,}",
                f"{min(losses):.3f}",
                *(f"{figures[key]:.2f}" for key in ("validation.bleu", "test.bleu", "test.chrf")),
            ]
        )
    return table(head, rows, 2)


def signatures(results: Results) -> str:
    figures = next(iter(results.values()))["figures"]
    return (
        f"BLEU: `{figures['test.bleu_signature']}`; chrF: `{figures['test.chrf_signature']}`; beam "
        f"{figures['beam']}, length penalty {figures['length_penalty']:g}. The test set was evaluated once."
    )


def examples(rows: Sequence[Mapping[str, str]]) -> list[str]:
    head = ["unseen sentence", "model translation", "human translation"]
    return [table(head, [[row["source"], row["translation"], row["reference"]] for row in rows], 3)]


def table(head: Sequence[str], rows: Sequence[Sequence[object]], texts: int) -> str:
    """Write a table with text columns followed by number columns."""
    lines = [f"| {' | '.join(head)} |", "|---" * texts + "|---:" * (len(head) - texts) + "|"]
    shown = [[str(value).replace("|", "\\|") for value in row] for row in rows]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in shown])


def draw(results: Results, folder: Path, pictures: Path) -> list[Path]:
    """Draw the attention of the models for the shown sentence whose length is closest to 12 words."""
    from nabi.explain import attention_picture
    from nabi.models import Translator

    written = []
    for pair in LANGUAGES:
        name = f"{pair}-luong"
        if name in results:
            translator = Translator.load(folder / name / "model.nabi")
            rows = results[name]["figures"]["examples"]
            source = min((row["source"] for row in rows), key=lambda text: abs(len(text.split()) - 12))
            path = pictures / PICTURE.format(pair=pair)
            written.append(attention_picture(translator.attention(source), path))
    return written


if __name__ == "__main__":
    main()
