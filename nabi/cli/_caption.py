"""`nabi caption`: captions for images."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nabi.cli._bad_rows import BadRows
from nabi.cli._load import CELL_HELP, load_with_cells
from nabi.cli._outputs import Overwrite, with_files
from nabi.cli._rows import RowWriter
from nabi.errors import FileFormatError

if TYPE_CHECKING:
    from nabi.models import Caption, Captioner

__all__ = ["caption"]


@with_files(reads={"MODEL": "model", "IMAGE": "images"}, writes={"--out": "out", "--attention": "attention"})
def caption(
    model: Annotated[
        Path,
        typer.Argument(help="A captioner, from `nabi train FOLDER --captions TABLE` or `nabi run captions`."),
    ],
    images: Annotated[list[Path], typer.Argument(help="Image files.", metavar="IMAGE...")],
    beam: Annotated[int, typer.Option(help="Beam width; 1 always takes the most probable word.")] = 3,
    best: Annotated[int, typer.Option(help="Number of captions per image, with their probabilities.")] = 1,
    length_penalty: Annotated[
        float, typer.Option(help="Captions are ranked by log probability / length to the power of this.")
    ] = 1.0,
    attention: Annotated[
        Path | None,
        typer.Option(
            help="Write a picture (.png or .svg) of the attention for each word.", metavar="PICTURE"
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object for each image, with all captions.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Write a table, .csv or .jsonl, with a row for each image.", metavar="FILE"),
    ] = None,
    overwrite: Overwrite = False,
    cell: Annotated[list[str] | None, typer.Option("--cell", help=CELL_HELP, metavar="FILE.py:Class")] = None,
) -> None:
    """Caption images with a trained model, one line per image, or a table of images and captions.

    An image that cannot be read is named and has no caption; the others go on.

    nabi caption MODEL holiday/*.jpg --out captions.csv
    """
    from nabi.drawing import check_suffix

    if attention is not None:
        check_suffix(attention)
    writer = RowWriter(out, as_json) if as_json or out is not None else None
    loaded = load_with_cells("Captioner", model, cell or ())
    drawn, bad = [], BadRows("images", "caption", len(images))
    with writer or nullcontext():
        for image in images:
            ranked: list[Caption] = []
            wrong = ""
            try:
                found = loaded.caption([image], beam=beam, best=best, length_penalty=length_penalty)[0]
                ranked = [found, *found.others]
            except FileFormatError as problem:
                wrong = bad.add(problem)
            if writer is not None:
                writer.write({"image": str(image)}, _columns(ranked, best, writer.as_json), wrong)
            elif ranked:
                _print(image if len(images) > 1 else None, ranked)
            if attention is not None and ranked and ranked[0].text:
                drawn.append((image, ranked[0].text))
        bad.end(len(images))
    if attention is not None:
        _draw(loaded, drawn, attention)
        typer.echo(f"The attention is in {attention}", err=writer is not None)


def _print(image: Path | None, ranked: Sequence["Caption"]) -> None:
    before = "" if image is None else f"{image}: "
    for one in ranked:
        after = f"  (log probability {one.log_probability:.3f})" if len(ranked) > 1 else ""
        typer.echo(f"{before}{one.text}{after}")


def _columns(ranked: Sequence["Caption"], best: int, as_json: bool) -> dict[str, Any]:
    """Return what a row says of an image: its captions, best first; empty where there are fewer."""
    if as_json:
        return {"captions": [{"text": one.text, "log_probability": one.log_probability} for one in ranked]}
    columns: dict[str, Any] = {}
    for rank in range(1, best + 1):
        number = "" if rank == 1 else f"_{rank}"
        one = ranked[rank - 1] if rank <= len(ranked) else None
        columns[f"caption{number}"] = "" if one is None else one.text
        columns[f"log_probability{number}"] = "" if one is None else f"{one.log_probability:.6f}"
    return columns


def _draw(model: "Captioner", said: Sequence[tuple[Path, str]], path: Path) -> None:
    from nabi.data import read_image
    from nabi.explain import CaptionedImage, captions_picture

    # Larger than the model's input, for human eyes.
    size = max(240, model.settings.image_size)
    captions_picture(
        [CaptionedImage(read_image(image, size), text, model.attention(image, text)) for image, text in said],
        path,
        title="Attention for each word",
    )
