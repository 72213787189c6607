"""A network that reads a sequence while it comes, in chunks of any size."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nabi import layers
from nabi.errors import ArgumentError, ShapeError
from nabi.models._sequences._network import (
    BatchNormalization,
    SequenceNetwork,
    SequenceNetworks,
    TimeConvolution,
)
from nabi.scan import PreparedStep

__all__ = ["SequenceStream"]

State = dict[str, Tensor]


class SequenceStream:
    """Reads one sequence in chunks of any size, with weights as they were when it was made.

    What it answers does not depend on where the sequence is cut, to the last bit: every step is computed by
    itself with the same operations. (A whole batch at once is computed by other ones, which round
    differently: the probabilities of `SequenceModel.probabilities` agree to about six digits.)

    Made by `SequenceModel.stream`. Several streams of one model do not disturb each other.

    Attributes:
        steps: how many steps have been read so far, after the front.
    """

    def __init__(
        self,
        networks: SequenceNetworks,
        classes: tuple[str, ...],
        shape: tuple[int, ...],
        dtype: npt.DTypeLike,
    ) -> None:
        self.answer, self.classes = networks.answer, classes
        self._shape, self._dtype = shape, dtype
        self._readers = [_Reader(network) for network in networks.networks]
        # What the same front says to several networks is computed once.
        first, *others = [network.front for network in networks.networks]
        self._same_front = all(_are_same(first, other) for other in others)

    def reset(self) -> None:
        """Begin a new sequence."""
        for reader in self._readers:
            reader.reset()

    @property
    def steps(self) -> int:
        """Steps of the answer so far."""
        return self._readers[0].count

    def push(self, chunk: Any) -> npt.NDArray[np.float32]:
        """Read the next part of the sequence.

        Args:
            chunk: an array `[n, ...]` of steps as in training; n may be 0.

        Returns:
            Probabilities. For the answer "class" `[classes]`, of the sequence up to here; zeros before its
            first step. For "step" and "string" `[m, classes]`, of the m steps that the chunk completed
            (for "string" the first column is the blank).

        Raises:
            ShapeError: for steps of another shape.
        """
        array = np.ascontiguousarray(chunk, dtype=self._dtype)
        if np.ndim(chunk) == 0 or array.shape[1:] != self._shape:
            raise ShapeError(f"chunk: expected the shape (n, {str(self._shape)[1:]}, got {np.shape(chunk)}")
        with torch.no_grad():
            told = torch.from_numpy(array)
            features = self._readers[0].features(told)
            mean = self._readers[0].push(features)
            for reader in self._readers[1:]:
                mean = mean + reader.push(features if self._same_front else reader.features(told))
            if len(self._readers) > 1:
                mean = mean / len(self._readers)
            answer: npt.NDArray[np.float32] = mean.numpy()
        return answer

    def state(self) -> State:
        """Return where the stream stands: tensors by name, to be kept with any means that keeps tensors."""
        return {
            f"{number}/{name}": value.clone()
            for number, reader in enumerate(self._readers)
            for name, value in reader.state().items()
        }

    def set_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from where another stream of the same model stood.

        Raises:
            ArgumentError: for the state of another model.
        """
        now = self.state()
        fits = state.keys() == now.keys() and all(
            state[name].dtype == value.dtype and state[name].shape[1:] == value.shape[1:]
            for name, value in now.items()
        )
        if not fits:
            raise ArgumentError("state: expected what state() of a stream of this model gave")
        for number, reader in enumerate(self._readers):
            reader.set_state({name: state[f"{number}/{name}"].clone() for name in reader.state()})


