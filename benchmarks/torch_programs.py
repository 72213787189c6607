"""Twelve PyTorch programs of different kinds, as people write them, for what turns their modules into nabi's.

Each is a torch module whose `forward` takes a batch and returns tensors, and uses recurrent modules in its
own way. `PROGRAMS` lists them; `benchmarks/from_torch.py` times them, `tests/interchange` compares results.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

__all__ = ["PROGRAMS", "Program", "Size"]


@dataclass(frozen=True)
class Size:
    """How large a program is.

    Attributes:
        batch, time: sequences and time steps.
        units: of the recurrent modules.
        words: different words.
    """

    batch: int = 3
    time: int = 6
    units: int = 5
    words: int = 11


@dataclass(frozen=True)
class Program:
    """A PyTorch program.

    Attributes:
        name: of the kind of program.
        make: makes the module.
        batch: makes the arguments of a call, of random numbers.
    """

    name: str
    make: Callable[[Size], nn.Module]
    batch: Callable[[Size], tuple[Any, ...]]


def _lengths(size: Size) -> Tensor:
    lengths = torch.randint(1, size.time + 1, (size.batch,))
    lengths[0] = size.time
    return lengths


def _words(size: Size) -> Tensor:
    return torch.randint(1, size.words, (size.batch, size.time))


class Tagger(nn.Module):
    """A class for every word: a bidirectional LSTM of two layers on padded sentences."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.embedding = nn.Embedding(size.words, size.units, padding_idx=0)
        self.lstm = nn.LSTM(size.units, size.units, num_layers=2, bidirectional=True, batch_first=True)
        self.classify = nn.Linear(2 * size.units, 4)

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(self.embedding(words), lengths, batch_first=True, enforce_sorted=False)
        output, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        return self.classify(output)


class Translator(nn.Module):
    """Sequence to sequence: a GRU reads, a GRU cell writes and looks at what was read."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.source, self.target = (nn.Embedding(size.words, size.units) for _ in range(2))
        self.encoder = nn.GRU(size.units, size.units, batch_first=True)
        self.decoder = nn.GRUCell(2 * size.units, size.units)
        self.score = nn.Linear(size.units, size.units, bias=False)
        self.read_out = nn.Linear(2 * size.units, size.words)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        memory, state = self.encoder(self.source(source))
        h, context, found = state[-1], memory.new_zeros(memory.shape[0], memory.shape[2]), []
        for word in self.target(target).unbind(1):
            h = self.decoder(torch.cat([word, context], -1), h)
            weights = torch.softmax((memory @ self.score(h).unsqueeze(-1)).squeeze(-1), -1)
            context = (weights.unsqueeze(1) @ memory).squeeze(1)
            found.append(self.read_out(torch.cat([h, context], -1)))
        return torch.stack(found, 1)


class Policy(nn.Module):
    """An actor and a critic that share an LSTM cell; states become zero where an episode ends."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.see = nn.Linear(4, size.units)
        self.core = nn.LSTMCell(size.units, size.units)
        self.act, self.value = nn.Linear(size.units, 3), nn.Linear(size.units, 1)

    def forward(self, observations: Tensor, done: Tensor) -> tuple[Tensor, Tensor]:
        h = c = observations.new_zeros(observations.shape[1], self.core.hidden_size)
        actions, values = [], []
        for observation, ended in zip(observations, done, strict=True):
            keep = 1 - ended.unsqueeze(-1)
            h, c = self.core(torch.tanh(self.see(observation)), (h * keep, c * keep))
            actions.append(torch.log_softmax(self.act(h), -1))
            values.append(self.value(h))
        return torch.stack(actions), torch.stack(values)


