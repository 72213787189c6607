"""Layers with the weights of a nabi cell, in Keras' names and layout."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from nabi.cells import Cell
from nabi.errors import ArgumentError
from nabi.ir import Family, Program, initial
from nabi.ir.functions import ACTIVATIONS
from nabi.layers._layer import _regularizers
from nabi.layers._layer._activations import serialize
from nabi.layers._layer._arguments import check_no_constraint
from nabi.layers._layer._base import Layer
from nabi.layers._layer._seeds import SeedGenerator
from nabi.layers._recurrent._unrolled import unrolled
from nabi.native import runs_now
from nabi.nn import StackValues, as_initial_values, asked_values, initializers, set_declared_values
from nabi.scan import initial_states, prepare_lowering, sample_noise, scan, scan_full_batch

__all__ = ["Equations", "activation_name"]

_KERAS_NAMES = {"W_x": "kernel", "W_h": "recurrent_kernel", "b": "bias"}
States = tuple[Tensor, ...]


def activation_name(argument: str, given: Any) -> str:
    """Return a cell's name for an activation."""
    try:
        name = "linear" if given is None else given if isinstance(given, str) else serialize(given)
    except ArgumentError:
        name = ""
    if not isinstance(given, str) and name not in ACTIVATIONS:
        raise ArgumentError(
            f"{argument}: expected one of {', '.join(sorted(ACTIVATIONS))} for a recurrent layer, "
            f"got {given!r}. "
            "For your own function, write a cell with call(inputs, states) and pass it to layers.RNN"
        )
    return name


