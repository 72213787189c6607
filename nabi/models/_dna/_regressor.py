"""A model that estimates a number for a sequence of DNA."""

import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi._public import public
from nabi.errors import ArgumentError
from nabi.models._classifier._held_out import HeldOut
from nabi.models._dna._frequencies import features_of
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
from nabi.models._dna._settings import WORDS, DNANumberSettings
from nabi.models._regressor._report import RegressionReport
from nabi.models._sequences._number_model import NumberModel
from nabi.models._sequences._number_samples import NumberData, divide_numbers, with_numbers
from nabi.models._sequences._number_training import NumberTraining
from nabi.models._sequences._samples import SequenceSamples
from nabi.training import as_time_limit

__all__ = ["DNARegressor"]

Floats = npt.NDArray[np.float64]


class DNANumberTraining(NumberTraining):
    """The training of a regressor of DNA."""

    kind = "DNA regressor training"


class DNARegressor(NumberModel):
    """Learns to estimate a number from a sequence of DNA, such as the strength of a promoter.

    Sequences are read as by a `DNAClassifier`; the networks are the same, with one number at their end. The
    numbers to learn are standardized. Beside the networks stands a ridge regression on how much there is of
    each base, pair and triplet, and for sequences of one length on the base at each place: an estimate is the
    weighted mean of both, unless `with_linear` is "no".

    Raises:
        ArgumentError: for a value that cannot be used; `UnknownNameError` for an unknown name.

    >>> random = np.random.default_rng(0)
    >>> sequences = ["".join(random.choice(list("ACGT"), random.integers(20, 30))) for _ in range(60)]
    >>> shares = [(one.count("G") + one.count("C")) / len(one) for one in sequences]
    >>> regressor = DNARegressor(units=4, convolutions=(8,), epochs=5)
    >>> report = regressor.fit(sequences, shares, verbose=0)
    >>> much, little = regressor.predict(["GCGCGGCCAGGCGCCAGCGGC", "ATATTAACTATATTTGAATAA"])
    >>> bool(much > 0.7), bool(little < 0.3)
    (True, True)
    """

    _kind = "DNA regressor"
    _called = "a regressor of DNA"
    _settings_type = DNANumberSettings
    _training_type = DNANumberTraining
    _things = "sequences"
    _linear_name = "ridge regression on frequencies of bases, pairs and triplets"

    settings: DNANumberSettings

    reading: Mapping[str, str] = MappingProxyType({})
    """How the file of the training was read, as for a `DNAClassifier`."""

    # Training -----------------------------------------------------------------------------------------------

    @public
    def fit(
        self,
        sequences: Sequence[str],
        targets: Sequence[Any],
        *,
        validation_share: float = 0.1,
        test_share: float = 0.1,
        validation: tuple[Sequence[str], Sequence[Any]] | None = None,
        test: tuple[Sequence[str], Sequence[Any]] | None = None,
        names: Sequence[str] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        minutes: float | None = None,
        verbose: int | str = "auto",
        callbacks: Any = None,
    ) -> RegressionReport:
        """Learn from sequences and their numbers, and measure on sequences held out.

        Everything that is wrong with them is found before training starts. Ctrl-C ends the training after
        the batch; the best weights so far are kept and measured, and the report is `interrupted`.

        Args:
            sequences: N texts of bases (A, C, G, T or U) and IUPAC ambiguity codes, of any lengths.
            targets: N finite numbers, or texts of them. Sequences with None or NaN are left out and named.
            validation_share: share of the sequences that says which weights are kept, and how much the ridge
                regression counts; 0 for none: then the last weights are kept, and both count half. Equal
                sequences are held out together.
            test_share: share of the sequences that the report is about; 0 to report on the validation
                sequences, on which the figures are a little too good.
            validation: sequences and targets instead of a share.
            test: likewise.
            names: of the sequences, for messages.
            checkpoint: a file that keeps where training stands, written every minute: the same call goes on
                from there after an interruption, and ends with the same weights as if there had been none.
                It is removed at the end.
            minutes: the time that training may take, None for all that it needs; as for a `DNAClassifier`.
            verbose: 0 nothing, 1 or "auto" a bar on a terminal, 2 a line per epoch.
            callbacks: objects of `nabi.callbacks`; they hear of epochs, batches and validation.

        Raises:
            ArgumentError: for letters that are no base, empty sequences, a target that is no finite number,
                fewer than 10 numbers or a single one, and shares that leave nothing.
            NotFiniteError: if the loss becomes NaN or infinite.
        """
        limit = as_time_limit(minutes)
        settings: DNANumberSettings = self.asked
        held_out = HeldOut(validation, test, validation_share, test_share, settings.seed)
        shares = held_out.shares
        texts, codes, told = read_sequences("sequences", sequences, names)
        groups = duplicates(texts, settings.reverse_complement)
        samples, note = with_numbers(
            SequenceSamples(list(codes), None, told, groups), _listed("targets", targets), "sequences"
        )
        notes = [note]
        given: dict[str, SequenceSamples | None] = {}
        for name, one in held_out.given.items():
            given[name] = None
            if one is not None:
                given[name], note = _given(name, one)
                notes.append(note and f"{name}: {note}")
        if settings.positions == "yes":
            every = [one for one in (samples, *given.values()) if one is not None]
            check_positions(common_length(*every), *every)
        data = divide_numbers(samples, given, shares, settings.seed, "sequences", notes)
        if verbose != 0:
            for note in data.notes:
                print(note)
        report: RegressionReport = self._learn(
            data, checkpoint=checkpoint, limit=limit, verbose=verbose, callbacks=callbacks
        )
        return report

    def _take(self, data: NumberData) -> None:
        """Take the common length, if there is one."""
        parts = [one for one in (data.train, data.validation, data.test) if one is not None]
        self._length = common_length(*parts)

    def _make_front(self) -> DNAFront:
        """Return a front for bases or words."""
        settings = self.settings
        return DNAFront(
            size=WORDS[settings.words],
            centred=False,
            places=self._places,
            hidden=settings.hidden_bases,
            either_strand=settings.reverse_complement,
        )

    @property
    def _places(self) -> int | None:
        """Length of the sequences if each place has a vector of its own."""
        return None if self.settings.positions == "no" else self._length

    def _linear_features(self, inputs: Sequence[npt.NDArray[Any]]) -> Floats:
        """Return how much there is of bases and words, and what stands at each place."""
        return features_of(inputs, self._places)

    def _example(self) -> npt.NDArray[Any]:
        """Return a sequence of one base."""
        return np.zeros(1, np.uint8)

    def _own_state(self) -> dict[str, Any]:
        """Return the common length of the sequences, and how their file was read."""
        return {"length": self._length, "reading": dict(self.reading)}

    def _set_own_state(self, state: Mapping[str, Any]) -> None:
        """Take what `_own_state` gave."""
        length = state["length"]
        self._length = None if length is None else _checks.whole("length", length, 1)
        # Files of earlier versions do not say it.
        self.reading = checked_reading(state.get("reading", {}))

    # Asking -------------------------------------------------------------------------------------------------

    @public
    def predict(self, sequences: Sequence[str], *, names: Sequence[str] | None = None) -> Floats:
        """Return the number that is estimated for each sequence, `[N]`, in the unit of the training.

        Args:
            sequences: as `fit` takes them.
            names: of the sequences, for messages.

        Raises:
            ArgumentError: for letters that are no base, empty sequences, and another length than that of the
                sequences it has learnt from, where each place has its meaning.
        """
        self._check_trained()
        _, codes, told = read_sequences("sequences", sequences, names)
        samples = SequenceSamples(list(codes), None, told)
        check_lengths(samples, self._places)
        return self._estimates(samples)[0]

    @public
    def evaluate(
        self, sequences: Sequence[str], targets: Sequence[Any], *, names: Sequence[str] | None = None
    ) -> RegressionReport:
        """Compare with the right numbers of other sequences, with the simpler models beside it.

        Args:
            sequences, targets, names: as `fit` takes them.

        Raises:
            ArgumentError: as `fit` and `predict`.
        """
        self._check_trained()
        samples, _ = _numbered("sequences", sequences, targets, names)
        check_lengths(samples, self._places)
        return self._measure(samples, "sequences", interrupted=False)

    def _numbers(self, samples: SequenceSamples) -> Floats:
        """Return what the networks say; where the strand means nothing, the mean of both strands."""
        found = super()._numbers(samples)
        if not self.settings.reverse_complement:
            return found
        mean: Floats = (found + super()._numbers(other_strands(samples))) / 2
        return mean


def _numbered(argument: str, sequences: Any, targets: Any, names: Any) -> tuple[SequenceSamples, str]:
    _, codes, told = read_sequences(argument, sequences, names)
    return with_numbers(SequenceSamples(list(codes), None, told), _listed("targets", targets), "sequences")


def _given(name: str, given: Any) -> tuple[SequenceSamples, str]:
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise ArgumentError(f"{name}: expected (sequences, targets), got {_checks.short(given)}")
    return _numbered(name, given[0], given[1], None)


def _listed(name: str, values: Any) -> list[Any]:
    if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__iter__"):
        raise ArgumentError(f"{name}: expected a list of numbers, got {_checks.short(values)}")
    return list(values)
