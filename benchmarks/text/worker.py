"""One run in its own process: `python -m benchmarks.text.worker reuters --seed 0 --out runs/here`."""

import argparse
import sys
from pathlib import Path

import torch
from rich.console import Console

from benchmarks.text.experiments import EXPERIMENTS
from nabi.errors import NabiError
from nabi.recipes import Run, RunFolder


def main() -> None:
    experiments = {experiment.name: experiment for experiment in EXPERIMENTS}
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("name", choices=experiments)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    experiment = experiments[arguments.name]
    epochs = arguments.epochs or experiment.epochs
    console = Console()
    try:
        run = Run(experiment.name, RunFolder(arguments.out), arguments.seed, epochs, console, arguments.data)
        run.figures["threads"] = arguments.threads
        experiment.main(run)
        result = run.finish()
    except NabiError as problem:
        sys.exit(f"{experiment.name}: {problem}")
    if result.interrupted:
        sys.exit(130)


if __name__ == "__main__":
    main()
