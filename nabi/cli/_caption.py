"""`nabi caption`: captions for images."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nabi.cli._load import CELL_HELP, load_with_cells
from nabi.cli._outputs import Overwrite, with_files

if TYPE_CHECKING:
    from nabi.models import Captioner

__all__ = ["caption"]


@with_files(reads={"MODEL": "model", "IMAGE": "images"}, writes={"--attention": "attention"})
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
    overwrite: Overwrite = False,
    cell: Annotated[list[str] | None, typer.Option("--cell", help=CELL_HELP, metavar="FILE.py:Class")] = None,
) -> None:
    """Caption images with a trained model, one line per image."""
    from nabi.drawing import check_suffix

    if attention is not None:
        check_suffix(attention)
    loaded = load_with_cells("Captioner", model, cell or ())
    several = len(images) > 1
    drawn = []
    for image in images:
        found = loaded.caption([image], beam=beam, best=best, length_penalty=length_penalty)[0]
        before = f"{image}: " if several else ""
        for one in (found, *found.others):
            after = f"  (log probability {one.log_probability:.3f})" if best > 1 else ""
            typer.echo(f"{before}{one.text}{after}")
        if attention is not None and found.text:
            drawn.append((image, found.text))
    if attention is not None:
        _draw(loaded, drawn, attention)
        typer.echo(f"The attention is in {attention}")


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