class _Reader:
    """One network, prepared for single steps, and where it stands in a sequence."""

    def __init__(self, network: SequenceNetwork) -> None:
        with torch.no_grad():
            self._front, self._answer = network.front, network.answer
            self._convolutions = [
                _ConvolutionStep(one) for one in network.convolutions if isinstance(one, TimeConvolution)
            ]
            rnns = [one for one in network.recurrent if isinstance(one, layers.RNN)]
            self._recurrent = [PreparedStep(layer.program(), layer.cell_parameters()) for layer in rnns]
            self._weight, self._bias = (
                network.head.weight.detach().clone(),
                network.head.bias.detach().clone(),
            )
            self._width, self._is_state = rnns[-1].cell.output_width, not rnns[-1].cell.output
        self.reset()

    def reset(self) -> None:
        """Stand before the first step."""
        self.count = 0
        self._of_front = self._front.start()
        self._pasts = [one.start() for one in self._convolutions]
        self._phases = [0] * len(self._convolutions)
        self._states = [step.start(1) for step in self._recurrent]
        # Before the first step; after it the output of the last one, which may be no state.
        self._last = self._states[-1][0].new_zeros(1, self._width)
        self._sum, self._largest = torch.zeros_like(self._last), torch.full_like(self._last, -torch.inf)
        self._told: Tensor | None = None
        """The last answer, until there is a new step."""

    def features(self, chunk: Tensor) -> Tensor:
        """Return what the front makes of a chunk, for `push`."""
        features, self._of_front = self._front.read(chunk, self._of_front)
        return features

    def push(self, features: Tensor) -> Tensor:
        """Read features of steps; return probabilities as `SequenceStream.push`."""
        answers = []
        for place in range(len(features)):
            x = self._convolved(features[place : place + 1])
            if x is None:
                continue
            for number, step in enumerate(self._recurrent):
                x, self._states[number] = step.read(x, self._states[number])
            self._last = x
            self.count, self._told = self.count + 1, None
            if self._answer != "class":
                answers.append(self._said(x))
            else:
                self._sum = self._sum + x
                self._largest = torch.maximum(self._largest, x)
        if self._answer != "class":
            return torch.cat(answers) if answers else self._bias.new_zeros(0, len(self._bias))
        if not self.count:
            return torch.zeros_like(self._bias)
        if self._told is None:
            summaries = [self._last, self._sum / self.count, self._largest]
            self._told = self._said(torch.cat(summaries, 1))[0]
        return self._told

    def _convolved(self, x: Tensor) -> Tensor | None:
        """Read a step `[1, D]`; return one of the last convolution where it is its turn."""
        for number, convolution in enumerate(self._convolutions):
            found, self._pasts[number] = convolution(x, self._pasts[number], self._phases[number])
            self._phases[number] = (self._phases[number] + 1) % convolution.stride
            if found is None:
                return None
            x = found
        return x

    def _said(self, x: Tensor) -> Tensor:
        return torch.addmv(self._bias, self._weight, x[0]).softmax(0)[None]

    def state(self) -> State:
        """Where it stands, as tensors by name."""
        numbers = torch.tensor([self.count, *self._phases])
        found = {"numbers": numbers, "sum": self._sum, "largest": self._largest}
        found |= {f"front/{name}": torch.as_tensor(value) for name, value in self._of_front.items()}
        found |= {f"convolution/{number}": value for number, value in enumerate(self._pasts)}
        for number, states in enumerate(self._states):
            found |= {f"recurrent/{number}/{place}": value for place, value in enumerate(states)}
        return found if self._is_state else {**found, "last": self._last}

    def set_state(self, state: State) -> None:
        """Stand where `state` was asked."""
        self.count, *self._phases = state["numbers"].tolist()
        self._sum, self._largest, self._told = state["sum"], state["largest"], None
        self._of_front = {name: state[f"front/{name}"] for name in self._of_front}
        self._pasts = [state[f"convolution/{number}"] for number in range(len(self._pasts))]
        self._states = [
            tuple(state[f"recurrent/{number}/{place}"] for place in range(len(states)))
            for number, states in enumerate(self._states)
        ]
        self._last = self._states[-1][0] if self._is_state else state["last"]


def _are_same(front: torch.nn.Module, other: torch.nn.Module) -> bool:
    """Whether two fronts of one model, made with the same settings, say the same."""
    mine, its = front.state_dict(), other.state_dict()
    return mine.keys() == its.keys() and all(torch.equal(value, its[name]) for name, value in mine.items())


class _ConvolutionStep:
    """A causal convolution, prepared for single steps."""

    def __init__(self, convolution: TimeConvolution) -> None:
        weight = convolution.convolution.weight.detach()
        assert convolution.convolution.bias is not None
        bias = convolution.convolution.bias.detach().clone()
        self._normalization: torch.nn.Module | None = convolution.normalization
        if isinstance(convolution.normalization, BatchNormalization):
            # It multiplies and shifts each channel always in the same way, as other weights do.
            factors, shifts = convolution.normalization.fixed()
            weight, bias, self._normalization = weight * factors[:, None, None], bias * factors + shifts, None
        # [channels, kernel * reads]: a window is a row of steps one after the other.
        self._weight, self._bias = weight.transpose(1, 2).reshape(len(weight), -1).contiguous(), bias
        self.stride, self._kernel, self._reads = convolution.stride, convolution.kernel, weight.shape[1]

    def start(self) -> Tensor:
        """The steps before the first: zeros `[kernel - 1, reads]`."""
        return self._weight.new_zeros(self._kernel - 1, self._reads)

    def __call__(self, x: Tensor, past: Tensor, phase: int) -> tuple[Tensor | None, Tensor]:
        """Read a step `[1, reads]`; return one `[1, channels]` where this is its turn, and the new past."""
        window = torch.cat([past, x])
        if phase:
            return None, window[1:]
        found = torch.addmv(self._bias, self._weight, window.flatten())[None]
        if self._normalization is not None:
            found = self._normalization(found)
        return found.relu_(), window[1:]
