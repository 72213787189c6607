"""A model that reads a text and writes another."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nabi import _checks
from nabi._public import public
from nabi.data import RESERVED, Vocabulary
from nabi.decoding import BeamSearch
from nabi.errors import ArgumentError
from nabi.models._task._task_model import TaskModel
from nabi.models._translator._network import TranslatorNetwork
from nabi.models._translator._pair_batches import PairBatches
from nabi.models._translator._pairs import (
    Encoded,
    Pairs,
    check_texts,
    encode_texts,
    first_few,
    unknown_share,
)
from nabi.models._translator._prepared_pairs import Prepared, prepare
from nabi.models._translator._settings import TranslatorSettings
from nabi.models._translator._training import TranslatorReport, TranslatorTraining, nats
from nabi.models._translator._writing import (
    AttentionWeights,
    Translation,
    look,
    pieces_read,
    pieces_written,
    text_of,
    write,
)
from nabi.training import ResumableTraining, as_time_limit

__all__ = ["Translator"]

# Ten epochs were enough for 29,000 pairs, thirty for 3,000.
_EPOCHS_OF_ONE = 1_800
_FEWEST_EPOCHS, _MOST_EPOCHS = 5, 300


class Translator(TaskModel):
    """Learns from pairs of texts to write the second for the first: translations, answers, anything in pairs.

    An encoder of recurrent layers reads the source, in both directions by default; a decoder of such layers
    writes the target code by code, and its attention looks at the source meanwhile (Sutskever, Vinyals and
    Le 2014; Bahdanau, Cho and Bengio 2015; Luong, Pham and Manning 2015). It is trained to say the next code
    after the right beginning, and translates by beam search.

    Raises:
        ArgumentError: for a value that cannot be used; `UnknownNameError` for an unknown name.

    >>> numbers = ["one two", "two one", "one one", "two two", "one", "two"]
    >>> digits = ["1 2", "2 1", "1 1", "2 2", "1", "2"]
    >>> translator = Translator(units=16, embedding_size=16, epochs=60, learning_rate=0.02, dropout=0.0)
    >>> report = translator.fit(numbers, digits, validation_share=0, verbose=0)
    >>> [found.text for found in translator.translate(["two one", "two"])]
    ['2 1', '2']
    """

    _kind = "translator"
    _called = "a translator"
    _settings_type = TranslatorSettings
    _report_type = TranslatorReport

    settings: TranslatorSettings
    network: TranslatorNetwork
    source_vocabulary: Vocabulary
    target_vocabulary: Vocabulary
    report: TranslatorReport
    """Of the pairs that were held out."""
    room: int
    """How many codes a target that was learnt from had beyond twice those of its source, at most."""

    # Training ---------------------------------------------------------------------------------------------

    @public
    def fit(
        self,
        sources: Sequence[str],
        targets: Sequence[str],
        *,
        validation: tuple[Sequence[str], Sequence[str]] | None = None,
        validation_share: float = 0.05,
        checkpoint: str | os.PathLike[str] | None = None,
        minutes: float | None = None,
        verbose: int | str = "auto",
        callbacks: Any = None,
    ) -> TranslatorReport:
        """Learn from pairs of texts, and measure on some that are held out.

        Pairs with nothing on one side, or with more than `maxlen` codes on one, are left out; the report
        counts them and says which the first are. All else that is wrong with the texts is found before
        training starts. Ctrl-C ends the training after the batch; the best weights so far are kept and
        measured, and the report is `interrupted`.

        Args:
            sources: N texts.
            targets: N texts, each for the source at its place.
            validation: sources and targets that are looked at after every epoch: the best weights are kept.
            validation_share: the share of the pairs that is taken for this otherwise. Pairs with the same
                source are held out together. Of few pairs it may be none: then the last weights are kept.
            checkpoint: a file that keeps where training stands, written every minute: the same call goes on
                from there after an interruption, and ends with the same weights as if there had been none.
                It is removed at the end.
            minutes: the time that training may take, None for all that it needs: there are as many steps as
                fit into it, at most all epochs, and the learning rate goes through its whole course in them.
                The clock runs from the call on; what is measured after the last validation comes on top.
            verbose: 0 nothing, 1 or "auto" a bar on a terminal, 2 a line per epoch.
            callbacks: objects of `nabi.callbacks`; they hear of epochs, batches and validation.

        Raises:
            ArgumentError: for what is no list of texts, another number of targets than of sources, and where
                no pair is left to learn from or to validate with.
            MissingFileError, FileFormatError: for a checkpoint that cannot be read.
            NotFiniteError: if the loss becomes NaN or infinite.
        """
        limit = as_time_limit(minutes)
        data = prepare(sources, targets, validation, validation_share, self.asked)
        report: TranslatorReport = self._learn(
            data, checkpoint=checkpoint, limit=limit, verbose=verbose, callbacks=callbacks
        )
        return report

    def _prepare(self, data: Prepared) -> TranslatorSettings:
        """Keep the vocabularies, and choose how often all pairs are read."""
        asked: TranslatorSettings = self.asked
        self.source_vocabulary, self.target_vocabulary = data.source, data.target
        self.room = data.train.room
        wanted = min(max(round(_EPOCHS_OF_ONE / len(data.train) ** 0.5), _FEWEST_EPOCHS), _MOST_EPOCHS)
        return replace(asked, epochs=asked.epochs or wanted)

    def _make_network(self) -> TranslatorNetwork:
        """Return a network for the codes of both vocabularies."""
        codes = len(self.source_vocabulary), len(self.target_vocabulary)
        return TranslatorNetwork(*codes, self.settings, self.cell)

    def _make_training(self, data: Prepared, checkpoint: Path | None) -> TranslatorTraining:
        """Return the training on the pairs."""
        validated = self._batches(data.validation) if len(data.validation) else None
        return TranslatorTraining(
            self.network, self._batches(data.train), validated, self.settings, checkpoint, data.texts
        )

    def _make_report(self, data: Prepared, training: ResumableTraining) -> TranslatorReport:
        """Measure on the pairs that were held out."""
        kept = data.validation
        judged = kept if len(kept) else data.train
        return TranslatorReport(
            self.settings.unit,
            len(data.train),
            len(kept),
            len(data.source) - len(RESERVED),
            len(data.target) - len(RESERVED),
            unknown_share(judged.sources),
            unknown_share(judged.targets),
            len(data.left_out),
            first_few(data.left_out),
            nats(self.network, self._batches(kept)) if len(kept) else None,
            training.position.seconds,
            training.interrupted,
        )

    def _state(self) -> dict[str, Any]:
        """Return both vocabularies, and how long targets are."""
        return {
            "source": self.source_vocabulary.to_dict(),
            "target": self.target_vocabulary.to_dict(),
            "room": self.room,
        }

    def _set_state(self, state: Mapping[str, Any]) -> None:
        """Take what `_state` gave."""
        self.source_vocabulary = Vocabulary.from_dict(state["source"])
        self.target_vocabulary = Vocabulary.from_dict(state["target"])
        self.room = int(state["room"])

    def _batches(self, encoded: Encoded) -> PairBatches:
        return PairBatches(encoded.sources, encoded.targets, self.asked.batch_size)

    # Asking -----------------------------------------------------------------------------------------------

    @public
    def translate(
        self,
        sources: Sequence[str],
        *,
        beam: int = 5,
        length_penalty: float = 1.0,
        maxlen: int | None = None,
        best: int = 1,
    ) -> list[Translation]:
        """Return what the model writes for each source, in their order.

        A beam search follows the `beam` most probable beginnings of each; see `nabi.decoding.BeamSearch`.
        Sources of about the same length are translated together, which changes no translation.

        Args:
            sources: texts. What is unknown in one is read as such; `unknown` says what it is.
            beam: how many beginnings are followed; 1 takes the most probable code each time.
            length_penalty: 0 compares probabilities, which favours short translations; 1 compares the mean
                log probability of a code.
            maxlen: codes of a translation at most, its end counted. By default twice those of the source and
                as many more as a target that was learnt from had, but ten more at least.
            best: how many translations of each are wanted; all but the best are its `others`.

        Raises:
            ArgumentError: for what is no list of texts, an empty one, and values that cannot be used.
        """
        self._check_trained()
        strategy = BeamSearch(beam, best, length_penalty)
        if maxlen is not None:
            maxlen = _checks.whole("maxlen", maxlen, otherwise=" or None")
        codes = self._codes(self.source_vocabulary, "sources", sources)
        translations = []
        for found in write(self.network, codes, strategy, maxlen, self.room):
            made = [
                Translation(
                    text_of(self.target_vocabulary, one.codes), one.log_probability, one.score, one.ended
                )
                for one in found
            ]
            translations.append(replace(made[0], others=tuple(made[1:])))
        return translations

    @public
    def attention(self, source: str, translation: str | None = None) -> AttentionWeights:
        """Return where the model looks in the source while it writes a translation.

        Args:
            source: a text.
            translation: what it writes; by default what `translate` gives.

        Raises:
            ArgumentError: for a text with nothing in it, and for a model without attention.
        """
        self._check_trained()
        if self.settings.attention is None:
            raise ArgumentError("attention: this translator was made without (attention=None)")
        (codes,) = self._codes(self.source_vocabulary, "source", [source])
        read = pieces_read(self.source_vocabulary, source)
        if translation is None:
            ((found, *_),) = write(self.network, [codes], BeamSearch(length_penalty=1.0), None, self.room)
            if not found.codes:
                raise ArgumentError("source: the model writes nothing for it; give a translation")
            target, written = np.array(found.codes), pieces_written(self.target_vocabulary, found.codes)
        else:
            (target,) = self._codes(self.target_vocabulary, "translation", [translation])
            written = pieces_read(self.target_vocabulary, translation)
        return AttentionWeights(read, written, look(self.network, codes, target))

    @public
    def evaluate(self, sources: Sequence[str], targets: Sequence[str]) -> float:
        """Return the mean negative log probability of the codes of targets and their ends, in nats.

        Raises:
            ArgumentError: for what is no list of texts, another number of targets than of sources, no pairs,
                and an empty text.
        """
        self._check_trained()
        pairs = Pairs.checked(sources, targets)
        if not len(pairs):
            raise ArgumentError("sources, targets: no pairs were given")
        left = self._codes(self.source_vocabulary, "sources", pairs.sources)
        right = self._codes(self.target_vocabulary, "targets", pairs.targets)
        return nats(self.network, PairBatches(left, right, self.settings.batch_size))

    def unknown(self, source: str) -> list[str]:
        """Return the words, characters or subwords of a source that the model does not know, each once."""
        self._check_trained()
        tokens = self.source_vocabulary.tokens(source)
        return list(dict.fromkeys(t.text for t in tokens if t.code == Vocabulary.UNKNOWN))

    def _codes(self, vocabulary: Vocabulary, name: str, texts: Any) -> list[Any]:
        every = check_texts(name, texts)
        codes = encode_texts(vocabulary, every)
        for place, own in enumerate(codes):
            if not len(own):
                where = f"{name}[{place}]" if name.endswith("s") else name
                raise ArgumentError(f"{where}: expected text that is not empty, got {every[place]!r}")
        return codes
