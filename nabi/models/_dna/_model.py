"""A classifier of DNA: a class of a sequence, or a label for every base."""

import os
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi._public import public
from nabi.data import UNKNOWN_BASE, dna_one_hot
from nabi.errors import ArgumentError
from nabi.models._dna._front import DNAFront
from nabi.models._dna._sequences import (
    check_lengths,
    check_positions,
    checked_reading,
    common_length,
    duplicates,
    other_strands,
    read_sequences,
)
from nabi.models._dna._settings import WORDS, DNASettings
from nabi.models._sequences._labels import encode_labels, learn_labels
from nabi.models._sequences._model import SequenceData, SequenceModel, SequencePrediction
from nabi.models._sequences._report import SequenceReport
from nabi.models._sequences._samples import SequenceSamples
from nabi.models._sequences._training import SequenceTraining
from nabi.training import as_time_limit

__all__ = ["DNAClassifier"]

_BASES, _TRIPLETS = 4, 64
_AROUND = 10  # bases on either side that the baseline for labels of bases sees
_NAIVE = "naive Bayes"
_LINEAR = ("logistic regression on pairs of bases", "logistic regression on frequencies of pairs")

Array = npt.NDArray[Any]


class DNATraining(SequenceTraining):
    """The training of a classifier of DNA."""

    kind = "DNA classifier training"


