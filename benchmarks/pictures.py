"""Redraw every picture in docs/pictures, in a few minutes.

python benchmarks/pictures.py            all
python benchmarks/pictures.py gates      only names with this prefix
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from PIL import Image

from nabi import cells, explain, recipes
from nabi.nn import RNN
from nabi.targets import picture

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "pictures"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", help="prefixes of picture names; all by default")
    arguments = parser.parse_args()
    for name, draw in PICTURES.items():
        if not arguments.names or name.startswith(tuple(arguments.names)):
            draw(FOLDER / name)
            print(f"docs/pictures/{name}")


def unrolled(cell: str, path: Path) -> None:
    kind = cells.get(cell)
    made = kind(units=5, **kind.needed_settings(5, 3))
    picture.unrolled(made.program(input_size=3), 3, path)


def unrolling(path: Path) -> None:
    # This measures, and also writes the table next to the picture.
    subprocess.run([sys.executable, str(ROOT / "benchmarks" / "unrolling.py")], check=True)


def moving(path: Path) -> None:
    explain.cell_animation(cells.GRU(units=6), "hello", path, title="GRU: “hello”", language="en")


def last_written(path: Path) -> None:
    """Teach an LSTM to hold the value written last, and draw its gates.

    Input: a value in [-1, 1] and whether to write it. Target at every step: the value written last.
    """
    torch.manual_seed(0)
    time = 30

    def sequences(batch: int) -> tuple[torch.Tensor, torch.Tensor]:
        values = torch.rand(batch, time) * 2 - 1
        writes = torch.rand(batch, time) < 0.1
        writes[:, 0] = True
        last = torch.where(writes, torch.arange(time), 0).cummax(1).values
        return torch.stack([values, writes.float()], 2), values.gather(1, last)

    rnn = RNN(cells.LSTM(units=3), input_size=2, initializer="keras")
    readout = torch.nn.Linear(3, 1)
    optimizer = torch.optim.Adam([*rnn.parameters(), *readout.parameters()], lr=0.03)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.03, total_steps=1500)
    for _ in range(1500):
        x, target = sequences(64)
        loss = (readout(rnn(x)[0])[..., 0] - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    x, _ = sequences(1)
    x[..., 1] = 0.0
    x[:, [0, 8, 17, 23], 1] = 1.0
    labels = [f"write {value:+.1f}" if write else "·" for value, write in x[0].tolist()]
    title = "An LSTM that has learned to hold the value written last"
    explain.gates_picture(rnn, x, path, labels=labels, title=title, gates=["i", "f", "g", "c"])


def captions(path: Path) -> None:
    """Run the recipe, and write its picture with fewer colours, which makes the file small."""
    with tempfile.TemporaryDirectory() as folder:
        recipes.get("captions").run(folder)
        shrink(Path(folder) / "captions.png", path)


def shrink(source: Path, path: Path) -> None:
    with Image.open(source) as image:
        small = image.convert("RGB").resize(
            (image.width * 2 // 3, image.height * 2 // 3), Image.Resampling.LANCZOS
        )
        small.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


PICTURES: dict[str, Callable[[Path], None]] = {
    **{f"unrolled-{cell}.svg": partial(unrolled, cell) for cell in cells.names() if cell != "projected-lstm"},
    "gradient-distance.svg": lambda path: explain.gradient_distance_picture(path) and None,
    "gates-last-written.svg": last_written,
    "unrolling-memory.svg": unrolling,
    "animation-gru.gif": moving,
    "captions.png": captions,
}

if __name__ == "__main__":
    main()