class Equations(Layer):
    """Base class of recurrent layers and Keras-style cells over a nabi cell: its weights and its run.

    Weights: `kernel` (inputs, gates · units) for the input, `recurrent_kernel` for the recurrent output,
    `bias`; other weights keep their names in the cell's equations, matrices as (in, out). Where a layer has
    an attribute of that name, such as `float` or `train`, the weight is called `float_`.
    `cell` may be None if a subclass runs something else.

    Values that the cell declares come before the default initializers, and other initializers before these;
    `initial_values`, by the name of a parameter (`{"b_f": 1.0}`) or of all of a letter, comes before all.
    Fixed parameters start as declared, unless `initial_values` says otherwise, and are not trainable.
    """

    _casts_integers = True
    _reads_sequences = True
    _attributes: Mapping[str, str] = {}  # of pickles that were made before it was there

    def __init__(
        self,
        cell: Cell | None,
        *,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: None = None,
        recurrent_constraint: None = None,
        bias_constraint: None = None,
        initial_values: Mapping[str, Any] | None = None,
        input_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        use_cudnn = kwargs.pop("use_cudnn", None) if hasattr(self, "use_cudnn") else None
        check_no_constraint(
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
        )
        super().__init__(**kwargs)
        self.equations = cell
        self.kernel_initializer = initializers.get(kernel_initializer, "kernel_initializer")
        self.recurrent_initializer = initializers.get(recurrent_initializer, "recurrent_initializer")
        self.bias_initializer = initializers.get(bias_initializer, "bias_initializer")
        self.unit_forget_bias = bool(unit_forget_bias)
        self.initial_values = as_initial_values(_from_configs(initial_values), ())
        self.kernel_regularizer = _regularizers.get(kernel_regularizer, "kernel_regularizer")
        self.recurrent_regularizer = _regularizers.get(recurrent_regularizer, "recurrent_regularizer")
        self.bias_regularizer = _regularizers.get(bias_regularizer, "bias_regularizer")
        source = SeedGenerator(seed)
        self.seed = source.seed
        if cell is not None:  # otherwise the cell may have its own
            self.seed_generator = source
        self._input_dropout = float(input_dropout)
        self._programs: tuple[Program, Program] | None = None
        self._draws = False
        if use_cudnn is not None:
            self.use_cudnn = use_cudnn

    @property
    def draws_in_training(self) -> bool:
        """Whether it draws random numbers in training, for its equations or to drop inputs."""
        return self._draws or self._input_dropout > 0

    # Weights ----------------------------------------------------------------------------------------------

    def build_weights(self, inputs: int) -> None:
        """Create the weights of the cell for inputs of a given width."""
        assert self.equations is not None
        self._programs = (self.equations.program(inputs), self.equations.program(inputs, training=True))
        self._draws = bool(self._programs[1].noises)
        for one in self._programs:
            prepare_lowering(one)
        program = self._programs[0]
        as_initial_values(self.initial_values, [program])
        self._attributes = self._free_names(program)
        for family in program.families:
            self.add_family(family)
        set_declared_values(program, self.cell_parameters(), self.initial_values, self._own_roles())

    def _free_names(self, program: Program) -> dict[str, str]:
        """Return the attribute of each family's weight: not one that the layer has, nor that of another."""
        names = [family.name for family in program.families]
        taken = {_KERAS_NAMES[name] for name in names if name in _KERAS_NAMES}
        found = {}
        for name in names:
            attribute = _KERAS_NAMES.get(name, name)
            if name not in _KERAS_NAMES:
                # Of the class as well: a property that has no value yet is no attribute of the layer.
                while attribute in taken or hasattr(type(self), attribute) or hasattr(self, attribute):
                    attribute += "_"
                taken.add(attribute)
            found[name] = attribute
        return found

    def _attribute_of(self, family: Family) -> str:
        return self._attributes.get(family.name, _KERAS_NAMES.get(family.name, family.name))

    def _own_roles(self) -> frozenset[str]:
        """Return what starts as an initializer says that is not the default one."""
        given = {
            "kernel": self.kernel_initializer != initializers.GlorotUniform(),
            "recurrent": self.recurrent_initializer != initializers.Orthogonal(),
            "bias": self.bias_initializer != initializers.Zeros(),
        }
        roles = {"kernel": ("input", "peephole"), "recurrent": ("recurrent",), "bias": ("bias",)}
        return frozenset(role for name, is_own in given.items() if is_own for role in roles[name])

    def add_family(self, family: Family) -> None:
        """Create the weight for one family of the program, in Keras' layout."""
        initializer, regularizer = self._initializer_of(family)
        self.add_weight(
            tuple(reversed(family.shape)),
            initializer,
            self._attribute_of(family),
            trainable=family.trained,
            regularizer=regularizer,
        )

    def _initializer_of(self, family: Family) -> tuple[Callable[..., Any], Callable[..., Any] | None]:
        if family.role == "bias":
            return self._bias_values(family), self.bias_regularizer
        if family.role == "gain":
            return initializers.Ones(), None
        if family.role == "parameter":
            return initializers.Zeros(), None  # each has a declared value, which is set later
        if len(family.shape) == 1:
            # A diagonal: each gate's vector is drawn separately, as in nabi.nn.
            gates, units = len(family.gates), family.shape[0] // len(family.gates)
            draw = self.kernel_initializer
            return (
                lambda shape, dtype=None: torch.cat([draw((units,), dtype=dtype) for _ in range(gates)]),
                self.recurrent_regularizer,
            )
        if family.role == "input":
            return self.kernel_initializer, self.kernel_regularizer
        return self.recurrent_initializer, self.recurrent_regularizer

    def _bias_values(self, family: Family) -> Callable[..., Any]:
        if not (self.unit_forget_bias and "f" in family.gates):
            return self.bias_initializer

        def values(shape: Sequence[int], dtype: torch.dtype | None = None) -> Tensor:
            bias: Tensor = torch.as_tensor(self.bias_initializer(tuple(shape), dtype=dtype)).clone()
            bias[family.rows("f")] = 1.0  # the forget gate starts open (Jozefowicz et al. 2015)
            return bias

        return values

    def cell_parameters(self) -> States:
        """Return the weights as `scan` expects them: in the order of `program().families`, gates as rows."""
        return tuple([self.family_weight(family) for family in self.program().families])

    def _weight(self, name: str) -> Tensor:
        weight = self._parameters.get(name)
        # A weight computed by torch.nn.utils.parametrize is an attribute but no longer a parameter.
        return cast(Tensor, getattr(self, name)) if weight is None else weight

    def family_weight(self, family: Family) -> Tensor:
        """Return the weight of one family as `scan` expects it."""
        weight = self.stored_weight(family)
        return weight.T if len(family.shape) == 2 else weight

    def matrices(self) -> dict[str, int]:
        """Return the names of the matrices of the cell, with the axis of their outputs."""
        families = () if self._programs is None else self._programs[0].families
        return {self._attribute_of(f): 1 for f in families if len(f.shape) == 2}

    def stored_weight(self, family: Family) -> Tensor:
        """Return the weight of one family in Keras' layout: matrices as (in, out)."""
        return self._weight(self._attribute_of(family))

    def program(self, training: bool = False) -> Program:
        """Return the cell's program for the input width of the built layer."""
        if self._programs is None:
            raise ArgumentError(f"program: {self.name} is not built yet: call it or build(input_shape) first")
        return self._programs[training and self._draws]

    def state_sizes(self) -> list[int]:
        """Return the width of each state; those that hold inputs are known once the layer is built."""
        assert self.equations is not None
        if self._programs is not None:
            return list(self._programs[0].state_widths)
        return [self.equations.state_width(name) for name in self.equations.states]

    def first_states(self, batch: int) -> States:
        """Return the states in which sequences begin, `[B, width]`; zeros unless the cell declares others.

        Vectors that the cell declares are known once the layer is built.
        """
        assert self.equations is not None
        weight = next(self.parameters(), None)
        device = None if weight is None else weight.device
        if self._programs is None or self._programs[0].starts_with_zeros:
            widths = self.state_sizes()
            return tuple(torch.zeros(batch, width, dtype=self.dtype, device=device) for width in widths)
        like = torch.empty(0, dtype=self.dtype, device=device)
        return initial_states(self._programs[0], self.cell_parameters(), batch, like)

    def parameter_sum(self) -> str:
        """Return the sum behind the parameter count, as `(units + inputs + 1) × units = count`."""
        return self._programs[0].parameter_sum if self._programs is not None else ""

    # Running ----------------------------------------------------------------------------------------------

    def run(
        self,
        x: Tensor,
        states: States | None,
        *,
        mask: Tensor | None = None,
        training: bool = False,
        reverse: bool = False,
        unroll: bool = False,
        extra: Mapping[str, Any] | None = None,
        values: Sequence[str] = (),
    ) -> tuple[Tensor, States, dict[str, Tensor]]:
        """Run the cell over `[B, T, D]`; return outputs (zero on masked steps), final states, and values.

        `extra` is what the cell reads beside its input, by name. `values` are names of quantities of its
        equations, which are returned for every step.
        """
        program = self.program(training)
        is_full = mask is None and not (training or unroll or extra or values)
        if is_full and not torch.is_grad_enabled() and runs_now():
            stored = [self.stored_weight(family) for family in program.families]
            # Backwards, a batch is one that was turned round before, and is turned back.
            found = scan_full_batch(program, x.flip(1) if reverse else x, states, stored, turned=True)
            if found is not None:
                return found[0].flip(1) if reverse else found[0], found[1], {}
        noise: States = ()
        if training and self._draws:
            generator = self.seed_generator.generator(x.device)
            noise = sample_noise(
                program, x.shape[0], x.shape[1], dtype=x.dtype, device=x.device, generator=generator
            )
        if training and self._input_dropout:
            # One mask for all gates and all steps.
            x = x * self.seed_generator.keep(x.new_empty(x.shape[0], 1, x.shape[2]), self._input_dropout)
        parameters = self.cell_parameters()
        if unroll and len(program.inputs) > 1:
            raise ArgumentError(
                f"unroll: expected False for {type(program.cell).__name__}, which reads more than its input"
            )
        if values:
            # Unrolled or not, the numbers are the same.
            assert self.equations is not None
            asked = asked_values(self.equations, (program.input_size,), 1, program.training, tuple(values))
            shown = StackValues(scan, asked, all_states=False)
            output, final, _ = shown(
                asked.programs[0], x, states, parameters, noise=noise, mask=mask, reverse=reverse, extra=extra
            )
            return output, final, shown.found
        if unroll:
            run = unrolled(program, x, states, parameters, noise=noise, mask=mask, reverse=reverse)
            return *run, {}
        output, final, _ = scan(
            program, x, states, parameters, noise=noise, mask=mask, reverse=reverse, extra=extra
        )
        return output, final, {}

    # Configuration ----------------------------------------------------------------------------------------

    def equations_config(self) -> dict[str, Any]:
        """Return the part of the config for initializers, regularizers and the seed."""
        said = {name: initial.to_config(value) for name, value in self.initial_values.items()}
        return {
            **({"initial_values": said} if said else {}),
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": initializers.serialize(self.recurrent_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": _regularizers.serialize(self.kernel_regularizer),
            "recurrent_regularizer": _regularizers.serialize(self.recurrent_regularizer),
            "bias_regularizer": _regularizers.serialize(self.bias_regularizer),
            "seed": self.seed,
        }


def _from_configs(given: Any) -> Any:
    """Return initial values, those from a config as what they describe."""
    if not isinstance(given, Mapping):
        return given
    return {
        name: initial.from_config(value) if isinstance(value, Mapping) else value
        for name, value in given.items()
    }