class DNAClassifier(SequenceModel):
    """Learns from sequences of DNA to say their classes, or to give a label to every base.

    Bases are read one-hot, with IUPAC ambiguity codes as shares (N is a quarter of each base), or as
    overlapping words of three. Convolutions and recurrent layers of any cell follow. Beside the network stand
    simple models on the same sequences: the most frequent class, naive Bayes, and logistic regression on
    bases and on pairs of neighbouring bases.

    Raises:
        ArgumentError: for a value that cannot be used; `UnknownNameError` for an unknown name.

    >>> model = DNAClassifier(units=8, convolutions=(8,), epochs=40)
    >>> report = model.fit(["ACGTATAATC", "CGTATAATGG", "GGCGCATCGA", "TCGACCATGC"] * 8,
    ...                    ["box", "box", "none", "none"] * 8, validation_share=0, verbose=0)
    >>> [one.label for one in model.predict(["CCGTATAATA", "GACGGACCTA"])]
    ['box', 'none']
    """

    _kind = "DNA classifier"
    _called = "a classifier of DNA"
    _settings_type = DNASettings
    _training_type = DNATraining

    settings: DNASettings

    reading: Mapping[str, str] = MappingProxyType({})
    """How the file of the training was read: arguments of `nabi.data.read_dna`, by name. `nabi train` says
    it; `nabi predict` and `nabi evaluate` then read their files likewise."""

    @property
    def _answer(self) -> str:
        """A class of a sequence, or one of every base."""
        settings: DNASettings = self.asked
        return "step" if settings.per_base else "class"

    # Training -----------------------------------------------------------------------------------------------

    @public
    def fit(
        self,
        sequences: Sequence[str],
        labels: Sequence[Any],
        *,
        validation: tuple[Sequence[str], Sequence[Any]] | None = None,
        validation_share: float = 0.1,
        names: Sequence[str] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        minutes: float | None = None,
        verbose: int | str = "auto",
        callbacks: Any = None,
    ) -> SequenceReport:
        """Learn from sequences and their labels.

        Everything that is wrong with them is found before training starts. Ctrl-C ends the training after
        the batch; the best weights so far are kept and measured, and the report is `interrupted`.

        Args:
            sequences: N texts of bases (A, C, G, T or U) and IUPAC ambiguity codes, of any lengths.
            labels: the class of each; with `per_base=True` for each a text of one character per base, or a
                list of one label per base, None where it is unknown.
            validation: sequences and labels that are looked at after every epoch: the best weights are kept.
            validation_share: else so many of the sequences are held out for this; 0 for none. Equal sequences
                are held out together.
            names: of the sequences, for messages.
            checkpoint: a file that keeps where training stands, written every minute: the same call goes on
                from there after an interruption, and ends with the same weights as if there had been none.
                It is removed at the end.
            minutes: the time that training may take, None for all that it needs: there are as many steps as
                fit into it, at most all epochs, and the learning rate goes through its whole course in them.
                The clock runs from the call on; what is measured after the last validation comes on top.
            verbose: 0 nothing, 1 or "auto" a bar on a terminal, 2 a line per epoch.
            callbacks: objects of `nabi.callbacks`; they hear of epochs, batches and validation.

        Raises:
            ArgumentError: for letters that are no base, empty sequences, labels that are missing, of one
                class only or not one for each base, and a share that leaves nothing.
            NotFiniteError: if the loss becomes NaN or infinite.
        """
        limit = as_time_limit(minutes)
        settings: DNASettings = self.asked
        answer = self._answer
        texts, codes, told = read_sequences("sequences", sequences, names)
        values = _listed(labels, settings.per_base)
        known = learn_labels(values, told, answer)
        targets = encode_labels(values, told, answer, known, [len(one) for one in codes])
        samples = SequenceSamples(codes, targets, told, duplicates(texts, settings.reverse_complement))
        if validation is None:
            train, held_out = samples.divided(validation_share, settings.seed)
        else:
            if not isinstance(validation, tuple | list) or len(validation) != 2:
                raise ArgumentError(
                    f"validation: expected (sequences, labels), got {_checks.short(validation)}"
                )
            train, held_out = samples, self._labelled("validation", *validation, None, known, answer)
        learnt = common_length(train, held_out)
        if settings.positions == "yes":
            check_positions(learnt, train, held_out)
        return self._fit(
            train,
            held_out,
            known,
            checkpoint=checkpoint,
            limit=limit,
            verbose=verbose,
            callbacks=callbacks,
        )

    def _prepare(self, data: SequenceData) -> Any:
        """Take the common length, if there is one."""
        self._length = None if self._answer == "step" else common_length(data.train, data.held_out)
        return super()._prepare(data)

    def _make_front(self) -> DNAFront:
        """Return a front for bases or words."""
        settings = self.settings
        return DNAFront(
            size=WORDS[settings.words],
            centred=settings.per_base,
            places=self._places,
            hidden=settings.hidden_bases,
            either_strand=settings.reverse_complement,
        )

    @property
    def _places(self) -> int | None:
        """Length of the sequences if each place has a vector of its own."""
        return None if self.settings.positions == "no" else self._length

    def _own_state(self) -> dict[str, Any]:
        """Return the common length of the sequences, and how their file was read."""
        return {"length": self._length, "reading": dict(self.reading)}

    def _set_own_state(self, state: Mapping[str, Any]) -> None:
        """Take what `_own_state` gave."""
        length = state["length"]
        self._length = None if length is None else _checks.whole("length", length, 1)
        # Files of earlier versions do not say it.
        self.reading = checked_reading(state.get("reading", {}))

    # Simple models ------------------------------------------------------------------------------------------

    def _features_for_baselines(self, sequence: Array) -> dict[str, Array]:
        """Return bases and pairs place by place, or their frequencies where lengths differ."""
        if self._answer == "step":
            padded = np.pad(sequence, _AROUND, constant_values=UNKNOWN_BASE)
            windows = np.lib.stride_tricks.sliding_window_view(dna_one_hot(padded), 2 * _AROUND + 1, axis=0)
            name = f"logistic regression on {2 * _AROUND + 1} bases"
            return {name: windows.reshape(len(sequence), -1)}
        if self._length is None:
            triplets = dna_one_hot(sequence, 3).sum(0)
            pairs = dna_one_hot(sequence, 2)
            return {
                f"{_NAIVE} on triplets": triplets,
                "logistic regression on frequencies of bases": dna_one_hot(sequence).mean(0),
                _LINEAR[1]: pairs.sum(0) / max(len(pairs), 1),
                "logistic regression on frequencies of triplets": triplets / max(len(sequence) - 2, 1),
            }
        kept = np.full(self._length, UNKNOWN_BASE, dtype=np.uint8)
        kept[: len(sequence)] = sequence[: self._length]
        bases = dna_one_hot(kept).ravel()
        return {
            f"{_NAIVE} on bases": bases,
            "logistic regression on bases": bases,
            _LINEAR[0]: np.concatenate([bases, dna_one_hot(kept, 2).ravel()]),
        }

    def _counted_features(self) -> Mapping[str, int]:
        """Return how many values the features of naive Bayes have."""
        values = _TRIPLETS if self._length is None else _BASES
        return {name: values for name in self._widths if name.startswith(_NAIVE)}

    @property
    def _averaged_baseline(self) -> str:
        """Logistic regression on pairs."""
        return next(name for name in _LINEAR if name in self._widths)

    def _suggests_linear(self, data: SequenceData) -> bool:
        """Where all sequences have the same length."""
        return self._length is not None

    def _one_hot_features(self) -> Collection[str]:
        """Return all but frequencies, which have small and different deviations."""
        return [name for name in self._widths if "frequencies" not in name]

    # Asking -------------------------------------------------------------------------------------------------

    @public
    def predict(
        self, sequences: Sequence[str], *, names: Sequence[str] | None = None
    ) -> list[SequencePrediction]:
        """Return the class of each sequence, or the label of each of its bases, with probabilities.

        Args:
            sequences: as `fit` takes them.
            names: of the sequences, for messages and predictions.

        Raises:
            ArgumentError: for letters that are no base, empty sequences, and another length than that of the
                sequences it has learnt from, where each place has its meaning.
        """
        self._check_trained()
        return self._predict(self._samples("sequences", sequences, names))

    @public
    def probabilities(self, sequences: Sequence[str]) -> list[npt.NDArray[np.float32]]:
        """Return for each sequence the probabilities of the classes, `[C]`, or of every base, `[T, C]`.

        The classes are in the order of `labels.names`.

        Raises:
            ArgumentError: as `predict`.
        """
        self._check_trained()
        return self._probabilities(self._samples("sequences", sequences, None))

    @public
    def evaluate(
        self, sequences: Sequence[str], labels: Sequence[Any], *, names: Sequence[str] | None = None
    ) -> SequenceReport:
        """Return how good it is on other sequences, with the simple models beside it.

        Args:
            sequences, labels, names: as `fit` takes them.

        Raises:
            ArgumentError: as `fit`, and for a label that it has not learnt.
        """
        self._check_trained()
        samples = self._labelled("sequences", sequences, labels, names, self.labels, self._answer)
        self._check_lengths(samples)
        return self._measure(samples, train=self.report.train, seconds=self.report.seconds, part="sequences")

    def _labelled(
        self, argument: str, sequences: Any, labels: Any, names: Any, known: Any, answer: str
    ) -> SequenceSamples:
        _, codes, told = read_sequences(argument, sequences, names)
        values = _listed(labels, answer == "step")
        targets = encode_labels(values, told, answer, known, [len(one) for one in codes])
        return SequenceSamples(codes, targets, told)

    def _samples(self, argument: str, sequences: Any, names: Any) -> SequenceSamples:
        _, codes, told = read_sequences(argument, sequences, names)
        samples = SequenceSamples(codes, None, told)
        self._check_lengths(samples)
        return samples

    def _check_lengths(self, samples: SequenceSamples) -> None:
        check_lengths(samples, self._places)

    def _probabilities(
        self, samples: SequenceSamples, linear: bool | None = None
    ) -> list[npt.NDArray[np.float32]]:
        """Return probabilities; where the strand means nothing, the mean of both strands."""
        found = super()._probabilities(samples, linear)
        if not self.settings.reverse_complement:
            return found
        others = super()._probabilities(other_strands(samples), linear)
        return [np.mean(pair, 0, np.float32) for pair in zip(found, others, strict=True)]


def _listed(labels: Any, per_base: bool) -> list[Any]:
    """Return the labels of sequences; a text for each base is a list of characters."""
    if isinstance(labels, str | bytes | Mapping) or not hasattr(labels, "__iter__"):
        raise ArgumentError(f"labels: expected a list, got {_checks.short(labels)}")
    return [list(one) if per_base and isinstance(one, str) else one for one in labels]
