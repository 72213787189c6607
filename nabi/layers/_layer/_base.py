"""The base class of all Keras-style layers."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from nabi._public import public
from nabi._shown import short
from nabi._tree import leaves, mapped
from nabi.errors import ArgumentError
from nabi.layers._layer import _regularizers
from nabi.layers._layer._arguments import (
    Shape,
    check_shape,
    declared_shape,
    dtype_named,
    keyword_arguments,
    unique_name,
    unknown_arguments,
)
from nabi.layers._layer._inputs import attach_mask, cast_input, device_of, mask_of, to_mask, to_tensors
from nabi.layers._layer._registry import automatic_config, register, restore
from nabi.layers._layer._seeds import SeedGenerator
from nabi.layers._layer._shapes import infer_output_shape
from nabi.layers._layer._symbolic import Call, OfFirstCall, call_symbolically, is_symbolic
from nabi.layers._layer._weights import Weighted, collecting
from nabi.nn import is_proxy, leaf, refuse_script

__all__ = ["Layer"]


def per_sample(penalty: Tensor, output: Tensor) -> Tensor:
    """Divide a penalty on an output by the batch size, as Keras does."""
    return penalty / output.shape[0] if output.ndim and output.shape[0] else penalty


def build_once(build: Callable[..., None]) -> Callable[..., None]:
    """Make a `build` method mark the layer as built and do nothing if it is already built."""

    own = build.__module__.startswith("nabi.layers.")
    may_be_none = any(one.default is None for one in inspect.signature(build).parameters.values())

    @functools.wraps(build)
    def wrapper(self: "Layer", *args: Any, **kwargs: Any) -> None:
        if self._building:  # super().build(...) inside build
            build(self, *args, **kwargs)
            return
        if self.built:
            return
        if own:
            for shape in (*args[:1], *kwargs.values()):
                check_shape(shape, may_be_none)
        self._building = True
        try:
            build(self, *args, **kwargs)
        finally:
            self._building = False
        self._finish_build()

    return wrapper


def of_a_shape(method: Callable[..., Any]) -> Callable[..., Any]:
    """Make a method check that its argument is a shape, or several shapes."""

    @functools.wraps(method)
    def wrapper(self: "Layer", input_shape: Any) -> Any:
        check_shape(input_shape)
        return method(self, input_shape)

    return wrapper


class Layer(Weighted):
    """A Keras-style layer that is also a `torch.nn.Module`.

    To write your own layer, override `__init__`, `build` (weights, once the input shape is known) and `call`:

    >>> import torch
    >>> from nabi import layers
    >>> class Scale(layers.Layer):
    ...     def build(self, input_shape):
    ...         self.factor = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="factor")
    ...     def call(self, inputs):
    ...         return inputs * self.factor
    >>> scale = Scale()
    >>> scale(torch.ones(2, 3)).shape, scale.count_params(), scale.name
    (torch.Size([2, 3]), 3, 'scale')

    `call` may take `mask` and `training`; they are passed only if its signature has them. As in Keras, a
    layer called on its own is not in training mode (dropout is off) unless `training=True` is passed;
    `layer.train()`, or fitting the model it is in, turns training on. The mask of a tensor is its attribute
    `_keras_mask`, True at unmasked steps.

    Arguments: `name` (default: from the class name), `trainable`, `dtype` (default: torch's default dtype),
    and, for the first layer of a model, its input shape as `input_shape` (without the batch),
    `batch_input_shape` or `batch_shape` (with it), or `input_dim` and `input_length`; `weights` are
    initial weights in the order of `get_weights`; `activity_regularizer` penalises the output, divided by
    the batch size.
    Raises `ArgumentError` for unknown arguments.
    """

    supports_masking: bool = False
    stateful: bool = False
    # Integers are not cast (Keras' rule) unless a layer computes with them.
    _casts_integers: ClassVar[bool] = False
    _reads_sequences: ClassVar[bool] = False
    # Whether a list of arrays means several inputs, not one input written as a list.
    _takes_several: ClassVar[bool] = False
    # What `call` takes; read once per class, because inspecting a signature costs more than a small layer.
    _takes_mask: ClassVar[bool] = False
    _takes_training: ClassVar[bool] = False
    _makes_mask: ClassVar[bool] = False
    _describes_itself: ClassVar[bool] = True
    # Whether the output shape is known without a trial.
    says_output_shape: ClassVar[bool] = False
    # The symbolic tensors of the first call on an Input; a layer called on numbers has none.
    input = OfFirstCall()
    output = OfFirstCall()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        parameters = inspect.signature(cls.call).parameters
        cls._takes_mask = "mask" in parameters
        cls._takes_training = "training" in parameters
        if "compute_mask" in vars(cls):
            cls._makes_mask = vars(cls).get("_makes_mask", True)
            cls.supports_masking = vars(cls).get("supports_masking", True)
        if "compute_output_shape" in vars(cls):
            cls.says_output_shape = True
        elif "call" in vars(cls) and not cls.__module__.startswith("nabi."):
            cls.says_output_shape = False  # the inherited one may not hold for another call
        if "get_config" in vars(cls):
            cls._describes_itself = True
        elif "__init__" in vars(cls):
            cls._describes_itself = False
        cls._watches_containers = not cls.__module__.startswith("nabi.")
        if "__init__" in vars(cls) and cls.__module__.startswith("nabi."):
            cls.__init__ = public(cls.__init__)  # type: ignore[method-assign]
        if "compute_output_shape" in vars(cls) and cls.__module__.startswith("nabi.layers."):
            cls.compute_output_shape = of_a_shape(vars(cls)["compute_output_shape"])  # type: ignore[method-assign]
        if "build" in vars(cls):
            cls.build = build_once(vars(cls)["build"])  # type: ignore[method-assign]
        register(cls)

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if kwargs and cls.__module__.startswith("nabi."):
            kind: Any = cls
            known = keyword_arguments(kind)
            if not kwargs.keys() <= known:  # before Python reports a missing argument instead
                first = next(name for name in kwargs if name not in known)
                raise unknown_arguments(cls.__name__, {first: None}, sorted(known))
        layer = super().__new__(cls)
        if not cls._describes_itself:
            object.__setattr__(layer, "_init_arguments", (args, kwargs))
        return layer

    @public
    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: str | torch.dtype | None = None,
        input_shape: Any = None,
        input_dim: int | None = None,
        batch_input_shape: Any = None,
        batch_shape: Any = None,
        batch_size: int | None = None,
        input_length: int | None = None,
        activity_regularizer: Any = None,
        weights: Sequence[Any] | None = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            kind: Any = type(self)
            raise unknown_arguments(type(self).__name__, unknown, sorted(keyword_arguments(kind)))
        super().__init__(dtype_named(dtype), bool(trainable))
        self.name: str = name or unique_name(type(self).__name__)
        self.built = False
        self.training = False
        self._building = False
        self._warned = False
        self._initial_weights = weights
        self._first_call: Call | None = None
        self.activity_regularizer = _regularizers.get(activity_regularizer, "activity_regularizer")
        self.declared_input_shape: Shape | None = declared_shape(
            input_shape=input_shape,
            input_dim=input_dim,
            input_length=input_length,
            batch_input_shape=batch_input_shape if batch_input_shape is not None else batch_shape,
            batch_size=batch_size,
            sequence=self._reads_sequences,
        )

    # Weights ----------------------------------------------------------------------------------------------

    @build_once
    def build(self, input_shape: Shape) -> None:
        """Create the weights for a full input shape, batch first; the base class has none."""

    @property
    def non_trainable_variables(self) -> list[Tensor]:
        """The frozen weights and the state of random seeds."""
        return [*self.non_trainable_weights, *self.get_extra().values()]

    # State ------------------------------------------------------------------------------------------------

    def reset_state(self) -> None:
        """Reset the states of stateful layers; do nothing on a layer without states."""
        for child in self.children():
            for module in [child] if isinstance(child, Layer) else child.modules():
                if isinstance(module, Layer):
                    module.reset_state()

    def reset_states(self) -> None:
        """Reset the states, as `reset_state` (Keras 2's name)."""
        self.reset_state()

    def get_extra(self) -> dict[str, Tensor]:
        """Return what is neither weight nor configuration, by dotted name: states, random seeds."""
        return {
            f"{path}.{key}" if path else key: value
            for path, module in self.named_modules()
            if isinstance(module, Layer)
            for key, value in module._own_extra().items()
        }

    def set_extra(self, values: Mapping[str, Tensor]) -> None:
        """Restore what `get_extra` returned; `ArgumentError` for a name that no layer has."""
        layers = {path: module for path, module in self.named_modules() if isinstance(module, Layer)}
        for name, value in values.items():
            path, _, key = name.rpartition(".")
            if path not in layers or not layers[path]._set_own_extra(key, value):
                raise ArgumentError(f"values: {self.name} has no state {name!r}")

    def _own_extra(self) -> dict[str, Tensor]:
        seeds = {name: value.state for name, value in vars(self).items() if isinstance(value, SeedGenerator)}
        return {name: state for name, state in seeds.items() if state is not None}

    def _set_own_extra(self, key: str, value: Tensor) -> bool:
        source = vars(self).get(key)
        if isinstance(source, SeedGenerator):
            source.state = value
            return True
        return False

    @property
    def dtype(self) -> torch.dtype:
        """The data type of the weights; floating-point inputs are cast to it."""
        return self._dtype

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for weight in self.parameters():
            if weight.is_floating_point():
                self._dtype = weight.dtype
                break
        else:
            self._dtype = fn(torch.empty(0, dtype=self._dtype)).dtype
        return self

    def matrices(self) -> dict[str, int]:
        """Return its weight matrices that `quantize` stores in fewer bits: names, and axes of outputs."""
        return {}

    # Configuration ----------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer, as JSON-able values.

        Your own layer need not override it if the arguments of its `__init__` are plain values or layers.
        """
        config: dict[str, Any] = {
            "name": self.name,
            "trainable": self._trainable,
            "dtype": str(self._dtype).removeprefix("torch."),
        }
        if self.declared_input_shape is not None:
            config["batch_input_shape"] = list(self.declared_input_shape)
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = _regularizers.serialize(self.activity_regularizer)
        if not self._describes_itself:
            kind = type(self)
            parameters = inspect.signature(kind.__init__).parameters
            if not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
                config = {name: value for name, value in config.items() if name in parameters}
            given = automatic_config(kind, vars(self)["_init_arguments"])
            if {"input_shape", "input_dim", "batch_shape"} & set(given) - set(parameters):
                config.pop("batch_input_shape", None)
            config.update((name, value) for name, value in given.items() if (name, value) != ("name", None))
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Make a layer from what `get_config` returned."""
        if not isinstance(config, Mapping):
            raise ArgumentError(f"config: expected a dictionary, got {short(config)}")
        if not cls._describes_itself:
            config = {name: restore(value, custom_objects) for name, value in config.items()}
        return cls(**config)

    def extra_repr(self) -> str:
        """Show the name and the shapes of existing weights."""
        own = {name: weight for name, weight in self._parameters.items() if weight is not None}
        return ", ".join(
            [f"name={self.name!r}", *(f"{name}={tuple(weight.shape)}" for name, weight in own.items())]
        )

    # Calling ----------------------------------------------------------------------------------------------

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; overridden by every layer."""
        raise NotImplementedError(f"{type(self).__name__} must define call(inputs)")

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask of the output from the mask of the input: the same one by default."""
        return mask

    def compute_output_shape(self, input_shape: Shape) -> Any:
        """Return the full output shape for a full input shape; found by a trial call unless overridden."""
        return infer_output_shape(self, input_shape)

    def forward(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Prepare inputs, weights and masks, then `call`."""
        if not isinstance(inputs, Tensor):
            if is_symbolic(inputs):
                return call_symbolically(self, inputs, *args, **kwargs)
            if is_proxy(inputs):
                return leaf(self, inputs, *args, **kwargs)
            inputs = to_tensors(self, inputs)
        elif inputs.dtype is not self._dtype:
            inputs = self._cast(inputs)
        if not self.built:
            self._build_for(inputs)
        mask = kwargs.pop("mask", None)
        if mask is None:
            mask = mask_of(inputs)
        elif not isinstance(mask, Tensor):
            mask = to_mask(mask, inputs, self._takes_several)
        if self._takes_mask:
            kwargs["mask"] = mask
        if self._takes_training:
            if kwargs.get("training") is None:
                kwargs["training"] = self.training
        else:
            kwargs.pop("training", None)
        if self._call_losses and not collecting.on:
            self._call_losses = []
        outputs = self.call(inputs, *args, **kwargs)
        if self._makes_mask or mask is not None:
            outputs = attach_mask(self, inputs, outputs, mask)
        if self.activity_regularizer is not None:
            for output in leaves(outputs):
                if isinstance(output, Tensor):
                    self.add_loss(per_sample(self.activity_regularizer(output), output))
        return outputs

    def __prepare_scriptable__(self) -> Any:
        refuse_script(self)

    def _cast(self, inputs: Tensor) -> Tensor:
        return cast_input(self, inputs)

    def _build_for(self, inputs: Any) -> None:
        shape = mapped(lambda one: tuple(one.shape), inputs)
        # On the device of the inputs; weights created during inference must be trainable later.
        with torch.inference_mode(False), torch.device(device_of(inputs) or torch.get_default_device()):
            self.build(shape)

    def _finish_build(self) -> None:
        self.built = True
        if self._initial_weights is not None:
            self.set_weights(self._initial_weights)
            self._initial_weights = None

    def __getstate__(self) -> dict[str, Any]:
        # Penalties of the last call belong to its graph, which can be neither copied nor saved. A copy of a
        # layer is not part of the layer's functional model.
        return {**self.__dict__, "_call_losses": [], "_first_call": None}
