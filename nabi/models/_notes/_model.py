"""A model that hears music and plays on."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from nabi import _checks
from nabi._public import public
from nabi.data import KEYS, Frame, roll_of
from nabi.errors import ArgumentError
from nabi.models._notes._network import NoteNetwork, NoteSteps
from nabi.models._notes._pieces import Label, Rolls, all_labels, number_of, read_pieces, split, to_rolls
from nabi.models._notes._sampling import FrameSampling, compose
from nabi.models._notes._settings import NoteSettings
from nabi.models._notes._training import NoteReport, NoteTraining, nats_per_frame
from nabi.models._task._task_model import TaskModel
from nabi.training import Afterwards, ResumableTraining, as_time_limit

__all__ = ["NoteModel"]


class _Data(NamedTuple):
    """The pieces that a training learns from, validates with and is tested on."""

    train: Rolls
    validation: Rolls
    test: Rolls
    labels: tuple[Label, ...]
    steps_per_beat: int
    skipped: tuple[tuple[Path, str], ...]


class NoteModel(TaskModel):
    """Learns from music what sounds next, chord by chord, and composes.

    A piece is a list of frames, one for each step of time; a frame is the set of the keys that sound then,
    none or several, as MIDI pitches from 21 to 108, the 88 keys of a piano. All keys of a frame are read, and
    said, at once. Pieces begin after a frame of silence, and in states of zero.

    Raises:
        ArgumentError: for a value that cannot be used; `UnknownNameError` for an unknown name.

    >>> scale = [[60], [62], [64], [65], [67, 60]]
    >>> model = NoteModel(units=16, embedding_size=8, dropout=0, epochs=80, learning_rate=0.03)
    >>> report = model.fit([scale] * 4, validation_share=0, test_share=0, verbose=0)
    >>> list(model.write(temperature=0))
    [(60,), (62,), (64,), (65,), (60, 67)]
    """

    _kind = "note model"
    _called = "a model of notes"
    _settings_type = NoteSettings
    _report_type = NoteReport

    settings: NoteSettings
    network: NoteNetwork
    labels: tuple[Label, ...] = ()
    """The labels that pieces had, such as composers; none where they had none."""
    fewest: int = 0
    voices: int = 4
    """How many keys sound at once in the pieces that it has learnt from, at least and at most."""
    report: NoteReport
    """Of the pieces that were held out."""
    skipped: tuple[tuple[Path, str], ...] = ()
    """Files of the folder that it has learnt from which could not be read or hold no notes, and why."""

    # Training ---------------------------------------------------------------------------------------------

    @public
    def fit(
        self,
        source: Any,
        labels: Iterable[Label] | None = None,
        *,
        validation: Any = None,
        test: Any = None,
        validation_share: float = 0.1,
        test_share: float = 0.1,
        checkpoint: str | os.PathLike[str] | None = None,
        minutes: float | None = None,
        verbose: int | str = "auto",
        callbacks: Any = None,
    ) -> NoteReport:
        """Learn from pieces of music, and measure on others, which are held out.

        Everything that is wrong with the pieces is found before training starts. Ctrl-C ends the training
        after the batch; the best weights so far are kept and measured, and the report is `interrupted`.

        `history` has for each epoch `loss`, in training and with how surely the end of a piece is foreseen,
        and `val_loss`, the nats per frame of the validation pieces.

        Args:
            source: a list of pieces, each a list of frames or a `nabi.data.Piece`; or the path of a folder of
                MIDI files, which `nabi.data.read_midi_folder` reads: folders in it are labels, what cannot
                be read is skipped.
            labels: of a list of pieces: a name or a number for each, such as its composer or genre. The model
                learns what is particular to each label.
            validation: pieces that are looked at after every epoch: the best weights are kept. With
                labels they are `Piece`s. None for a share of the pieces, drawn by the seed.
            test: pieces that are looked at once, at the end; likewise.
            validation_share, test_share: of the pieces, where none are given; 0 for none at all.
            checkpoint: a file that keeps where training stands, written every minute: the same call goes on
                from there after an interruption, and ends with the same weights as if there had been none.
                It is removed at the end.
            minutes: the time that training may take, None for all that it needs: there are as many steps as
                fit into it, at most all epochs, and the learning rate goes through its whole course in them.
                The clock runs from the call on; what is measured after the last validation comes on top.
            verbose: 0 nothing, 1 or "auto" a bar on a terminal, 2 a line per epoch.
            callbacks: objects of `nabi.callbacks`; they hear of epochs, batches and validation.

        Raises:
            MissingFileError: if there is no such folder.
            ArgumentError: for a folder without music, for pieces without frames, pitches that are no keys,
                labels that only some have, shares that leave nothing.
            NotFiniteError: if the loss becomes NaN or infinite.
        """
        limit = as_time_limit(minutes)
        pieces, folder = read_pieces(source, labels, self.asked.steps_per_beat, "source")
        steps = self.asked.steps_per_beat or (1 if folder is None else folder.steps_per_beat)
        held: dict[str, Sequence[Any]] = {}
        for name, given in (("validation", validation), ("test", test)):
            if given is not None:
                held[name] = [] if _is_empty(given) else read_pieces(given, None, steps, name)[0]
        train, *drawn = split(
            pieces,
            0 if "validation" in held else validation_share,
            0 if "test" in held else test_share,
            self.asked.seed,
        )
        known = all_labels(pieces)
        rolls = to_rolls(train, known, "source")
        validated, tested = (
            to_rolls(held.get(name, share), known, name)
            for name, share in zip(("validation", "test"), drawn, strict=True)
        )
        data = _Data(rolls, validated, tested, known, steps, () if folder is None else folder.skipped)
        report: NoteReport = self._learn(
            data, checkpoint=checkpoint, limit=limit, verbose=verbose, callbacks=callbacks
        )
        return report

    def _prepare(self, data: _Data) -> NoteSettings:
        """Keep the labels, how many keys sound at once, and how long the frames are."""
        asked: NoteSettings = self.asked
        self.labels, self.skipped = data.labels, data.skipped
        self.fewest, self.voices = data.train.keys_at_once()
        return replace(asked, steps_per_beat=data.steps_per_beat)

    def _make_network(self) -> NoteNetwork:
        """Return a network that knows the labels."""
        return NoteNetwork(self.settings, self.cell, len(self.labels))

    def _make_training(self, data: _Data, checkpoint: Path | None) -> NoteTraining:
        """Return the training on the pieces; it begins with how often each key sounds."""
        train = data.train
        self.network.expect(torch.cat(train.rolls).float().mean(0), len(train.rolls) / train.frames)
        return NoteTraining(self.network, train, data.validation, self.settings, checkpoint)

    def _report_takes(self, data: _Data, training: ResumableTraining) -> Afterwards:
        """Return what tells how long the report takes: reading both parts that were held out."""
        return Afterwards((data.validation.frames + data.test.frames) / data.train.frames)

    def _make_report(self, data: _Data, training: ResumableTraining) -> NoteReport:
        """Measure on what was held out."""
        train, validation, test = data.train, data.validation, data.test
        return NoteReport(
            output=self.settings.output,
            train_pieces=len(train.rolls),
            train_frames=train.frames,
            validation_pieces=len(validation.rolls),
            validation_frames=validation.frames,
            test_pieces=len(test.rolls),
            test_frames=test.frames,
            validation=nats_per_frame(self.network, validation) if validation.rolls else None,
            test=nats_per_frame(self.network, test) if test.rolls else None,
            seconds=training.position.seconds,
            interrupted=training.interrupted,
        )

    def _state(self) -> dict[str, Any]:
        """Return the labels, and how many keys sound at once."""
        return {"labels": list(self.labels), "fewest": self.fewest, "voices": self.voices}

    def _set_state(self, state: Mapping[str, Any]) -> None:
        """Take what `_state` gave."""
        labels = tuple(state["labels"])
        if len(set(labels)) != len(labels) or any(
            isinstance(one, bool) or not isinstance(one, str | int) for one in labels
        ):
            raise ArgumentError(f"labels: expected names or whole numbers, each once, got {labels!r}")
        self.labels = labels
        # Files of earlier versions do not say how many.
        self.voices = _checks.whole("voices", state.get("voices", NoteModel.voices), 1, KEYS)
        self.fewest = _checks.whole("fewest", state.get("fewest", NoteModel.fewest), 0, self.voices)

    # Asking -----------------------------------------------------------------------------------------------

    @public
    def evaluate(self, source: Any, labels: Iterable[Label] | None = None) -> float:
        """Return the mean over all frames of the negative log probability of their keys, in nats.

        Each piece is read from its beginning, its first frame being said before anything was heard. With the
        output "keys" it is the figure that is published for the Bach chorales and other music.

        Raises:
            ArgumentError, MissingFileError: as `fit`.
        """
        self._check_trained()
        pieces, _ = read_pieces(source, labels, self.settings.steps_per_beat, "source")
        return nats_per_frame(self.network, to_rolls(pieces, self.labels, "source"))

    @public
    def write(
        self,
        primer: Iterable[Iterable[int]] = (),
        frames: int = 64,
        *,
        label: Any = None,
        temperature: float = 1.0,
        voices: int | None = None,
        fewest: int | None = None,
        ends: bool = True,
        seed: int = 0,
    ) -> Iterator[Frame]:
        """Compose on after a beginning; the frames come one by one, while they are composed.

        Any number of frames takes the same memory. The keys of a frame are drawn together: as often as the
        model gives them by chance, if frames of fewer keys than `fewest` or of more than `voices` are not
        counted.

        Args:
            primer: frames that come before: a first note `[[60]]`, a chord, a piece. Nothing is the beginning
                of a piece. They are not repeated.
            frames: how many at most.
            label: of the piece, such as its composer; for a model that has learnt labels.
            temperature: below 1 what is probable becomes more probable still, above 1 less; 0 takes the keys
                that are more probable than not.
            voices, fewest: how many keys sound in a frame, at most and at least; as in the pieces that the
                model has learnt from where it is not said.
            ends: whether the piece may end before so many frames, where the model says that it has ended.
            seed: the same seed composes the same music.

        Raises:
            ArgumentError: for pitches in the primer that are no keys of a piano, a label that is missing or
                unknown, a number that cannot be used.

        Returns an iterator of frames, tuples of pitches, the lowest first.
        """
        self._check_trained()
        frames = _checks.whole("frames", frames)
        if voices is None:
            voices = max(self.voices, 0 if fewest is None else fewest)
        if fewest is None:
            fewest = min(self.fewest, voices)
        sampling = FrameSampling(temperature, voices, fewest, seed)
        roll = torch.from_numpy(roll_of(primer, "primer"))
        number = number_of(label, self.labels) if self.labels or label is not None else None
        return compose(NoteSteps(self.network, number), roll, frames, sampling, ends=ends)


def _is_empty(given: Any) -> bool:
    return isinstance(given, Sequence) and not isinstance(given, str) and not given
