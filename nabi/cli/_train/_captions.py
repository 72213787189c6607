"""`nabi train` on a folder of pictures and a table of captions."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nabi.cli._train._form import EVERYWHERE, Form, Said, settings_of
from nabi.cli._train._outputs import (
    end_if_interrupted,
    make_model,
    say_where_it_goes_on,
    try_targets,
    write_figures,
)

if TYPE_CHECKING:
    from nabi.models import Captioner
    from nabi.models._captioner._samples import Samples

__all__ = ["FORM"]

_SETTINGS = (
    "units", "layers", "image_size", "unit", "vocabulary_size", "embedding_size", "dropout", "batch_size",
    "epochs", "learning_rate", "seed",
)  # fmt: skip
_HELD_OUT = 0.1
_DRAWN, _NAMED = 8, 5


@dataclass(frozen=True)
class _Task:
    """What the command line says."""

    folder: Path
    table: Path
    image: str | None
    caption: str | None
    encoding: str
    separator: str | None
    quoted: bool
    cells: list[str]
    out: Path | None
    settings: dict[str, Any]
    """Arguments of `Captioner` besides the cell; None where nothing was said."""


def _is_meant(said: Said) -> bool:
    return said["captions"] is not None


def _train(said: Said) -> None:
    settings = settings_of(said, _SETTINGS)
    if settings["unit"] == "auto":
        settings["unit"] = "words"
    task = _Task(
        said["file"],
        said["captions"],
        said["image"],
        said["caption"],
        said["encoding"],
        said["separator"],
        said["quotes"],
        said["cell"] or ["gru"],
        said["out"],
        settings,
    )
    _train_model(task, said)


FORM = Form(
    "a folder of pictures with captions",
    "nabi train FOLDER --captions TABLE",
    "FOLDER: pictures; TABLE: .csv, .tsv, .jsonl, .parquet with the columns image and caption, or those of "
    "--image and --caption",
    EVERYWHERE | {"captions", "image", "caption", "encoding", "separator", "quotes"} | set(_SETTINGS),
    _is_meant,
    _train,
)


def _train_model(task: _Task, said: Said) -> None:
    """Train on the pictures, show how good it is and what it says of some, save it."""
    from nabi.training import on_threads

    path = task.out or Path(task.folder.resolve().name + ".nabi")
    model_path, figures, picture, checkpoint = try_targets(
        path,
        ".json",
        ".png",
        ".training",
        said=said,
        read={"the captions": task.table, "a picture": task.folder},
    )
    model = _model(task)
    train, held_out = _read(task, model)
    say_where_it_goes_on(checkpoint)
    with on_threads(said["threads"]):
        validation = (held_out.images, held_out.captions)
        report = model.fit(train.images, train.captions, validation=validation, checkpoint=checkpoint)
        model.save(model_path)
        _draw(model, held_out, picture)
    content = {
        "folder": str(task.folder),
        "captions": str(task.table),
        "skipped": list(train.skipped),
        "report": report.to_dict(),
        "settings": model.settings.to_dict(),
        "history": model.history,
    }
    write_figures(figures, content)
    typer.echo(f"\n{report}\n")
    typer.echo(f"The model is in {model_path}, its figures in {figures}, some pictures in {picture}")
    own = f" --cell {task.cells[0]}" if ":" in task.cells[0] else ""
    typer.echo(f"It captions pictures with: nabi caption {model_path}{own} IMAGE")
    end_if_interrupted(report.interrupted, checkpoint)


def _read(task: _Task, model: "Captioner") -> tuple["Samples", "Samples"]:
    """Read the pictures, say what was passed over, and hold some out."""
    from nabi.data import read_captioned_images
    from nabi.models._captioner._samples import Samples, divide

    found = read_captioned_images(
        task.folder,
        task.table,
        size=model.settings.image_size,
        image=task.image,
        caption=task.caption,
        encoding=task.encoding,
        separator=task.separator,
        quoted=task.quoted,
    )
    if found.skipped:
        typer.echo(
            f"{len(found.skipped)} of {len(found.skipped) + len(found.captions)} rows are passed over:"
        )
        for problem in found.skipped[:_NAMED]:
            typer.echo(f"  {problem}")
        if len(found.skipped) > _NAMED:
            typer.echo(f"  and {len(found.skipped) - _NAMED} more")
    return divide(Samples(found.images, found.captions, found.skipped), _HELD_OUT, model.settings.seed)


def _draw(model: "Captioner", samples: "Samples", path: Path) -> None:
    """Draw some of the pictures that were held out, and where the model looks in them."""
    from nabi.explain import CaptionedImage, captions_picture

    images = samples.images[:_DRAWN]
    said = [caption.text for caption in model.caption(images)]
    drawn = [
        CaptionedImage(image, text, model.attention(image, text))
        for image, text in zip(images, said, strict=True)
        if text
    ]
    if drawn:
        captions_picture(drawn, path, title="Pictures held out, what is said of them, and what was looked at")


def _model(task: _Task) -> "Captioner":
    """The model, with a cell whose equations are tried out."""
    from nabi.models import Captioner

    said = {name: value for name, value in task.settings.items() if value is not None}
    model: Captioner = make_model(Captioner, task.cells, said, learnt="captions are")
    return model
