"""The decoder: a recurrent network that writes codes while it looks at a memory."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from nabi import layers
from nabi._row_share import drawn_for_rows
from nabi.cells import Cell
from nabi.errors import ArgumentError
from nabi.models._networks._attention import Attention
from nabi.models._networks._dropout import drop_codes, row_mask
from nabi.models._networks._embedding import make_embedding
from nabi.models._networks._memory import Memory
from nabi.models._networks._recurrent_stack import RecurrentStack, StackNetwork, States

__all__ = ["DecoderNetwork"]


class _Masks(NamedTuple):
    """Dropout masks of a batch, each `[B, 1, D]`; the same at all steps."""

    embedded: Tensor | None
    outputs: tuple[Tensor | None, ...]
    readout: Tensor | None


class DecoderNetwork(StackNetwork):
    """Embedding, recurrent layers of any cell, attention, and a layer that says how probable each code is.

    A bridge makes the first states of all layers from the summary of the source: `s = tanh(W summary + b)`.
    What is read out at each step, of the width of the embedding, is `a = tanh(W [h; context] + b)` (Luong,
    Pham and Manning 2015, equation 5); without attention there is no context.

    With "luong" attention the output of a step looks at the memory. With `input_feeding` the layers read the
    `a` of the step before beside its code (the same paper, section 3.3). With "bahdanau" the state before a
    step looks at the memory, and the layers read the context beside the code (Bahdanau, Cho and Bengio 2015,
    section A.1.2).

    Args:
        codes: how many there are.
        cell: of every layer.
        memory_width: features of a vector of the memory.
        summary_width: features of the summary.
        layer_count: recurrent layers on top of each other.
        embedding_size: width of the vector of a code.
        attention: "luong", "bahdanau", or None for none.
        input_feeding: see above; only with "luong".
        tied: whether the last layer's weights are the embedding (Press and Wolf 2017).
        dropout: share of the features left out in training: of embedded codes, of the outputs of every layer,
            and of what is read out; the same at all steps of a sequence.
        embedding_dropout: share of the codes left out of a batch.

    Raises:
        ArgumentError: for input feeding without "luong"; `UnknownNameError` for another attention.
    """

    def __init__(
        self,
        codes: int,
        cell: Cell,
        *,
        memory_width: int,
        summary_width: int,
        layer_count: int = 1,
        embedding_size: int = 256,
        attention: str | None = "luong",
        input_feeding: bool = False,
        tied: bool = True,
        dropout: float = 0.0,
        embedding_dropout: float = 0.0,
    ) -> None:
        """Make the decoder with weights from torch's random numbers."""
        super().__init__()
        if input_feeding and attention != "luong":
            raise ArgumentError(f"input_feeding: expected attention='luong' beside it, got {attention!r}")
        self.dropout, self.embedding_dropout, self.input_feeding = dropout, embedding_dropout, input_feeding
        self.embedding = make_embedding(codes, embedding_size)
        self._width = width = cell.output_width
        self.attention: Attention | None = None
        if attention is not None:
            self.attention = Attention(attention, width, memory_width, width)
        # What the layers read beside the code, if anything.
        self.looks_before = attention == "bahdanau"
        beside = memory_width if self.looks_before else embedding_size if input_feeding else 0
        self.recurrent, self.bridge = RecurrentStack(cell, embedding_size + beside), torch.nn.ModuleList()
        for number in range(layer_count):
            self.recurrent.add()
            for state in cell.states:
                bridge = layers.Dense(cell.state_width(state), "tanh", name=f"bridge_{number}_{state}")
                bridge.build((None, summary_width))
                self.bridge.append(bridge)
        self._state_count = len(cell.states)
        self.combine = layers.Dense(embedding_size, "tanh", name="combine")
        self.combine.build((None, None, width + (memory_width if attention is not None else 0)))
        self.matrix: torch.nn.Parameter | None = None
        if not tied:
            self.matrix = torch.nn.Parameter(torch.empty_like(self.embedding.embeddings))
            torch.nn.init.xavier_uniform_(self.matrix)
        self.bias = torch.nn.Parameter(torch.zeros(codes))

    def readout_weights(self) -> tuple[Tensor, Tensor]:
        """Return matrix `[V, embedding_size]` and bias `[V]` of the last layer."""
        return self.embedding.embeddings if self.matrix is None else self.matrix, self.bias

    def first_states(self, memory: Memory) -> States:
        """Return the states in which the layers begin, for each layer a tuple."""
        made = [bridge(memory.summary) for bridge in self.bridge]
        count = self._state_count
        return [tuple(made[first : first + count]) for first in range(0, len(made), count)]

    def keys(self, memory: Memory) -> Tensor | None:
        """Return what the attention needs of a memory, computed once for all steps."""
        return None if self.attention is None else self.attention.keys(memory.values)

    def forward(
        self,
        memory: Memory,
        codes: Tensor,
        lengths: Tensor | None = None,
        generator: torch.Generator | None = None,
        sampled: float = 0.0,
    ) -> Tensor:
        """Return logits `[B, T, V]` of the code after each; what comes after a row's length is meaningless.

        Args:
            memory: of B sources.
            codes: what is read, `[B, T]`, int64 (teacher forcing).
            lengths: `[B]`, how many codes of a row count; None for all.
            generator: of random numbers for dropout and sampling; None for none, which is not training.
            sampled: how probably a step reads the code that the network itself found most probable after the
                step before, instead of the one given (scheduled sampling, Bengio et al. 2015).
        """
        read, _ = self._read(memory, codes, lengths, generator, sampled)
        return functional.linear(read, *self.readout_weights())

    def attend(self, memory: Memory, codes: Tensor) -> Tensor:
        """Return where each step looks, `[B, T, S]`: weights that sum to 1 over S.

        Raises:
            ArgumentError: for a decoder without attention.
        """
        if self.attention is None:
            raise ArgumentError("attend: the decoder has no attention")
        with torch.no_grad():
            _, weights = self._read(memory, codes, None, None, 0.0)
        assert weights is not None
        return weights

    def _read(
        self,
        memory: Memory,
        codes: Tensor,
        lengths: Tensor | None,
        generator: torch.Generator | None,
        sampled: float,
    ) -> tuple[Tensor, Tensor | None]:
        """What is read out at each step, `[B, T, embedding_size]`, and where the steps look."""
        table = drop_codes(self.embedding.embeddings, self.embedding_dropout, generator)
        masks = self._draw_masks(len(codes), table, generator)
        if self.looks_before or self.input_feeding or (generator is not None and sampled):
            return self._read_stepwise(memory, codes, table, masks, generator, sampled)
        x = _times(functional.embedding(codes, table), masks.embedded)
        states = self.first_states(memory)
        x, _ = self.recurrent(x, states, lengths=lengths, generator=generator, masks=masks.outputs)
        weights = None
        if self.attention is not None:
            keys = self.attention.keys(memory.values)
            context, weights = self.attention(x, memory.values, keys, memory.mask)
            x = torch.cat([x, context], dim=2)
        return _times(self.combine(x), masks.readout), weights

    def _read_stepwise(
        self,
        memory: Memory,
        codes: Tensor,
        table: Tensor,
        masks: _Masks,
        generator: torch.Generator | None,
        sampled: float,
    ) -> tuple[Tensor, Tensor | None]:
        """The same where a step needs what the step before found, besides the states."""
        states, keys = self.first_states(memory), self.keys(memory)
        noises = self.recurrent.draw_noises(len(codes), codes.shape[1], table, generator)
        read = table.new_zeros((len(codes), 1, table.shape[1]))
        query = _times(self.recurrent.output_before(states)[:, None], masks.outputs[-1])
        parts: list[Tensor] = []
        weights: list[Tensor] = []
        for number in range(codes.shape[1]):
            current = codes[:, number]
            if generator is not None and sampled and number:
                own = functional.linear(read[:, 0].detach(), *self.readout_weights()).argmax(dim=1)
                drawn = _for_rows(codes, generator) < sampled
                current = torch.where(drawn, own, current)
            x = _times(functional.embedding(current[:, None], table), masks.embedded)
            context: Tensor | None = None
            if self.looks_before:
                assert self.attention is not None
                assert keys is not None
                context, looked = self.attention(query, memory.values, keys, memory.mask)
                weights.append(looked)
                x = torch.cat([x, context], dim=2)
            elif self.input_feeding:
                x = torch.cat([x, read], dim=2)
            training = generator is not None
            x, states = self.recurrent.step(x[:, 0], states, number, noises, masks.outputs, training)
            query = x[:, None]
            if self.attention is not None and not self.looks_before:
                assert keys is not None
                context, looked = self.attention(query, memory.values, keys, memory.mask)
                weights.append(looked)
            read = query if context is None else torch.cat([query, context], dim=2)
            read = _times(self.combine(read), masks.readout)
            parts.append(read)
        return torch.cat(parts, dim=1), torch.cat(weights, dim=1) if weights else None

    def _draw_masks(self, batch: int, like: Tensor, generator: torch.Generator | None) -> _Masks:
        count = len(self.recurrent)
        if generator is None or not self.dropout:
            return _Masks(None, (None,) * count, None)

        def draw(width: int) -> Tensor:
            return row_mask((batch, 1, width), self.dropout, like, generator)

        size = like.shape[1]
        outputs = [draw(self._width) for _ in self.recurrent]
        return _Masks(draw(size), tuple(outputs), draw(size))


def _for_rows(codes: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a number from 0 to 1 for each row."""
    return drawn_for_rows(
        lambda sizes: torch.rand(sizes, generator=generator, device=codes.device), (len(codes),)
    )


def _times(x: Tensor, mask: Tensor | None) -> Tensor:
    return x if mask is None else x * mask
