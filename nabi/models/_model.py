"""What every model has besides training: its layers, its summary, its files."""

import json
import os
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import torch

from nabi._public import public
from nabi.errors import ArgumentError, MissingNameError, unknown_name
from nabi.layers import Held, Layer, serialize
from nabi.models import _files
from nabi.models._fitting import Fitting
from nabi.models._summary import summary_lines

__all__ = ["Model"]


class Model(Fitting):
    """A model that computes its outputs in `call(inputs)` from layers that are its attributes.

    `Model(inputs, outputs)` is a functional model: what lies between symbolic tensors; see `Functional`.

    >>> import torch
    >>> from nabi import layers, models
    >>> class Doubled(models.Model):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.readout = layers.Dense(1)
    ...     def call(self, inputs):
    ...         return 2 * self.readout(inputs)
    >>> model = Doubled()
    >>> model.compile("sgd", "mse")
    >>> history = model.fit([[0.0], [1.0]], [0.0, 2.0], epochs=3, verbose=0)
    >>> len(history.history["loss"]), model.count_params()
    (3, 2)
    """

    supports_masking = True
    _makes_mask = False
    # What a model of inputs and outputs is: `Functional`, which stands above and enters itself here.
    _of_inputs_and_outputs: ClassVar[type["Model"]]

    def __new__(cls, *inputs_outputs: Any, **options: Any) -> Any:
        """Make a functional model of inputs and outputs."""
        # Keras 1 called them input and output; that is said where the other arguments are known.
        if cls is Model and (inputs_outputs or {"inputs", "outputs", "input", "output"} & options.keys()):
            return super().__new__(cls._of_inputs_and_outputs)
        return super().__new__(cls, *inputs_outputs, **options)

    def __init__(self, *inputs_outputs: Any, **options: Any) -> None:
        if inputs_outputs or {"inputs", "outputs"} & options.keys():
            raise ArgumentError(
                f"inputs, outputs: {type(self).__name__} is a subclass of Model, whose call() says what it "
                "computes; derive from nabi.models.Functional to make it of inputs and outputs"
            )
        super().__init__(**options)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """None: the outputs carry the mask that the layers inside have given them."""
        return None

    @property
    def layers(self) -> list[Layer]:
        """The layers, in the order in which they were assigned."""
        found: list[Layer] = []
        waiting = list(self.children())[::-1]
        while waiting:
            child = waiting.pop()
            if isinstance(child, Layer):
                found.append(child)
            elif isinstance(child, torch.nn.ModuleList | torch.nn.ModuleDict | Held):
                waiting += list(child.children())[::-1]
        return found

    @public
    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name, or at that place.

        Raises:
            UnknownNameError: for a name that no layer has.
            ArgumentError: for a place where there is none, or without either.
        """
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ArgumentError(f"index: got {index!r}, {self.name} has {len(layers)} layers")
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        raise unknown_name("name", name, [layer.name for layer in layers])

    @property
    def metrics(self) -> list[Any]:
        """What `compile` was given as metrics."""
        return [] if self._compiled is None else list(self._compiled.metrics_asked)

    @property
    def input_shape(self) -> Any:
        """Shape of the inputs, None for axes that are open; None before it is known."""
        if self.declared_input_shape is not None:
            return self.declared_input_shape
        return None if self._input is None else tuple(self._input[0])

    def output_shapes(self) -> list[Any]:
        """Shape of the outputs of each of `layers`, None where it is not known."""
        return [None] * len(self.layers)

    def connections(self) -> list[str] | None:
        """What each of `layers` is called on, by name; None where it is the layer above, or not known."""
        return None

    @public
    def summary(self, print_fn: Callable[[str], Any] | None = None, line_length: int | None = None) -> None:
        """Print a table of the layers: shapes, parameter counts, and the sums behind them.

        Args:
            print_fn: called for each line instead of printing.
            line_length: width of the table.
        """
        lines = summary_lines(self, self.layers, self.output_shapes(), self.connections(), line_length)
        for line in lines:
            (print_fn or print)(line)

    # Files ------------------------------------------------------------------------------------------------

    @public
    def save(self, path: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write the model and where its training stands into one file, for `load_model`.

        Raises:
            OutputError: if the file cannot be written, or is there and `overwrite` is false.
            ArgumentError: if a layer holds something that a file cannot.
        """
        _files.save_model(self, path, overwrite)

    @public
    def save_weights(self, path: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write the weights into a file, for `load_weights`; raises as `save`."""
        _files.save_weights(self, path, overwrite)

    @public
    def load_weights(self, path: str | os.PathLike[str]) -> None:
        """Read the weights from a file of `save_weights` or `save`.

        Raises:
            MissingFileError, FileFormatError: if there is no such file, or it is damaged or foreign.
            ShapeError: if its weights are not those of this model.
        """
        _files.load_weights(self, path)

    @public
    def load_training(self, path: str | os.PathLike[str]) -> None:
        """Go on from a file of `save`: weights, states, optimizer, schedule and random numbers.

        The model is compiled as it was when the file was written; raises as `load_weights`.
        """
        _files.load_training(self, path)

    # Configuration ----------------------------------------------------------------------------------------

    def to_json(self, **options: Any) -> str:
        """Return the layers and how they are put together as JSON, without weights, for `model_from_json`.

        `options` are those of `json.dumps`, such as `indent`. Raises `ArgumentError` if a layer holds
        something that JSON cannot.
        """
        return json.dumps(serialize(self), **options)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Make a model from what `get_config` returned; `Model` makes a functional one again."""
        if cls is Model and "calls" in config:
            return cls._of_inputs_and_outputs.from_config(config, custom_objects)  # type: ignore[return-value]
        return super().from_config(config, custom_objects)

    def _no_attribute(self, name: str) -> AttributeError:
        """The error for a name that is not there; it says what to write for what Keras' models have."""
        from nabi._keras_names import MODEL

        error = super()._no_attribute(name)
        return MissingNameError(f"{error}: {MODEL[name]}", name=name) if name in MODEL else error

    def rebuild(self, shape: Any, dtype: str) -> None:
        """Make the weights for inputs of a shape, as when the file was written."""
        if self.built and any(True for _ in self.parameters()):
            return
        zeros = torch.zeros([size or 1 for size in shape], dtype=getattr(torch, str(dtype)))
        self._input = (list(shape), str(dtype))
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            self(zeros)
        self.reset_state()
