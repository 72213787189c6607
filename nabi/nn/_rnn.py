"""RNN: a PyTorch module that runs any cell over time."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from nabi import _checks
from nabi._dtypes import as_device, as_floating
from nabi._public import public
from nabi._shown import short
from nabi.errors import ArgumentError
from nabi.ir import Cell, Program
from nabi.ir.initial import InitialValue
from nabi.nn._drawing import as_initial_values, set_declared_values
from nabi.nn._graph_leaf import is_proxy, leaf, refuse_script
from nabi.nn._initial_values import INITIALIZERS, set_initial_values
from nabi.nn._inputs import (
    LayerInputs,
    add_batch_to_inputs,
    batch_first_inputs,
    layer_inputs,
    packed_inputs,
)
from nabi.nn._stack import Initial, Layers, Result, States, add_batch, run_stack
from nabi.nn._state import state_type
from nabi.nn._step_module import check_step_module, run_step_module, step_module_once
from nabi.nn._torch_step import check_step_resets, reset_states
from nabi.nn._values import Asked, StackValues, asked_values, check_names
from nabi.scan import (
    FullBatches,
    Layout,
    check_input,
    check_layout,
    check_packed,
    check_states,
    check_types,
    initial_states,
    prepare_inputs,
    prepare_lowering,
    run_direction,
    step,
)

__all__ = ["RNN"]


def _like_torch() -> Any:
    """The drop-in for `torch.nn.RNN`, loaded where it is asked for: its cells take as long as a kernel."""
    from nabi.nn._torch_layers import ElmanRNN

    return ElmanRNN


class _RNNType(type):
    """Lets `RNN(3, 5)` make what `torch.nn.RNN(3, 5)` makes, and counts that as an RNN."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        given = args[0] if args else kwargs.get("cell")
        # The name of a cell is refused as what it was meant to be; what torch refuses, torch's way.
        named = isinstance(given, str) and not given.isdigit()
        if cls is RNN and "cell" not in kwargs and not (named or isinstance(given, (Cell, nn.Module, type))):
            return _like_torch()(*args, **kwargs)
        return super().__call__(*args, **kwargs)

    def __instancecheck__(cls, instance: object) -> bool:
        return super().__instancecheck__(instance) or (cls is RNN and isinstance(instance, _like_torch()))


