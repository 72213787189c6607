"""Drop-ins for torch.nn.RNN, LSTM and GRU."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from nabi.errors import ArgumentError
from nabi.ir import Program
from nabi.nn._as_torch import DropIn
from nabi.nn._graph_leaf import is_proxy, leaf
from nabi.nn._stack import Initial, Layers, Result, States, add_batch, run_stack
from nabi.nn._torch_step import check_step_resets, reset_states, take_step
from nabi.nn._torch_weights import torch_cell, weight_names
from nabi.scan import FullBatches, autocast_dtype, check_dense, scan, scan_packed

__all__ = ["GRU", "LSTM", "ElmanRNN"]


class _TorchRecurrent(DropIn, nn.RNNBase):
    """What the three have in common; constructor, parameters, repr and size checks are torch's own.

    The base is `torch.nn.RNNBase` and not `torch.nn.LSTM`, because `torch.compile` refuses the latter and
    whatever derives from it.
    """

    _torch_type: Callable[..., nn.Module]

    _state_names: tuple[str, ...] = ("h",)
    _full_batches = FullBatches()  # of pickles that were made before each had its own

    def __init__(self, mode: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(mode, *args, **kwargs)
        self._prepare()

    def _prepare(self) -> None:
        self._cell = torch_cell(self.mode, self.hidden_size, self.bias, self.proj_size)
        self._directions = 2 if self.bidirectional else 1
        widths = [self.input_size] + [self._cell.output_width * self._directions] * (self.num_layers - 1)
        # Looked up here and not in forward: torch.compile cannot trace the tracing of a cell.
        self._programs: list[Program] = [self._cell.program(width) for width in widths]
        self._names = [
            weight_names(program, f"_l{layer}" + ("_reverse" if direction else ""))
            for layer, program in enumerate(self._programs)
            for direction in range(self._directions)
        ]
        self._full_batches = FullBatches()

    # torch's base keeps a flat list of the weights beside the attributes, which goes stale under
    # parametrizations and functional_call and cannot be copied then. Here attributes are all there is, and
    # the list is made when it is asked for.

    @property
    def _flat_weights(self) -> list[Any]:
        return [getattr(self, name) for name in self._flat_weights_names]

    @_flat_weights.setter
    def _flat_weights(self, given: list[Any]) -> None:
        if any(one is not own for one, own in zip(given, self._flat_weights, strict=True)):
            raise ArgumentError("_flat_weights: it cannot be set here; set the weights by their names")

    def _init_flat_weights(self) -> None:
        self._flat_weight_refs = []

    def _update_flat_weights(self) -> None:
        pass

    def flatten_parameters(self) -> None:
        """Do nothing: weights are read where they lie."""

    def _replicate_for_data_parallel(self) -> Any:
        return nn.Module._replicate_for_data_parallel(self)

    def _make_namesake(self) -> nn.Module:
        mode: dict[str, Any] = {"nonlinearity": self.nonlinearity} if self.mode.startswith("RNN") else {}
        if self.proj_size:
            mode["proj_size"] = self.proj_size
        return self._torch_type(
            self.input_size, self.hidden_size, num_layers=self.num_layers, bias=self.bias,
            batch_first=self.batch_first, dropout=self.dropout, bidirectional=self.bidirectional,
            device="meta", **mode,
        )  # fmt: skip

    def __setattr__(self, name: str, value: Any) -> None:
        nn.Module.__setattr__(self, name, value)

    def check_input(self, input: Tensor, batch_sizes: Tensor | None) -> None:
        """Raise torch's errors for an input of the wrong dtype, rank or width."""
        check_dense(input)
        weight = self.weight_ih_l0
        if input.dtype != weight.dtype and autocast_dtype(input) is None:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({weight.dtype}). "
                f"Convert input: input.to({weight.dtype}), or convert model: model.to({input.dtype})"
            )
        rank = 2 if batch_sizes is not None else 3
        if input.dim() != rank:
            raise RuntimeError(f"input must have {rank} dimensions, got {input.dim()}")
        if input.size(-1) != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, "
                f"got {input.size(-1)}"
            )

    def _layers(self) -> Layers:
        """Program and weights of each direction of each layer."""
        return [
            (self._programs[index // self._directions], self._weights(index))
            for index in range(len(self._names))
        ]

    def _weights(self, index: int) -> list[Tensor]:
        # Found anew at every call: one that a parametrization computes is an attribute and no parameter.
        own, weights = self._parameters, []
        for name in self._names[index]:
            weight = own.get(name)  # a tenth of the time of a small layer goes into attributes of modules
            weights.append(getattr(self, name) if weight is None else weight)
        return weights

    def _forward(
        self,
        input: Tensor | PackedSequence,
        states: States | None,
        lengths: Tensor | None,
        mask: Tensor | None,
        resets: Tensor | None,
    ) -> tuple[Any, States]:
        if lengths is None and mask is None and len(self._names) == 1:
            if resets is None:
                found = self._run_full_batch(input, states)
            else:
                found = self._run_one_step(input, states, resets)
            if found is not None:
                return found
        if isinstance(input, PackedSequence):
            if lengths is not None or mask is not None or resets is not None:
                raise ArgumentError("lengths, mask, resets: a PackedSequence brings its own lengths")
            return self._forward_packed(input, states)
        if input.dim() not in (2, 3):
            raise ValueError(
                f"{self.mode.split('_')[0]}: Expected input to be 2D or 3D, got {input.dim()}D "
                f"{'tensor ' if self.mode.startswith('RNN') else ''}instead"
            )
        batched = input.dim() == 3
        self._check_ranks(states, batched)
        if not batched:
            input = input.unsqueeze(0 if self.batch_first else 1)
            states = None if states is None else tuple([state.unsqueeze(1) for state in states])
            lengths, mask, resets = add_batch(lengths, 0), add_batch(mask, 1), add_batch(resets, 1)
        self._check_sizes(input, states, None)
        x = input if self.batch_first else input.transpose(0, 1)

        run = partial(scan, lengths=lengths, mask=mask, resets=resets)
        output, final = self._run(run, x, states)
        if not batched:
            return output.squeeze(0), tuple([state.squeeze(1) for state in final])
        return output if self.batch_first else output.transpose(0, 1), final

    def _run_one_step(self, input: Any, states: States | None, resets: Any) -> tuple[Any, States] | None:
        """Run over one step that may begin new sequences; None, with nothing done, for anything else."""
        if type(input) is not Tensor or type(resets) is not Tensor or resets.dtype is not torch.bool:
            return None
        batch = input.shape[0 if self.batch_first else 1] if input.dim() == 3 else 0
        if not batch or input.numel() != batch * self.input_size or resets.shape != (batch, 1):
            return None
        if states is not None:
            for state in states:
                if type(state) is not Tensor or state.dim() != 3 or state.shape[1] != batch:
                    return None
            # Masks go through torch's own operations, so that gradients and transforms see them.
            states = tuple([state.masked_fill(resets, 0.0) for state in states])
        return self._run_full_batch(input, states)

    def step(self, input: Tensor, hx: Any = None, *, resets: Any = None) -> tuple[Tensor, Any]:
        """Take one time step, for streams and policies that are asked step by step.

        There is no dropout here. Gradients flow as usual.

        Args:
            input: `[B, input_size]`, or `[input_size]` for one sequence.
            hx: states as the module takes and gives them; None for zeros.
            resets: `[B]`, true where a new sequence begins with this step: the state is zero before it, and
                no gradient flows back.

        Returns:
            `output [B, width]` and the new states.

        Raises:
            ArgumentError: the module is bidirectional.
            ShapeError: `resets` has the wrong shape.
            RuntimeError, ValueError: as torch, for the input and the states.

        Example:
            >>> import torch, nabi.nn
            >>> policy = nabi.nn.LSTM(3, 5)
            >>> output, state = policy.step(torch.zeros(2, 3))
            >>> output, state = policy.step(torch.zeros(2, 3), state, resets=torch.tensor([True, False]))
        """
        if self.bidirectional:
            raise ArgumentError(
                "step: a bidirectional module reads a sequence from both ends, not step by step"
            )
        one = len(self._program_widths) == 1
        states = None if hx is None else (hx,) if one else tuple(hx)
        batched = input.dim() == 2
        x = input if batched else input.unsqueeze(0)
        if states is not None and not batched:
            states = tuple([state.unsqueeze(1) for state in states])
        self._check_sizes(x.unsqueeze(0 if not self.batch_first else 1), states, None)
        states = reset_states(states, check_step_resets(resets, x.shape[0]), 1)

        def run(
            program: Program, inputs: Tensor, initial: Initial, weights: list[Tensor], reverse: bool
        ) -> Result:
            new = take_step(self.mode, program, inputs, initial, weights)
            return new[0], new, None

        output, final, _ = run_stack(run, self._layers(), x, states, autocast_dtype(x))
        if not batched:
            output, final = output.squeeze(0), tuple([state.squeeze(1) for state in final])
        return output, final[0] if one else final

    @property
    def _program_widths(self) -> tuple[int, ...]:
        return self._programs[0].state_widths

    def _run_full_batch(self, input: Any, states: States | None) -> tuple[Tensor, States] | None:
        """Run one layer in one direction over a full batch, if nothing of it is unusual."""
        if not isinstance(input, Tensor):
            return None
        return self._full_batches.run(
            self._programs[0], input, states, self._weights(0),
            time_major=not self.batch_first, stacked=True,
        )  # fmt: skip

    def _forward_packed(self, input: PackedSequence, states: States | None) -> tuple[PackedSequence, States]:
        data, batch_sizes, sorted_indices, unsorted_indices = input
        if states is not None and sorted_indices is not None:
            states = tuple([state.index_select(1, sorted_indices) for state in states])
        self._check_sizes(data, states, batch_sizes)

        def run(
            program: Program, inputs: Tensor, initial: Initial, weights: list[Tensor], reverse: bool
        ) -> Result:
            return scan_packed(program, inputs, batch_sizes, initial, weights, reverse=reverse)

        output, final = self._run(run, data, states)
        if unsorted_indices is not None:
            final = tuple([state.index_select(1, unsorted_indices) for state in final])
        return PackedSequence(output, batch_sizes, sorted_indices, unsorted_indices), final

    def _run(self, run: Any, x: Tensor, states: States | None) -> tuple[Tensor, States]:
        output, final, _ = run_stack(
            run,
            self._layers(),
            x,
            states,
            autocast_dtype(x),
            directions=self._directions,
            dropout=self.dropout if self.training else 0.0,
        )
        return output, final

    def _check_ranks(self, states: States | None, batched: bool) -> None:
        rank = 3 if batched else 2
        if states is not None and states[0].dim() != rank:
            raise RuntimeError(
                f"For {'batched' if batched else 'unbatched'} {rank}-D input, hx should also be {rank}-D "
                f"but got {states[0].dim()}-D tensor"
            )

    def _check_sizes(self, input: Tensor, states: States | None, batch_sizes: Tensor | None) -> None:
        self.check_input(input, batch_sizes)
        if states is not None:
            self.check_hidden_size(states[0], self.get_expected_hidden_size(input, batch_sizes))


class _OneState(_TorchRecurrent):
    def forward(
        self,
        input: Any,
        hx: Tensor | None = None,
        *,
        lengths: Tensor | None = None,
        mask: Tensor | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Any, Tensor]:
        """Run over a batch of sequences.

        Args:
            input: `[T, B, input_size]`, `[B, T, input_size]` with `batch_first`, `[T, input_size]`, or a
                `PackedSequence`.
            hx: initial state `[num_layers * directions, B, hidden_size]`; None for zeros.
            lengths: `[B]`, how many steps of each sequence count, zero allowed; instead of `mask`.
            mask: `[B, T]` in either layout, true where a step counts; any pattern.
            resets: `[B, T]`, true where a new sequence begins.

        Returns:
            The output (zero on steps that do not count) and the final state.

        Raises:
            RuntimeError, ValueError: as torch.
        """
        if type(input) is not Tensor and is_proxy(input):
            return cast(tuple[Any, Tensor], leaf(self, input, hx, lengths=lengths, mask=mask, resets=resets))
        output, final = self._forward(input, None if hx is None else (hx,), lengths, mask, resets)
        return output, final[0]


class ElmanRNN(_OneState):
    """Drop-in for `torch.nn.RNN`, also as `nabi.nn.RNN(input_size, hidden_size, ...)`.

    Takes torch's arguments, loads its `state_dict` and gives the same numbers. More than torch's: `lengths`,
    `mask` and `resets`, lengths of zero and `T = 0`, `torch.compile`, `vmap`, forward-mode.

    Args:
        input_size, hidden_size, num_layers, nonlinearity, bias, batch_first, dropout, bidirectional, device,
            dtype: as torch.

    Raises:
        ValueError, TypeError: as torch.

    Example:
        >>> import torch, nabi.nn
        >>> rnn = nabi.nn.RNN(3, 5, num_layers=2, nonlinearity="relu")
        >>> rnn
        RNN(3, 5, num_layers=2)
        >>> output, h = rnn(torch.zeros(7, 4, 3))
        >>> output.shape, h.shape
        (torch.Size([7, 4, 5]), torch.Size([2, 4, 5]))
    """

    _torch_type = nn.RNN

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if len(args) > 3:
            nonlinearity = args[3]
            args = args[:3] + args[4:]
        else:
            nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(f"RNN_{nonlinearity.upper()}", *args, **kwargs)
        self.nonlinearity: str = nonlinearity

    def _get_name(self) -> str:
        return "RNN"


class GRU(_OneState):
    """Drop-in for `torch.nn.GRU`.

    Takes torch's arguments, loads its `state_dict` and gives the same numbers. More than torch's: `lengths`,
    `mask` and `resets`, lengths of zero and `T = 0`, `torch.compile`, `vmap`, forward-mode.

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype: as
            torch.

    Raises:
        ValueError, TypeError: as torch.

    Example:
        >>> import torch, nabi.nn
        >>> gru = nabi.nn.GRU(3, 5, batch_first=True)
        >>> output, h = gru(torch.zeros(2, 7, 3), lengths=torch.tensor([7, 0]))
        >>> output.shape, h.shape
        (torch.Size([2, 7, 5]), torch.Size([1, 2, 5]))
    """

    _torch_type = nn.GRU

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)


class LSTM(_TorchRecurrent):
    """Drop-in for `torch.nn.LSTM`.

    Takes torch's arguments, loads its `state_dict` and gives the same numbers. More than torch's: `lengths`,
    `mask` and `resets`, lengths of zero and `T = 0`, `torch.compile`, forward-mode.

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, device,
            dtype: as torch.

    Raises:
        ValueError, TypeError: as torch.

    Example:
        >>> import torch, nabi.nn
        >>> lstm = nabi.nn.LSTM(3, 5, proj_size=2)
        >>> output, (h, c) = lstm(torch.zeros(7, 4, 3))
        >>> output.shape, h.shape, c.shape
        (torch.Size([7, 4, 2]), torch.Size([1, 4, 2]), torch.Size([1, 4, 5]))
    """

    _torch_type = nn.LSTM

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def forward(
        self,
        input: Any,
        hx: tuple[Tensor, Tensor] | None = None,
        *,
        lengths: Tensor | None = None,
        mask: Tensor | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Any, tuple[Tensor, Tensor]]:
        """Run over a batch of sequences.

        Args:
            input: `[T, B, input_size]`, `[B, T, input_size]` with `batch_first`, `[T, input_size]`, or a
                `PackedSequence`.
            hx: initial states `(h, c)`, each `[num_layers * directions, B, width]`; None for zeros.
            lengths: `[B]`, how many steps of each sequence count, zero allowed; instead of `mask`.
            mask: `[B, T]` in either layout, true where a step counts; any pattern.
            resets: `[B, T]`, true where a new sequence begins.

        Returns:
            The output (zero on steps that do not count) and the final states `(h, c)`.

        Raises:
            RuntimeError, ValueError: as torch.
        """
        if type(input) is not Tensor and is_proxy(input):
            found = leaf(self, input, hx, lengths=lengths, mask=mask, resets=resets)
            return cast(tuple[Any, tuple[Tensor, Tensor]], found)
        output, (h, c) = self._forward(input, None if hx is None else (hx[0], hx[1]), lengths, mask, resets)
        return output, (h, c)

    def _check_ranks(self, states: States | None, batched: bool) -> None:
        rank = 3 if batched else 2
        if states is not None and (states[0].dim() != rank or states[1].dim() != rank):
            raise RuntimeError(
                f"For {'batched' if batched else 'unbatched'} {rank}-D input, hx and cx should "
                f"also be {rank}-D but got ({states[0].dim()}-D, {states[1].dim()}-D) tensors"
            )

    def _check_sizes(self, input: Tensor, states: States | None, batch_sizes: Tensor | None) -> None:
        self.check_input(input, batch_sizes)
        if states is not None:
            h_size = self.get_expected_hidden_size(input, batch_sizes)
            c_size = (h_size[0], h_size[1], self.hidden_size)
            self.check_hidden_size(states[0], h_size, "Expected hidden[0] size {}, got {}")
            self.check_hidden_size(states[1], c_size, "Expected hidden[1] size {}, got {}")
