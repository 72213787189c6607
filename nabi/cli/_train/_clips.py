"""`nabi train` on a folder of clips."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import typer

from nabi.cli._train._form import Said
from nabi.cli._train._given import given
from nabi.cli._train._outputs import draw_confusion, say_what_is_left_out
from nabi.cli._train._system import Figures, SystemForm
from nabi.models import ClipSettings

__all__ = ["ClipsForm"]

_NAMED = 5


class ClipsForm(SystemForm):
    """Clips with labels."""

    name, short = "a folder of clips with labels", "clips"
    usage = "nabi train FOLDER --frames"
    what = (
        "FOLDER: a folder for each class with its clips, or clips and labels.csv with the columns clip and "
        "label; a clip is a folder of images, a GIF, WebP or PNG with several frames, or a video file"
    )
    settings, model, learnt = ClipSettings, "ClipClassifier", "clips are"
    beside = ((".png", "the confusion matrix"),)
    shared = frozenset({"balanced", "validation", "test"})
    data: ClassVar = {
        "frames": given(
            bool, "--frames", default=False, help="FILE is a folder of clips with labels.", panel="Clips"
        ),
    }

    def is_meant(self, said: Said) -> bool:
        """Whether the command line says so."""
        return bool(said["frames"])

    def inputs(self, said: Said) -> Mapping[str, Path | None]:
        """Return the folders."""
        return {"the clips": said["file"], "--validation": said["validation"], "--test": said["test"]}

    def read(self, said: Said, model: Any) -> tuple[Any, Any]:
        """Read the clips, say what they are and what was left out."""
        from nabi.data import read_clips

        weight = {"class_weight": "balanced"} if said["balanced"] else {}
        model = self.make(said, **weight)
        size, most = model.settings.image_size, model.settings.most_frames
        found = {
            name: read_clips(said[name], size, frames=most)
            for name in ("file", "validation", "test")
            if said[name] is not None
        }
        for name, clips in found.items():
            _tell(clips, said[name], size, most)
        return model, found

    def fit(self, said: Said, model: Any, data: Any, how: Mapping[str, Any]) -> Any:
        """Train on the clips."""
        others = {name: data.get(name) for name in ("validation", "test")}
        return model.fit(data["file"], **others, **how)

    def figures(self, said: Said, model: Any, data: Any) -> Figures:
        """Return where the clips were, and those that were left out."""
        folders = {"folder" if name == "file" else name: str(said[name]) for name in data}
        return {**folders, "skipped": [one for clips in data.values() for one in clips.skipped]}

    def try_out(
        self, said: Said, model: Any, data: Any, beside: Sequence[Path]
    ) -> tuple[str, dict[str, Any]]:
        """Draw the confusion matrix."""
        draw_confusion(model, beside[0])
        return "", {}


def _tell(clips: Any, folder: Path, size: int, most: int) -> None:
    """Say what was read."""
    lengths = [len(one) for one in clips.clips]
    classes = len(set(clips.labels))
    typer.echo(
        f"{folder}: {len(lengths):,} clips of {classes} classes, {min(lengths)} to {max(lengths)} frames each"
    )
    if set(clips.sizes) != {(size, size)}:
        ranked = sorted(clips.sizes.items(), key=lambda item: -item[1])
        shown = ", ".join(f"{width} × {height} ({count:,})" for (width, height), count in ranked[:_NAMED])
        more = f" and {len(ranked) - _NAMED} more sizes" if len(ranked) > _NAMED else ""
        typer.echo(
            f"Frames are resized to {size} × {size}. Sizes, and how many clips have them: {shown}{more}"
        )
    if clips.thinned:
        typer.echo(f"{clips.thinned:,} clips have more than {most} frames; {most} of each are read")
    say_what_is_left_out(clips.skipped, len(lengths), "clips")
