"""Small models for decoding: tables of probabilities, and networks with random weights."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from nabi import cells, nn
from nabi.decoding import select_rows


@dataclass
class Table:
    """The next code depends on how many codes were read and on the last one: `table` `[steps, V, V]`."""

    table: Tensor
    rows_computed: list[int] = field(default_factory=list)

    def start(self, rows: int) -> Tensor:
        return torch.zeros(rows, dtype=torch.int64)

    def step(self, codes: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        self.rows_computed.append(len(codes))
        return self.table[state % len(self.table), codes].log_softmax(-1), state + 1

    def select(self, state: Tensor, rows: Tensor) -> Any:
        return select_rows(state, rows)


class Network:
    """Two layers of an LSTM over embedded codes; float64, so that batches and rows agree in every choice."""

    def __init__(self, seed: int, size: int = 6) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.embedding = torch.randn(size, 4, dtype=torch.float64)
            self.rnn = nn.RNN(cells.LSTM(5), input_size=4, num_layers=2, dtype=torch.float64)
            self.readout = 2 * torch.randn(5, size, dtype=torch.float64)

    def start(self, rows: int) -> Any:
        return tuple(torch.zeros(2, rows, 5, dtype=torch.float64) for _ in range(2))

    def step(self, codes: Tensor, state: Any) -> tuple[Tensor, Any]:
        with torch.no_grad():
            output, state = self.rnn.step(self.embedding[codes], state)
            return (3 * output @ self.readout).log_softmax(-1), state

    def select(self, state: Any, rows: Tensor) -> Any:
        return select_rows(state, rows, axis=1)
