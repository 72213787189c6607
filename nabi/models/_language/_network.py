"""The network of a language model: from codes to how probable each next code is."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from nabi import layers
from nabi.cells import Cell
from nabi.data import Vocabulary
from nabi.models._language._settings import LanguageSettings
from nabi.models._networks._dropout import drop_codes, drop_features, drop_weights
from nabi.models._networks._embedding import make_embedding
from nabi.scan import sample_noise, scan

__all__ = ["LanguageNetwork", "States"]

# For each layer its states, each [B, width].
States = list[tuple[Tensor, ...]]


class LanguageNetwork(torch.nn.Module):
    """Embedding, recurrent layers of any cell, Dense: codes `[B, T]` to logits `[B, T, V]`.

    With tied weights the Dense layer's kernel is the embedding, turned (Press and Wolf 2017); a layer before
    it brings the outputs to the width of the embedding where they have another.

    Dropout, in training only: whole codes (Gal and Ghahramani 2016), features of the embedded codes, of the
    outputs of every layer, each the same at all steps of a window (variational dropout, the same), and
    recurrent weights (Merity et al. 2018).

    Where there are `several` texts, the states become zero at the `START` that stands between them.
    """

    def __init__(self, codes: int, settings: LanguageSettings, cell: Cell, several: bool = False) -> None:
        """Make the network with weights from torch's random numbers."""
        super().__init__()
        self.settings, self.several = settings, several
        self.embedding = make_embedding(codes, settings.embedding_size, 0.1 if settings.tied else 0.5)
        self.recurrent = torch.nn.ModuleList()
        width = settings.embedding_size
        for number in range(settings.layers):
            layer = layers.RNN(cell, return_sequences=True, name=f"recurrent_{number}")
            layer.build((None, None, width))
            self.recurrent.append(layer)
            width = cell.output_width
        self.projection: layers.Dense | None = None
        self.readout: layers.Dense | None = None
        self.bias: torch.nn.Parameter | None = None
        if settings.tied:
            if width != settings.embedding_size:
                self.projection = layers.Dense(settings.embedding_size, use_bias=False, name="projection")
                self.projection.build((None, None, width))
            self.bias = torch.nn.Parameter(torch.zeros(codes))
        else:
            self.readout = layers.Dense(codes, name="readout")
            self.readout.build((None, None, width))

    @property
    def recurrent_layers(self) -> list[layers.RNN]:
        """The layers over time."""
        return list(self.recurrent)  # type: ignore[arg-type]

    def start(self, batch: int) -> States:
        """Return the states in which a text begins: zero."""
        return [tuple(layer.get_initial_state(batch)) for layer in self.recurrent_layers]

    def readout_weights(self) -> tuple[Tensor, Tensor]:
        """Return matrix `[V, width]` and bias `[V]` of the last layer."""
        if self.readout is None:
            assert self.bias is not None
            return self.embedding.embeddings, self.bias
        assert self.readout.bias is not None
        return self.readout.kernel.T, self.readout.bias

    def forward(
        self, codes: Tensor, states: States, generator: torch.Generator | None = None
    ) -> tuple[Tensor, States]:
        """Read codes.

        Args:
            codes: `[B, T]`, int64.
            states: in which the rows are.
            generator: of random numbers for dropout; None for none, which is not training.

        Returns:
            Logits `[B, T, V]` of the code after each, and the states after the last.
        """
        settings = self.settings
        resets = codes == Vocabulary.START if self.several else None
        table = drop_codes(self.embedding.embeddings, settings.embedding_dropout, generator)
        x = drop_features(functional.embedding(codes, table), settings.input_dropout, generator)
        after: States = []
        for layer, before in zip(self.recurrent_layers, states, strict=True):
            x, final = _run(layer, x, before, resets, settings.weight_drop, generator)
            after.append(final)
            x = drop_features(x, settings.dropout, generator)
        if self.projection is not None:
            x = self.projection(x)
        return functional.linear(x, *self.readout_weights()), after


def _run(
    layer: layers.RNN,
    x: Tensor,
    states: Sequence[Tensor],
    resets: Tensor | None,
    drop: float,
    generator: torch.Generator | None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    program = layer.program(training=generator is not None)
    weights = layer.cell_parameters()
    noise: tuple[Tensor, ...] = ()
    if generator is not None:
        weights = drop_weights(program, weights, drop, generator)
        noise = sample_noise(program, len(x), x.shape[1], dtype=x.dtype, device=x.device, generator=generator)
    output, final, _ = scan(program, x, states, weights, noise=noise, resets=resets)
    return output, final