class Speech(nn.Module):
    """A convolution over spectra, batch normalisation, and bidirectional GRUs on packed frames."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.convolve = nn.Sequential(
            nn.Conv1d(8, size.units, 3, padding=1), nn.BatchNorm1d(size.units), nn.ReLU()
        )
        self.gru = nn.GRU(size.units, size.units, num_layers=2, bidirectional=True, dropout=0.0)
        self.classify = nn.Linear(2 * size.units, 7)

    def forward(self, spectra: Tensor, frames: Tensor) -> Tensor:
        x = self.convolve(spectra.transpose(1, 2)).permute(2, 0, 1)
        self.gru.flatten_parameters()
        output, _ = pad_packed_sequence(self.gru(pack_padded_sequence(x, frames, enforce_sorted=False))[0])
        return torch.log_softmax(self.classify(output), -1)


class LanguageModel(nn.Module):
    """The next word: LSTM layers, the read-out shares the table of the embedding."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.table = nn.Embedding(size.words, size.units)
        self.lstm = nn.LSTM(size.units, size.units, num_layers=2)
        self.read_out = nn.Linear(size.units, size.words)
        self.read_out.weight = self.table.weight

    def forward(self, words: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        output, (h, c) = self.lstm(self.table(words.t()), (h, c))
        return self.read_out(output), h, c


class Characters(nn.Module):
    """Characters in pieces: the state goes on from piece to piece, gradients do not."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.words = size.words
        self.rnn = nn.RNN(size.words, size.units, nonlinearity="relu", batch_first=True)
        self.read_out = nn.Linear(size.units, size.words)

    def forward(self, text: Tensor) -> Tensor:
        state, found = None, []
        for piece in text.split(3, 1):
            output, state = self.rnn(functional.one_hot(piece, self.words).to(self.read_out.weight), state)
            state = state.detach()
            found.append(self.read_out(output))
        return torch.cat(found, 1)


class Twins(nn.Module):
    """Two sentences read by one encoder, which two names and a list refer to."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.table = nn.Embedding(size.words, size.units)
        self.left = nn.LSTM(size.units, size.units, batch_first=True)
        self.right = self.left
        self.both = [self.left, self.right]

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        first, second = (
            encode(self.table(words))[1][0][-1] for encode, words in zip(self.both, (one, other), strict=True)
        )
        return torch.exp(-(first - second).abs().sum(-1))


class Autoencoder(nn.Module):
    """A variational autoencoder of sequences, with noise that the caller draws."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.encode, self.decode = nn.GRU(4, size.units), nn.GRU(4 + 2, size.units)
        self.mean, self.spread, self.start = (
            nn.Linear(size.units, 2),
            nn.Linear(size.units, 2),
            nn.Linear(2, size.units),
        )
        self.read_out = nn.Linear(size.units, 4)

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        final = self.encode(x)[1][-1]
        mean, spread = self.mean(final), self.spread(final)
        z = mean + torch.exp(spread / 2) * noise
        before = torch.cat([torch.zeros_like(x[:1]), x[:-1]])
        given = torch.cat([before, z.expand(len(x), -1, -1)], -1)
        output, _ = self.decode(given, torch.tanh(self.start(z)).unsqueeze(0))
        return self.read_out(output), mean, spread


class Pointer(nn.Module):
    """A pointer network: the decoder is told the right place and points at the next one."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.encoder = nn.LSTM(2, size.units, batch_first=True, proj_size=size.units - 1)
        self.decoder = nn.LSTMCell(size.units - 1, size.units)
        self.keys, self.query = nn.Linear(size.units - 1, size.units), nn.Linear(size.units, size.units)
        self.first = nn.Parameter(torch.zeros(size.units - 1))

    def forward(self, places: Tensor, order: Tensor) -> Tensor:
        memory, _ = self.encoder(places)
        keys, state, found = self.keys(memory), None, []
        given = self.first.expand(len(places), -1)
        for chosen in order.unbind(1):
            state = self.decoder(given, state)
            found.append((torch.tanh(keys + self.query(state[0]).unsqueeze(1))).sum(-1))
            given = memory[torch.arange(len(places)), chosen]
        return torch.stack(found, 1)


class Classifier(nn.Module):
    """Reviews: the last state of a stack with dropout and layer normalisation, one sentence at a time."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.table = nn.EmbeddingBag(size.words, size.units, mode="mean")
        self.words = nn.Embedding(size.words, size.units)
        self.layers = nn.ModuleList([nn.GRU(size.units, size.units) for _ in range(3)])
        self.norms = nn.ModuleList([nn.LayerNorm(size.units) for _ in range(3)])
        self.read_out = nn.Linear(2 * size.units, 2)

    def forward(self, words: Tensor) -> Tensor:
        found = []
        for sentence in words:  # without a batch axis
            x = self.words(sentence)
            for gru, norm in zip(self.layers, self.norms, strict=True):
                x = norm(x + gru(x)[0])
            found.append(torch.cat([x[-1], self.table(sentence.unsqueeze(0))[0]]))
        return self.read_out(torch.stack(found))


class Hierarchy(nn.Module):
    """Sentences of words: a GRU reads each sentence, another one the sentences."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.table = nn.Embedding(size.words, size.units)
        self.of_words = nn.GRU(size.units, size.units, bidirectional=True, batch_first=True)
        self.of_sentences = nn.LSTM(2 * size.units, size.units, batch_first=True, bias=False)

    def forward(self, words: Tensor) -> Tensor:
        x = self.table(words)
        batch, sentences = words.shape[:2]
        _, state = self.of_words(x.flatten(0, 1))
        each = state.transpose(0, 1).reshape(batch, sentences, -1)
        return self.of_sentences(each)[0]


class Forecaster(nn.Module):
    """The next values of series of unequal length, written by an RNN cell that reads its own output."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.rnn, self.cell = nn.RNN(1, size.units, batch_first=True), nn.RNNCell(1, size.units)
        self.read_out = nn.Linear(size.units, 1)

    def forward(self, *series: Tensor) -> Tensor:
        lengths = torch.tensor([len(one) for one in series])
        padded = pad_sequence([one.unsqueeze(-1) for one in series], batch_first=True)
        packed = pack_padded_sequence(padded, lengths, batch_first=True, enforce_sorted=False)
        h = self.rnn(packed)[1][0]
        values = [self.read_out(h)]
        for _ in range(4):
            h = self.cell(values[-1], h)
            values.append(self.read_out(h))
        return torch.cat(values, -1)


def _policy(size: Size) -> tuple[Any, ...]:
    return torch.randn(size.time, size.batch, 4), (torch.rand(size.time, size.batch) < 0.2).float()


def _model(size: Size) -> tuple[Any, ...]:
    return _words(size), torch.randn(2, size.batch, size.units), torch.randn(2, size.batch, size.units)


def _pointer(size: Size) -> tuple[Any, ...]:
    return torch.rand(size.batch, size.time, 2), torch.randint(size.time, (size.batch, size.time))


def _series(size: Size) -> tuple[Any, ...]:
    return tuple([torch.randn(int(length)) for length in _lengths(size)])


PROGRAMS = (
    Program("tagger", Tagger, lambda size: (_words(size), _lengths(size))),
    Program("translator with attention", Translator, lambda size: (_words(size), _words(size))),
    Program("policy with a step cell", Policy, _policy),
    Program(
        "speech, packed frames", Speech,
        lambda size: (torch.randn(size.batch, size.time, 8), _lengths(size)),
    ),
    Program("language model, tied weights", LanguageModel, _model),
    Program("characters, detached states", Characters, lambda size: (_words(size),)),
    Program("twins, shared encoder", Twins, lambda size: (_words(size), _words(size))),
    Program(
        "variational autoencoder", Autoencoder,
        lambda size: (torch.randn(size.time, size.batch, 4), torch.randn(size.batch, 2)),
    ),
    Program("pointer, teacher forcing", Pointer, _pointer),
    Program("classifier, one sentence at a time", Classifier, lambda size: (_words(size),)),
    Program(
        "sentences of words", Hierarchy,
        lambda size: (torch.randint(size.words, (size.batch, 4, size.time)),),
    ),
    Program("forecaster, own output", Forecaster, _series),
)  # fmt: skip
