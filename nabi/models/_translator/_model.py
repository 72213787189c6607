"""A model that reads a text and writes another."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from nabi import _checks
from nabi._public import public
from nabi.cells import Cell
from nabi.data import RESERVED, Vocabulary
from nabi.decoding import BeamSearch
from nabi.errors import ArgumentError, OutputError
from nabi.models._task._cell_choice import CellChoice, cell_name, check_cell, make_cell
from nabi.models._task._saved import Saved
from nabi.models._translator import _files as _translator_files
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
from nabi.models._translator._prepared_pairs import prepare
from nabi.models._translator._report import TranslatorReport
from nabi.models._translator._settings import TranslatorSettings
from nabi.models._translator._training import TranslatorTraining, nats
from nabi.models._translator._writing import (
    AttentionWeights,
    Translation,
    look,
    pieces_read,
    pieces_written,
    text_of,
    write,
)
from nabi.training import CallbackList, as_callbacks, make_display

__all__ = ["Translator"]

# Ten epochs were enough for 29,000 pairs, thirty for 3,000.
_EPOCHS_OF_ONE = 1_800
_FEWEST_EPOCHS, _MOST_EPOCHS = 5, 300


class Translator(Saved):
    """Learns from pairs of texts to write the second for the first: translations, answers, anything in pairs.

    An encoder of recurrent layers reads the source, in both directions by default; a decoder of such layers
    writes the target code by code, and its attention looks at the source meanwhile (Sutskever, Vinyals and
    Le 2014; Bahdanau, Cho and Bengio 2015; Luong, Pham and Manning 2015). It is trained to say the next code
    after the right beginning, and translates by beam search.

    Args:
        cell: of all layers: a name of `nabi.cells.names()`, a class of a cell, or a cell.
        units: width of the cell's states.
        layers: recurrent layers on top of each other, in the encoder and in the decoder.
        bidirectional: whether the encoder reads in both directions.
        attention: "luong", after each step of the decoder; "bahdanau", before it; None for none: all that the
            decoder knows of the source are the final states of the encoder.
        input_feeding: whether the decoder reads what it found at the step before, with "luong".
        unit: what is read and written: "subwords", "words", "characters" or "pieces"; see
            `nabi.data.Vocabulary`. Only subwords and characters know the spaces of a text.
        vocabulary_size: codes at most, for the sources and for the targets each. By default 20,000 words or
            characters; of subwords or pieces 25 times the root of the number of pairs, from 300 to 8,000: of
            few pairs one learns more from parts of words that are there often.
        minimum_count: how often a word, character or subword must be there to be known.
        lowercase: whether large and small letters are the same.
        maxlen: pairs with more codes on one side are not learnt from; None for no limit.
        embedding_size: width of the vector of a code.
        tied: whether the decoder's last layer has the weights of its embedding.
        dropout: share of the features left out of embedded codes, of the outputs of every layer, and of what
            is read out, the same at all steps of a sentence.
        embedding_dropout: share of the codes left out of a batch wherever they occur.
        label_smoothing: share of the probability that is spread over all codes in training.
        scheduled_sampling: how probably a step in training reads what the decoder itself would have written
            instead of what is right. It rises evenly from 0 to this; training takes longer with it.
        batch_size: pairs, of about the same length.
        epochs: times that all pairs are read; by default 1,800 by the root of their number, from 5 to 300.
        patience: training ends when so many epochs did not lower the validation loss; None for never.
        averaging: of the weights over training, such as 0.999; None for none. It is the average that is
            validated and kept.
        learning_rate: of AdamW, at its highest.
        schedule: "cosine", the rate falls to nearly nothing until the end of the training; or "constant".
        warmup: steps of training over which the rate rises, but no more than a tenth of all.
        clipnorm: the gradient of all weights together is scaled down to this norm.
        weight_decay: of AdamW.
        seed: of everything random. The same seed gives the same result.

    Raises:
        ArgumentError: for a value that cannot be used; `UnknownNameError` for an unknown name.

    >>> numbers = ["one two", "two one", "one one", "two two", "one", "two"]
    >>> digits = ["1 2", "2 1", "1 1", "2 2", "1", "2"]
    >>> translator = Translator(units=16, embedding_size=16, epochs=60, learning_rate=0.02, dropout=0.0)
    >>> report = translator.fit(numbers, digits, validation_share=0, verbose=0)
    >>> [found.text for found in translator.translate(["two one", "two"])]
    ['2 1', '2']
    """

    network: TranslatorNetwork
    source_vocabulary: Vocabulary
    target_vocabulary: Vocabulary
    report: TranslatorReport
    """Of the pairs that were held out."""
    room: int
    """How many codes a target that was learnt from had beyond twice those of its source, at most."""

    _save, _fill = _translator_files.save, _translator_files.fill

    @public
    def __init__(
        self,
        cell: CellChoice = "gru",
        *,
        units: int = 256,
        layers: int = 1,
        bidirectional: bool = True,
        attention: str | None = "luong",
        input_feeding: bool = False,
        unit: str = "subwords",
        vocabulary_size: int | None = None,
        minimum_count: int = 1,
        lowercase: bool = False,
        maxlen: int | None = 200,
        embedding_size: int = 256,
        tied: bool = True,
        dropout: float = 0.3,
        embedding_dropout: float = 0.0,
        label_smoothing: float = 0.1,
        scheduled_sampling: float = 0.0,
        batch_size: int = 64,
        epochs: int | None = None,
        patience: int | None = None,
        averaging: float | None = None,
        learning_rate: float = 2e-3,
        schedule: str = "cosine",
        warmup: int = 400,
        clipnorm: float = 1.0,
        weight_decay: float = 0.01,
        seed: int = 0,
    ) -> None:
        check_cell(cell, None)
        self.asked = TranslatorSettings(
            cell=cell_name(cell),
            units=cell.units if isinstance(cell, Cell) else units,
            layers=layers,
            bidirectional=bidirectional,
            attention=attention,
            input_feeding=input_feeding,
            unit=unit,
            vocabulary_size=vocabulary_size,
            minimum_count=minimum_count,
            lowercase=lowercase,
            maxlen=maxlen,
            embedding_size=embedding_size,
            tied=tied,
            dropout=dropout,
            embedding_dropout=embedding_dropout,
            label_smoothing=label_smoothing,
            scheduled_sampling=scheduled_sampling,
            batch_size=batch_size,
            epochs=epochs,
            patience=patience,
            averaging=averaging,
            learning_rate=learning_rate,
            schedule=schedule,
            warmup=warmup,
            clipnorm=clipnorm,
            weight_decay=weight_decay,
            seed=seed,
        )
        self.settings = self.asked
        self.cell = make_cell(cell, self.asked.units)
        self.trained = False

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
            verbose: 0 nothing, 1 or "auto" a bar on a terminal, 2 a line per epoch.
            callbacks: objects of `nabi.callbacks`; they hear of epochs, batches and validation.

        Raises:
            ArgumentError: for what is no list of texts, another number of targets than of sources, and where
                no pair is left to learn from or to validate with.
            MissingFileError, FileFormatError: for a checkpoint that cannot be read.
            NotFiniteError: if the loss becomes NaN or infinite.
        """
        prepared = prepare(sources, targets, validation, validation_share, self.asked)
        learnt, kept = prepared.train, prepared.validation
        source, target = prepared.source, prepared.target
        display = make_display(verbose)
        wanted = min(max(round(_EPOCHS_OF_ONE / len(learnt) ** 0.5), _FEWEST_EPOCHS), _MOST_EPOCHS)
        settings = replace(self.asked, epochs=self.asked.epochs or wanted)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            network = TranslatorNetwork(len(source), len(target), settings, self.cell)
        batches = self._batches(learnt)
        validated = self._batches(kept) if len(kept) else None
        training = TranslatorTraining(
            network,
            batches,
            validated,
            settings,
            None if checkpoint is None else _checks.path("checkpoint", checkpoint, wrong=OutputError),
            prepared.texts,
        )
        shown = {"epochs": settings.epochs, "verbose": verbose, "steps": len(batches)}
        training.run(display, CallbackList(as_callbacks(callbacks), self, shown))
        self.network, self.settings = network, settings
        self.source_vocabulary, self.target_vocabulary = source, target
        self.history, self.room = training.position.history, learnt.room
        self.trained = True
        judged = kept if len(kept) else learnt
        self.report = TranslatorReport(
            settings.unit,
            len(learnt),
            len(kept),
            len(source) - len(RESERVED),
            len(target) - len(RESERVED),
            unknown_share(judged.sources),
            unknown_share(judged.targets),
            len(prepared.left_out),
            first_few(prepared.left_out),
            nats(network, validated) if validated is not None else None,
            training.position.seconds,
            training.interrupted,
        )
        return self.report

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
                raise ArgumentError(f"{where}: got {every[place]!r}, expected a text with something in it")
        return codes