class RNN(nn.Module, metaclass=_RNNType):
    """Runs any cell over time, in layers, in one or both directions.

    Called like `torch.nn.RNN`, with a number first (`RNN(input_size, hidden_size, ...)`), it makes an
    `ElmanRNN`, the drop-in for that module.

    The parameters are the families of the cell's equations: `W_x_l0`, `W_h_l0`, `b_l0` for the first
    layer of most cells, `W_x_l0_reverse`, ... for its second direction; rows are gates stacked in the
    order of `cell.program(input_size).families`. What a cell declares as fixed is a buffer: it
    is stored, and no optimizer that is given `parameters()` sees it.

    Random masks (recurrent dropout, zoneout) are drawn in training mode and replaced by their mean in
    evaluation mode. Under autocast the whole layer runs in the dtype that autocast asks for.

    Args:
        cell: any cell of `nabi.cells` or of your own. For a step that the language of cells cannot
            express, a `torch.nn.Module` with `forward(x, *states) -> tuple of new states` (the first is
            the output; one state may be returned alone) and an attribute `state_widths`, a dict from the
            names of the states to their widths; it runs as one layer in one direction, and takes none of
            `dropout`, `recompute`, `initializer`, `initial_values`, `device` and `dtype`.
        input_size: width of the input. May be left out for a module.
        num_layers: layers on top of each other; a layer reads the outputs of the one below.
        bidirectional: run a second set of weights from the last valid step to the first; outputs are
            concatenated.
        dropout: rate of the dropout on the outputs of all layers but the last; with one layer it would do
            nothing, and a warning says so.
        batch_first: whether input and output are `[B, T, ...]` or `[T, B, ...]`.
        recompute: keep for the backward pass only the states at every so many steps, and compute what lies
            between again: less memory for long sequences, for one more forward pass. None keeps all.
        initializer: how weights start for which the cell declares nothing: `"torch"`, uniform on ±1/√units;
            `"keras"`, Glorot and orthogonal, forget bias 1; or `"paper"`, as `"keras"` with all biases 0.
        initial_values: values of `nabi.ir.initial` by the name of a parameter, `{"b_f": 1.0}`, or of all of a
            letter, `{"W_h": "identity"}`; instead of what the cell declares.
        device: where the parameters live.
        dtype: of the parameters.

    Raises:
        ArgumentError: an argument has a value that cannot be used.
        UnknownNameError: `initializer` is not known.
        CellError: the cell's equations do not fit together.

    Example:
        >>> import torch, nabi.cells, nabi.nn
        >>> rnn = nabi.nn.RNN(nabi.cells.PeepholeLSTM(5), input_size=3)
        >>> output, state = rnn(torch.zeros(2, 7, 3), lengths=torch.tensor([7, 4]))
        >>> output.shape, state.h.shape, state.c.shape
        (torch.Size([2, 7, 5]), torch.Size([1, 2, 5]), torch.Size([1, 2, 5]))
    """

    initial_values: dict[str, InitialValue] = {}  # noqa: RUF012 - of pickles that were made before it was there
    _full_batches = FullBatches()  # of pickles that were made before each had its own

    @public
    def __init__(
        self,
        cell: Cell | nn.Module,
        input_size: int | None = None,
        num_layers: int = 1,
        *,
        bidirectional: bool = False,
        dropout: float = 0.0,
        batch_first: bool = True,
        initializer: str = "torch",
        initial_values: Mapping[str, Any] | None = None,
        recompute: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        num_layers = _checks.whole("num_layers", num_layers)
        if recompute is not None:
            recompute = _checks.whole("recompute", recompute, otherwise=" or None")
        if input_size is not None:
            input_size = _checks.whole("input_size", input_size)
        dropout = _checks.rate("dropout", dropout, up_to_one=True)
        _checks.choice("initializer", initializer, INITIALIZERS)
        self.cell = cell
        self.input_size = input_size
        self.num_layers = num_layers
        self.bidirectional = bool(bidirectional)
        self.dropout = dropout
        self.batch_first = bool(batch_first)
        self.initializer = initializer
        self.initial_values = {}
        self.recompute = recompute
        self._directions = 2 if bidirectional else 1
        self._state_count = num_layers * self._directions
        self._programs: list[tuple[Program, Program]] = []
        self._names: list[tuple[str, ...]] = []
        self._full_batches = FullBatches()
        if isinstance(cell, Cell):
            if dropout and num_layers == 1:
                warnings.warn(
                    f"dropout={dropout!r} falls between layers and does nothing with num_layers=1; cells "
                    "have the arguments dropout and recurrent_dropout",
                    stacklevel=3,
                )
            self._make_parameters(cell, as_device(device), as_floating(dtype))
            self._state_widths = _state_widths([layer[0] for layer in self._programs])
            self.initial_values = as_initial_values(initial_values, [pair[0] for pair in self._programs])
            self.reset_parameters()
        else:
            self._state_widths = check_step_module(
                cell, num_layers, self.bidirectional, recompute=recompute, dropout=dropout or None,
                initializer=None if initializer == "torch" else initializer, initial_values=initial_values,
                device=device, dtype=dtype,
            )  # fmt: skip
        self._state_type = state_type(tuple(self._state_widths))
        width = cell.output_width if isinstance(cell, Cell) else next(iter(self._state_widths.values()))
        self.output_size = width * self._directions

    def _make_parameters(self, cell: Cell, device: Any, dtype: torch.dtype | None) -> None:
        if self.input_size is None:
            raise ArgumentError("input_size: expected the width of the input, got None")
        width = self.input_size
        for layer in range(self.num_layers):
            # Looked up here and not in forward: torch.compile cannot trace the tracing of a cell.
            programs = (cell.program(width, training=False), cell.program(width, training=True))
            for program in programs:
                prepare_lowering(program)
                prepare_inputs(program)
            self._programs.append(programs)
            for direction in range(self._directions):
                suffix = f"_l{layer}" + ("_reverse" if direction else "")
                names = tuple([family.name + suffix for family in programs[0].families])
                for name, family in zip(names, programs[0].families, strict=True):
                    empty = torch.empty(family.shape, device=device, dtype=dtype)
                    if family.trained:
                        self.register_parameter(name, nn.Parameter(empty))
                    else:
                        self.register_buffer(name, empty)
                self._names.append(names)
            width = cell.output_width * self._directions

    def reset_parameters(self) -> None:
        """Draw the parameters anew, as the cell, `initializer` and `initial_values` say."""
        assert isinstance(self.cell, Cell)
        units = max(self.cell.state_width(name) for name in self.cell.states)
        for index, names in enumerate(self._names):
            program = self._programs[index // self._directions][0]
            for name, family in zip(names, program.families, strict=True):
                set_initial_values(getattr(self, name), family, units, self.initializer)
            set_declared_values(program, self._own_weights(index), self.initial_values)

    def forward(
        self,
        x: Tensor | PackedSequence,
        state: Any = None,
        *,
        lengths: Tensor | None = None,
        mask: Tensor | None = None,
        resets: Tensor | None = None,
        return_all_states: bool = False,
        return_values: Sequence[str] | None = None,
        truncate: int | None = None,
        **inputs: Any,
    ) -> tuple[Any, ...]:
        """Run over a batch of sequences.

        Args:
            x: `[B, T, input_size]` (`[T, B, input_size]` with `batch_first=False`), one sequence
                `[T, input_size]`, or a `PackedSequence`.
            state: initial states in the order of the cell's, each `[num_layers * directions, B, width]`
                (without `B` for one sequence); a tensor alone if there is one state; None for those that the
                cell declares, or zeros.
            lengths: `[B]`, how many steps of each sequence count, zero allowed; instead of `mask`.
            mask: `[B, T]`, true where a step counts; any pattern.
            resets: `[B, T]`, true where a new sequence begins: the state before that step is as with
                `state=None`.
            return_all_states: return the states of every step as a third value.
            return_values: names of quantities of the equations, gates for instance, whose values at every
                step are returned as the last value; see below.
            truncate: let gradients flow back through this many steps at most.
            **inputs: what the cell reads beside `x`, by the names of the keyword arguments of its step, for
                all layers: `delta`, the time since the last step, `[B, T]`, or `[B, T, input_size]` where it
                differs between features; `observed [B, T, input_size]`, 1 where a feature was observed, for
                the first layer (all that a layer outputs counts as observed for the next); `static
                [B, width]`, features of a sequence; `position`, the number of the first step where a sequence
                goes on; and those of your own cell. Time and batch are in the order of `x`. With
                `bidirectional=True` a pair has the values of both directions.

        Returns:
            `output`, shaped as `x` with `output_size` features, zero on steps that do not count; `state`,
            the final states as a named tuple; and with `return_all_states` a named tuple of the states of
            every step, each `[num_layers * directions, B, T, width]` (`T` before `B` with
            `batch_first=False`). For a `PackedSequence` the output is one, and so are the states of every
            step, with data `[N, num_layers * directions, width]`.

            With `return_values=["f", "i"]` the last value is a dictionary from these names to the quantities
            at every step, `[B, T, width]` (one number per row has width 1), zero on steps that do not count;
            gradients flow through them. With several layers or directions a name stands for all of them, and
            the keys are `f_l0`, `f_l0_reverse`, `f_l1`, ..., which can be asked for singly too.

        Raises:
            UnknownNameError: there is no such quantity; the message lists those that there are.
            ShapeError: an argument has the wrong rank, width or length.
            ArgumentError: arguments that exclude each other, or of the wrong dtype; an input that the cell
                needs is missing, or one is given that it does not read.
        """
        if type(x) is not Tensor and is_proxy(x):
            # Where torch.fx traces this module itself, even the dictionary of further inputs is a proxy.
            given = dict(inputs) if isinstance(inputs, dict) else {}
            if return_all_states is not False:
                given["return_all_states"] = return_all_states
            if return_values is not None and not is_proxy(return_values):
                given["return_values"] = list(check_names(return_values))
            found = leaf(
                self, x, state, lengths=lengths, mask=mask, resets=resets, truncate=truncate, **given
            )
            return cast(tuple[Any, ...], found)
        is_full = lengths is None and mask is None and resets is None and truncate is None
        plain = is_full and not inputs and return_values is None
        asked = None if return_values is None else self._asked_values(return_values)
        if plain and len(self._names) == 1 and not return_all_states and self.recompute is None:
            found = self._run_full_batch(x, state)
            if found is not None:
                return found
        if isinstance(x, PackedSequence):
            if not is_full:
                raise ArgumentError(
                    "lengths, mask, resets, truncate: a PackedSequence brings its own lengths and takes none "
                    "of these; pad it with torch.nn.utils.rnn.pad_packed_sequence first"
                )
            return self._forward_packed(x, state, return_all_states, inputs, asked)
        dtype = self._dtype()
        check_input(x, self.input_size, (2, 3))
        batched = x.dim() == 3
        states = None
        if state is not None:
            states = self._check_states(state, x.shape[0 if self.batch_first else 1] if batched else None)
        dtype = check_types(dtype, x, states)
        shown: StackValues | None = None
        if not batched:
            x = x.unsqueeze(0)
            lengths, mask, resets = add_batch(lengths, 0), add_batch(mask, 1), add_batch(resets, 1)
            inputs = add_batch_to_inputs(inputs)
        elif not self.batch_first:
            x = x.transpose(0, 1)
            inputs = batch_first_inputs(self.cell, inputs)
        if isinstance(self.cell, Cell):
            batch, time = x.shape[0], x.shape[1]
            layout = check_layout(lengths, mask, resets, batch, time, x.device, alike=states is None)
            if truncate is not None:
                truncate = _checks.whole("truncate", truncate, otherwise=" or None")
            run: Callable[..., Result] = partial(
                run_direction, layout=layout, truncate=truncate, return_all_states=return_all_states,
                recompute=self.recompute,
            )  # fmt: skip
            if asked is not None:
                run = shown = StackValues(run, asked, return_all_states)
            if inputs or self._reads_more:
                run = LayerInputs(run, inputs, (batch, time), batch, self._directions)
            output, final, every = self._run_stack(run, self._layers(self.training, asked), x, states, dtype)
        else:
            options = {"lengths": lengths, "mask": mask, "resets": resets, "truncate": truncate}
            output, final, every = run_step_module(self.cell, x, states or self._zeros(x), options, inputs)
        if not batched:
            output = output.squeeze(0)
            final = tuple([last.squeeze(1) for last in final])
        elif not self.batch_first:
            output = output.transpose(0, 1)
        results: list[Any] = [output, self._state_type(*final)]
        if return_all_states and every is not None:
            if not batched:
                every = tuple([each.squeeze(1) for each in every])
            elif not self.batch_first:
                every = tuple([each.transpose(1, 2) for each in every])
            results.append(self._state_type(*every))
        if shown is not None:
            values = shown.found
            if not batched:
                values = {name: value.squeeze(0) for name, value in values.items()}
            elif not self.batch_first:
                values = {name: value.transpose(0, 1) for name, value in values.items()}
            results.append(values)
        return tuple(results)

    def _asked_values(self, names: Any) -> Asked:
        if not isinstance(self.cell, Cell):
            raise ArgumentError(
                f"return_values: expected None for a step that is a torch module, got {short(names)}; only a "
                "cell has quantities with names"
            )
        widths = tuple([pair[0].input_size for pair in self._programs])
        return asked_values(self.cell, widths, self._directions, self.training, check_names(names))

    def _run_full_batch(self, x: Any, state: Any) -> tuple[Tensor, Any] | None:
        """Run one layer in one direction over a full batch, if nothing of it is unusual."""
        states = (state,) if isinstance(state, Tensor) else state
        if not isinstance(x, Tensor) or not (states is None or isinstance(states, tuple)):
            return None
        found = self._full_batches.run(
            self._programs[0][self.training], x, states, self._own_weights(0),
            time_major=not self.batch_first, stacked=True,
        )  # fmt: skip
        return None if found is None else (found[0], self._state_type(*found[1]))

    @property
    def _reads_more(self) -> bool:
        """Whether the cell reads more than `x`."""
        return bool(self._programs) and len(self._programs[0][0].inputs) > 1

    def _forward_packed(
        self,
        x: PackedSequence,
        state: Any,
        return_all_states: bool,
        inputs: dict[str, Any],
        asked: Asked | None,
    ) -> tuple[Any, ...]:
        if not isinstance(self.cell, Cell):
            raise ArgumentError(
                "x: a step that is a torch module takes tensors and lengths, not a PackedSequence"
            )
        data, batch_sizes, sorted_indices, unsorted_indices = x
        check_input(data, self.input_size, (2,))
        batch = check_packed(batch_sizes, data.shape[0])
        states = None if state is None else self._check_states(state, batch)
        dtype = check_types(self._dtype(), data, states)
        if states is not None and sorted_indices is not None:
            states = tuple([given.index_select(1, sorted_indices) for given in states])
        run: Callable[..., Result] = partial(
            run_direction, layout=Layout(None, None, batch_sizes), return_all_states=return_all_states,
            recompute=self.recompute,
        )  # fmt: skip
        shown: StackValues | None = None
        if asked is not None:
            run = shown = StackValues(run, asked, return_all_states)
        if inputs or self._reads_more:
            inputs = packed_inputs(self.cell, inputs, x)
            run = LayerInputs(run, inputs, (data.shape[0],), batch, self._directions)
        output, final, every = self._run_stack(
            run, self._layers(self.training, asked), data, states, dtype, every_dim=1
        )
        if unsorted_indices is not None:
            final = tuple([last.index_select(1, unsorted_indices) for last in final])

        def pack(values: Tensor) -> PackedSequence:
            return PackedSequence(values, batch_sizes, sorted_indices, unsorted_indices)

        results: list[Any] = [pack(output), self._state_type(*final)]
        if every is not None:
            results.append(self._state_type(*[pack(each) for each in every]))
        if shown is not None:
            results.append({name: pack(value) for name, value in shown.found.items()})
        return tuple(results)

    def step(self, x: Tensor, state: Any = None, *, resets: Any = None, **inputs: Any) -> tuple[Tensor, Any]:
        """Take one time step, for streams that arrive bit by bit.

        Nothing is random here, in training mode neither: masks are replaced by their mean and there is no
        dropout. Gradients flow as usual.

        Args:
            x: `[B, input_size]`, or `[input_size]` for one sequence.
            state: as the module takes and gives it; None at the first step.
            resets: `[B]`, true where a new sequence begins with this step: the state before it is as with
                `state=None`, and no gradient flows back.
            **inputs: what the cell reads beside `x`, each without the axis for time; `position`, the number
                of this step, must be given to a cell that reads it.

        Returns:
            `output [B, output_size]` and the new state.

        Raises:
            ArgumentError: the module is bidirectional, or an input that the cell reads is missing.
            ShapeError: `x` or a state has the wrong shape.

        Example:
            >>> import torch, nabi.cells, nabi.nn
            >>> rnn = nabi.nn.RNN(nabi.cells.GRU(5), input_size=3)
            >>> output, state = rnn.step(torch.zeros(2, 3))
            >>> output, state = rnn.step(torch.zeros(2, 3), state)
        """
        if self.bidirectional:
            raise ArgumentError(
                "step: a bidirectional RNN reads its sequence from both ends and cannot go step by step"
            )
        check_input(x, self.input_size, (1, 2))
        batched = x.dim() == 2
        states = None if state is None else self._check_states(state, x.shape[0] if batched else None)
        dtype = check_types(self._dtype(), x, states)
        if not batched:
            x = x.unsqueeze(0)
            inputs = add_batch_to_inputs(inputs)
        begins = check_step_resets(resets, x.shape[0])
        if isinstance(self.cell, Cell) and not self._programs[0][False].starts_with_zeros:
            states = self._reset(states, begins, x)
        else:
            states = reset_states(states, begins, 1)
        if isinstance(self.cell, Cell):
            layers = iter(range(self.num_layers))

            def run(
                program: Program, values: Tensor, initial: Initial, weights: list[Tensor], reverse: bool
            ) -> Result:
                extra = layer_inputs(program, inputs, next(layers))
                new = step(program, values, initial, weights, extra=extra)
                return new[0], new[program.readouts :], None

            output, final, _ = run_stack(run, self._layers(False), x, states, dtype)
        else:
            output, final = step_module_once(self.cell, x, states or self._zeros(x), inputs)
        if not batched:
            output, final = output.squeeze(0), tuple([last.squeeze(1) for last in final])
        return output, self._state_type(*final)

    def __prepare_scriptable__(self) -> nn.Module:
        refuse_script(self)

    def _run_stack(
        self,
        run: Any,
        layers: Layers,
        x: Tensor,
        states: Initial,
        dtype: torch.dtype | None,
        every_dim: int = 0,
    ) -> Result:
        return run_stack(
            run,
            layers,
            x,
            states,
            dtype,
            directions=self._directions,
            dropout=self.dropout if self.training else 0.0,
            every_dim=every_dim,
        )

    def _layers(self, training: bool, asked: Asked | None = None) -> Layers:
        """Program and weights of each direction of each layer."""
        programs = [pair[training] for pair in self._programs for _ in range(self._directions)]
        programs = programs if asked is None else list(asked.programs)
        return [(program, self._own_weights(index)) for index, program in enumerate(programs)]

    def _check_states(self, state: Any, batch: int | None) -> States:
        """Check initial states, which have no axis for the batch if that is None; here they get one."""
        lead: tuple[int, ...] = (self._state_count,)
        axes = "[layers * directions, width]"
        if batch is not None:
            lead, axes = (self._state_count, batch), "[layers * directions, batch, width]"
        states = check_states(
            (state,) if isinstance(state, Tensor) else state, tuple(self._state_widths),
            tuple(self._state_widths.values()), lead, "state", axes,
        )  # fmt: skip
        return states if batch is not None else tuple([state.unsqueeze(1) for state in states])

    def _own_weights(self, index: int) -> list[Tensor]:
        # Found anew at every call: one that a parametrization computes is an attribute and no parameter.
        own, weights = self._parameters, []
        for name in self._names[index]:
            weight = own.get(name)
            weights.append(getattr(self, name) if weight is None else weight)
        return weights

    def _reset(self, states: Initial, begins: Tensor | None, x: Tensor) -> Initial:
        """Return states, as the cell declares them where a new sequence begins."""
        if states is None or begins is None:
            return states
        layers = [
            initial_states(program, weights, x.shape[0], states[0])
            for program, weights in self._layers(False)
        ]
        starts = [torch.stack(same) for same in zip(*layers, strict=True)]
        chosen = torch.as_tensor(begins, device=x.device).bool().reshape(1, -1, 1)
        return tuple([torch.where(chosen, new, old) for new, old in zip(starts, states, strict=True)])

    def _dtype(self) -> torch.dtype | None:
        # A module has weights of its own, and a cell may have none.
        names = self._names[0] if self._names else ()
        return getattr(self, names[0]).dtype if names else None

    def _zeros(self, x: Tensor) -> States:
        return tuple([x.new_zeros(1, x.shape[0], width) for width in self._state_widths.values()])

    def extra_repr(self) -> str:
        """Say what the module was made with, where it is not the default."""
        parts = [] if isinstance(self.cell, nn.Module) else [repr(self.cell)]
        parts += [] if self.input_size is None else [f"input_size={self.input_size}"]
        defaults = {
            "num_layers": 1,
            "bidirectional": False,
            "dropout": 0.0,
            "batch_first": True,
            "initializer": "torch",
        }
        values = {name: getattr(self, name) for name in defaults}
        parts += [f"{name}={value!r}" for name, value in values.items() if value != defaults[name]]
        parts += [f"initial_values={self.initial_values!r}"] if self.initial_values else []
        return ", ".join(parts)


def _state_widths(programs: list[Program]) -> dict[str, int]:
    """Return the width of each state by its name; the states of all layers are stacked, so they are alike."""
    widths = dict(zip(programs[0].state_names, programs[0].state_widths, strict=True))
    for number, program in enumerate(programs):
        for name, width in zip(program.state_names, program.state_widths, strict=True):
            if width != widths[name]:
                raise ArgumentError(
                    f"num_layers: the state {name} is as wide as the input, {widths[name]} in layer 0 "
                    f"and {width} in layer {number}; expected layers of one width, or num_layers=1 and a "
                    "module for each layer"
                )
    return widths
