"""A model that says what happens in a clip."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi._public import public
from nabi.data import Clips, Labels, clip_frames, keep_readable_clips, read_clips
from nabi.errors import ArgumentError
from nabi.models._clips._encoder import FrameEncoder
from nabi.models._clips._settings import ClipSettings
from nabi.models._sequences._labels import encode_labels, learn_labels
from nabi.models._sequences._model import SequenceModel, SequencePrediction
from nabi.models._sequences._report import SequenceReport
from nabi.models._sequences._samples import SequenceSamples
from nabi.models._sequences._stream import SequenceStream
from nabi.models._sequences._training import SequenceTraining
from nabi.training import as_time_limit

__all__ = ["ClipClassifier"]

_SMALL = 8
"""Height and width of the frames that the simple models see."""


class ClipTraining(SequenceTraining):
    """The training of a clip classifier."""

    kind = "clip classifier training"
    material = "clips or labels"


class ClipClassifier(SequenceModel):
    """Learns from clips with one label each to label clips.

    Convolutions make a vector of each frame, in which places differ; recurrent layers of any cell read the
    vectors; the class is read from the last step, the mean and the largest values of all steps. Beside it
    stand two logistic regressions, on one frame (the middle one) and on the mean of all frames: where they
    are as good, no motion is needed to tell the classes apart.

    Raises:
        ArgumentError: for a value that cannot be used; `UnknownNameError` for an unknown name.

    >>> rising = [np.full((6, 8, 8, 3), np.arange(0, 240, 40)[:, None, None, None], np.uint8)] * 12
    >>> falling = [clip[::-1] for clip in rising]
    >>> model = ClipClassifier(units=8, image_size=8, channels=(4,), epochs=10, learning_rate=0.02)
    >>> report = model.fit([*rising, *falling], ["up"] * 12 + ["down"] * 12, verbose=0)
    >>> [told.label for told in model.predict([falling[0], rising[0]])]
    ['down', 'up']
    >>> report.baselines["majority"]
    0.5
    """

    _kind = "clip classifier"
    _called = "a clip classifier"
    _settings_type = ClipSettings
    _training_type = ClipTraining

    settings: ClipSettings

    @public
    def fit(
        self,
        clips: Any,
        labels: Sequence[Any] | None = None,
        *,
        groups: Sequence[Any] | None = None,
        validation: Any = None,
        validation_share: float = 0.15,
        test: Any = None,
        checkpoint: str | os.PathLike[str] | None = None,
        minutes: float | None = None,
        verbose: int | str = "auto",
        callbacks: Any = None,
    ) -> SequenceReport:
        """Learn from clips and a label of each.

        Everything that is wrong with them is found before training starts. Files that cannot be used (no
        images, a single frame, damaged) are left out and named in the report. Ctrl-C ends the training
        after the batch; the best weights so far are kept and measured, and the report is `interrupted`.

        Args:
            clips: a folder as `nabi.data.read_clips` reads it, or what that returns; or a list of clips:
                files and folders as `nabi.data.read_clip` reads them, or arrays
                `[frames, height, width, channels]` or `[frames, height, width]` of whole numbers from 0 to
                255, each of its own length and size.
            labels: of a list of clips, text or numbers, one for each.
            groups: what each clip of a list belongs to, such as a recording or a person: a group is never
                divided between training and validation.
            validation: a folder, or `(clips, labels)`, looked at after every epoch: the best weights
                are kept.
            validation_share: else so many of the clips are held out for this; 0 for none.
            test: a folder, or `(clips, labels)`, that the report is about; by default what was held out, on
                which the figures are a little too good.
            checkpoint: a file that keeps where training stands, written every minute: the same call goes on
                from there after an interruption, and ends with the same weights as if there had been none.
                It is removed at the end.
            minutes: the time that training may take, None for all that it needs: there are as many steps as
                fit into it, at most all epochs, and the learning rate goes through its whole course in them.
                The clock runs from the call on; what is measured after the last validation comes on top.
            verbose: 0 nothing, 1 or "auto" a bar on a terminal, 2 a line per epoch.
            callbacks: objects of `nabi.callbacks`; they hear of epochs, batches and validation.

        Returns:
            Figures of what was held out, with the simple models beside.

        Raises:
            ArgumentError, ShapeError: for what are no clips or labels, half of the files or more that cannot
                be used, fewer than two classes, and a share that leaves nothing.
            NotFiniteError: if the loss becomes NaN or infinite.
        """
        limit = as_time_limit(minutes)
        found, known = self._read("clips", clips, labels, groups, self.asked)
        classes = learn_labels(known, found.names, "class")
        train = _labelled(found, known, classes)
        parts: dict[str, SequenceSamples | None] = {}
        for name, given in (("validation", validation), ("test", test)):
            others, own = given, None
            if isinstance(given, tuple) and not isinstance(given, Clips):
                if len(given) != 2:
                    raise ArgumentError(
                        f"{name}: expected a folder or (clips, labels), got {len(given)} things"
                    )
                others, own = given
            parts[name] = None
            if given is not None:
                parts[name] = _labelled(*self._read(name, others, own, None, self.asked), classes)
        held_out = parts["validation"]
        if held_out is None:
            train, held_out = train.divided(validation_share, self.asked.seed)
        return self._fit(
            train,
            held_out,
            classes,
            test=parts["test"],
            checkpoint=checkpoint,
            limit=limit,
            verbose=verbose,
            callbacks=callbacks,
        )

    def _make_front(self) -> FrameEncoder:
        """Return the convolutions over a frame."""
        told = self.settings
        return FrameEncoder(told.image_size, told.channels, told.features, told.shift, told.colour)

    def _features_for_baselines(self, sequence: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        """Return the middle frame and the mean of all frames, small."""
        return {
            "logistic regression on one frame": _small(sequence[len(sequence) // 2]),
            "logistic regression on the mean of all frames": _small(sequence.mean(0)),
        }

    # Asking -------------------------------------------------------------------------------------------------

    @public
    def predict(self, clips: Any) -> list[SequencePrediction]:
        """Return what is said of each clip: label, probability, and the probabilities of all classes.

        Args:
            clips: a list as `fit` takes it; or the path of one clip.

        Raises:
            ArgumentError, ShapeError: for what are no clips.
            MissingFileError, FileFormatError: for a file that is not there, or cannot be used.
        """
        self._check_trained()
        listed = [clips] if isinstance(clips, str | os.PathLike) else clips
        _check_listed("clips", listed)
        return self._predict(self._all(listed)) if len(listed) else []

    @public
    def evaluate(self, clips: Any, labels: Sequence[Any] | None = None) -> SequenceReport:
        """Return how many clips are labelled right, with the simple models beside.

        Args:
            clips, labels: as `fit` takes them; files that cannot be used are left out and named.

        Raises:
            ArgumentError, ShapeError: as `fit`, and for a label that was not learnt.
        """
        self._check_trained()
        samples = _labelled(*self._read("clips", clips, labels, None, self.settings), self.labels)
        return self._measure(
            samples,
            train=self.report.train,
            seconds=self.report.seconds,
            skipped=samples.skipped,
        )

    @public
    def steps(self, clip: Any) -> npt.NDArray[np.float32]:
        """Return the probabilities after each frame, as if the clip ended there: `[frames, classes]`.

        Args:
            clip: a file, a folder or an array, as `fit` takes them.

        Raises:
            ArgumentError, ShapeError, MissingFileError, FileFormatError: as `predict`.
        """
        self._check_trained()
        frames = self._all([clip]).inputs[0]
        return np.stack(
            self._probabilities(SequenceSamples([frames[:end] for end in range(1, len(frames) + 1)]))
        )

    @public
    def stream(self) -> SequenceStream:
        """Return a reader of frames as they come; `push(frames)` gives the probabilities so far.

        It takes frames `[n, image_size, image_size, 3]`, which `nabi.data.fit_images` makes.

        Raises:
            ArgumentError: before training, and for a network that reads in both directions.
        """
        return self._stream()

    # Reading ------------------------------------------------------------------------------------------------

    def _read(
        self,
        name: str,
        clips: Any,
        labels: Sequence[Any] | None,
        groups: Sequence[Any] | None,
        settings: ClipSettings,
    ) -> tuple[SequenceSamples, list[Any]]:
        """Return clips in one size, and their labels."""
        size, most = settings.image_size, settings.most_frames
        if isinstance(clips, str | os.PathLike):
            clips = read_clips(clips, size, frames=most)
        if isinstance(clips, Clips):
            for argument, one in (("labels", labels), ("groups", groups)):
                if one is not None:
                    raise ArgumentError(f"{argument}: a folder has its own; give them with a list of clips")
            told = None if clips.groups is None else tuple(clips.groups)
            inputs = [
                clip_frames(*one, size, most).frames for one in zip(clips.names, clips.clips, strict=True)
            ]
            return SequenceSamples(inputs, None, clips.names, told, clips.skipped), list(clips.labels)
        _check_listed(name, clips)
        count = len(clips)
        if not count:
            raise ArgumentError(f"{name}: expected at least one clip, got none")
        for argument, one in (("labels", labels), ("groups", groups)):
            if argument == "labels" and one is None:
                raise ArgumentError(f"labels: expected one for each of {count} clips, got none")
            if one is not None and (isinstance(one, str) or not hasattr(one, "__len__") or len(one) != count):
                got = len(one) if hasattr(one, "__len__") else type(one).__name__
                raise ArgumentError(f"{argument}: expected one for each of {count} clips, got {got}")
        names = _names(name, clips)
        read = keep_readable_clips(name, clips, names, size, most)
        samples = SequenceSamples(
            read.clips,
            None,
            tuple(names[row] for row in read.rows),
            None if groups is None else tuple(groups[row] for row in read.rows),
            read.skipped,
        )
        return samples, [(labels or ())[row] for row in read.rows]

    def _all(self, clips: Sequence[Any]) -> SequenceSamples:
        """Return clips of which none may be left out."""
        names = _names("clips", clips)
        size, most = self.settings.image_size, self.settings.most_frames
        read = [clip_frames(name, clip, size, most).frames for name, clip in zip(names, clips, strict=True)]
        return SequenceSamples(read, None, names)


def _check_listed(name: str, clips: Any) -> None:
    # An array [clips, frames, height, width] is a list of clips without channels.
    listed = isinstance(clips, Sequence | np.ndarray) and not isinstance(clips, str | bytes)
    if not listed or (isinstance(clips, np.ndarray) and clips.ndim == 3):
        raise ArgumentError(
            f"{name}: expected a list of clips, got {_checks.short(clips)}; put a single clip into a list"
        )


def _names(name: str, clips: Sequence[Any]) -> tuple[str, ...]:
    return tuple(
        os.fspath(clip) if isinstance(clip, str | os.PathLike) else f"{name}[{row}]"
        for row, clip in enumerate(clips)
    )


def _labelled(samples: SequenceSamples, labels: list[Any], classes: Labels) -> SequenceSamples:
    return replace(samples, targets=encode_labels(labels, samples.names, "class", classes))


def _small(frame: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return a frame `[size, size, 3]` in a height and width of 8, as one vector from 0 to 1."""
    size = len(frame)
    edges = np.linspace(0, size, min(_SMALL, size) + 1).astype(np.int64)[:-1]
    counts = np.diff(np.append(edges, size))
    sums = np.add.reduceat(np.add.reduceat(frame.astype(np.float64), edges, 0), edges, 1)
    means: npt.NDArray[np.float64] = sums / (255.0 * counts[:, None, None] * counts[None, :, None])
    return means.reshape(-1)
