"""`nabi train` on a folder of pictures and a table of captions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from nabi.cli._texts import Reading
from nabi.cli._train._form import Said
from nabi.cli._train._given import given
from nabi.cli._train._outputs import say_what_is_left_out
from nabi.cli._train._system import Figures, SystemForm
from nabi.models import CaptionSettings

__all__ = ["CaptionsForm"]

_PANEL = "Images with captions"
_HELD_OUT = 0.1
_DRAWN = 8


class CaptionsForm(SystemForm):
    """Pictures with captions."""

    name, short = "a folder of pictures with captions", "captions"
    usage = "nabi train FOLDER --captions TABLE"
    what = (
        "FOLDER: pictures; TABLE: .csv, .tsv, .jsonl, .json, .parquet, .xlsx with the columns image "
        "and caption, or those of --image and --caption"
    )
    settings, model, learnt = CaptionSettings, "Captioner", "captions are"
    beside = ((".png", "some pictures"),)
    shared = frozenset({"encoding", "separator", "quotes", "header"})
    data: ClassVar = {
        "captions": given(
            Path,
            help="Table of file names and captions; FILE is the folder of the images.",
            metavar="TABLE",
            panel=_PANEL,
        ),
        "image": given(
            str,
            help="File name column.",
            metavar="COLUMN",
            show_default="image, or the first",
            panel=_PANEL,
        ),
        "caption": given(
            str,
            help="Caption column.",
            metavar="COLUMN",
            show_default="caption, or the second",
            panel=_PANEL,
        ),
    }

    def is_meant(self, said: Said) -> bool:
        """Whether there is a table of captions."""
        return said["captions"] is not None

    def inputs(self, said: Said) -> Mapping[str, Path | None]:
        """Return the table and the folder."""
        return {"the captions": said["captions"], "a picture": said["file"]}

    def read(self, said: Said, model: Any) -> tuple[Any, Any]:
        """Read the pictures, say what is left out, and hold some out."""
        from nabi.data import read_captioned_images
        from nabi.models import CaptionSamples

        found = read_captioned_images(
            said["file"],
            said["captions"],
            size=model.settings.image_size,
            image=said["image"],
            caption=said["caption"],
            **Reading.of(said).options(),
        )
        say_what_is_left_out(found.skipped, len(found.captions), "rows")
        samples = CaptionSamples(found.images, found.captions, found.skipped)
        return model, samples.divided(_HELD_OUT, model.settings.seed)

    def fit(self, said: Said, model: Any, data: Any, how: Mapping[str, Any]) -> Any:
        """Train on the pictures."""
        train, held_out = data
        validation = (held_out.images, held_out.captions)
        return model.fit(train.images, train.captions, validation=validation, **how)

    def figures(self, said: Said, model: Any, data: Any) -> Figures:
        """Return where the pictures were, and those that were left out."""
        return {
            "folder": str(said["file"]),
            "captions": str(said["captions"]),
            "skipped": list(data[0].skipped),
        }

    def try_out(
        self, said: Said, model: Any, data: Any, beside: Sequence[Path]
    ) -> tuple[str, dict[str, Any]]:
        """Draw some of the pictures that were held out, and where the model looks in them."""
        from nabi.explain import CaptionedImage, captions_picture

        images = data[1].images[:_DRAWN]
        told = zip(images, (caption.text for caption in model.caption(images)), strict=True)
        drawn = [CaptionedImage(image, text, model.attention(image, text)) for image, text in told if text]
        if drawn:
            title = "Pictures held out, what is said of them, and what was looked at"
            captions_picture(drawn, beside[0], title=title)
        return "", {}
