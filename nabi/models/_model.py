"""The base class of models: layers, summary and files, in addition to training."""

import json
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch

from nabi._public import public
from nabi.errors import ArgumentError, MissingNameError, unknown_name
from nabi.layers import Held, Layer, serialize
from nabi.models import _files
from nabi.models._fitting import Fitting
from nabi.models._foreign import exporter_of

if TYPE_CHECKING:
    from nabi.models._quantizing import SmallWeightsReport

__all__ = ["Model"]


class Model(Fitting):
    """A model that computes its outputs in `call(inputs)` from layers that are its attributes.

    `Model(inputs, outputs)` is a functional model, the layers between symbolic tensors; see `Functional`.

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
        """Make a functional model if inputs and outputs are given."""
        # Keras 1 called them input and output; the class that knows the arguments reports that.
        if cls is Model and (inputs_outputs or {"inputs", "outputs", "input", "output"} & options.keys()):
            return super().__new__(cls._of_inputs_and_outputs)
        return super().__new__(cls, *inputs_outputs, **options)

    def __init__(self, *inputs_outputs: Any, **options: Any) -> None:
        if inputs_outputs or {"inputs", "outputs"} & options.keys():
            raise ArgumentError(
                f"inputs, outputs: expected none for {type(self).__name__}, a subclass of Model with its own "
                "call(); derive from nabi.models.Functional to use inputs and outputs"
            )
        super().__init__(**options)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return None: the outputs carry the mask set by the inner layers."""
        return None

    @property
    def layers(self) -> list[Layer]:
        """The layers, in order of assignment."""
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
        """Return the layer with this name or at this index.

        Raises:
            UnknownNameError: for an unknown name.
            ArgumentError: for an index out of range, or without either.
        """
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ArgumentError(
                    f"index: expected one of {self.name}'s {len(layers)} layers, got {index!r}"
                )
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        raise unknown_name("name", name, [layer.name for layer in layers])

    @property
    def metrics(self) -> list[Any]:
        """The metrics passed to `compile`."""
        return [] if self._compiled is None else list(self._compiled.metrics_asked)

    @property
    def input_shape(self) -> Any:
        """Shape of the inputs, None for open axes; None before it is known."""
        if self.declared_input_shape is not None:
            return self.declared_input_shape
        return None if self._input is None else tuple(self._input[0])

    def output_shapes(self) -> list[Any]:
        """Return the output shape of each of `layers`, None if it is unknown."""
        return [None] * len(self.layers)

    def connections(self) -> list[str] | None:
        """Return the inputs of each of `layers`, by name; None if each is the layer above, or unknown."""
        return None

    @public
    def summary(self, print_fn: Callable[[str], Any] | None = None, line_length: int | None = None) -> None:
        """Print a table of the layers: shapes, parameter counts, and the sums behind them.

        Args:
            print_fn: called for each line instead of printing.
            line_length: width of the table.
        """
        from nabi.models._summary import summary_lines

        lines = summary_lines(self, self.layers, self.output_shapes(), self.connections(), line_length)
        for line in lines:
            (print_fn or print)(line)

    @public
    def quantize(self, weights: str = "int8", x: Any = None) -> "SmallWeightsReport":
        """Store the weight matrices in fewer bits, in place: a quarter (int8) or half of the memory.

        Those of recurrent layers, Dense, Embedding and convolutions, also inside other layers; everything
        else stays float32, as do states, activations and sums. The model is not trained any more.
        See `docs/small-weights.md`.

        Args:
            weights: `"int8"` with a scale for each output, `"bfloat16"` or `"float16"`.
            x: input on which the change of the outputs is measured (default: random input).

        Returns:
            The sizes, and the change of the outputs.

        Raises:
            UnknownNameError: for another kind.
            NotReadyError: if the model is not built.
            ArgumentError: if there is nothing to store so, it is stored so already, or a weight is not
                float32 or not finite.

        >>> from nabi import Sequential, layers
        >>> model = Sequential([layers.GRU(64, input_shape=(None, 8)), layers.Dense(2)])
        >>> model.quantize("int8").share < 0.3
        True
        """
        from nabi.models._quantizing import quantize_model

        report = quantize_model(self, weights, x)
        if self._compiled is not None:
            self._compiled.forget_progress()
        return report

    # Files ------------------------------------------------------------------------------------------------

    @public
    def save(self, path: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write the model and its training state to one file, for `load_model`.

        A name that ends in `.keras`, `.h5` or `.hdf5` gives a file for Keras 3; see
        `nabi.interchange.write_keras`.

        Raises:
            OutputError: if the file cannot be written, or exists and `overwrite` is False.
            ArgumentError: if a layer contains something that a file can't store.
        """
        _files.save_model(self, path, overwrite)

    @public
    def save_weights(self, path: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write the weights to a file, for `load_weights`; raises as `save`.

        A name that ends in `.weights.h5` gives a file for Keras 3.
        """
        _files.save_weights(self, path, overwrite)

    @public
    def load_weights(self, path: str | os.PathLike[str]) -> None:
        """Read the weights from a file of `save_weights` or `save`, or of Keras.

        Raises:
            MissingFileError, FileFormatError: if there is no such file, or it is damaged or foreign.
            ShapeError: if its weights do not match this model.
        """
        _files.load_weights(self, path)

    @public
    def load_training(self, path: str | os.PathLike[str]) -> None:
        """Resume training from a file of `save`: weights, states, optimizer, schedule and random numbers.

        The model must be compiled as when the file was written; raises as `load_weights`.
        """
        _files.load_training(self, path)

    @public
    def export(self, path: str | os.PathLike[str], format: str | None = None, **options: Any) -> None:
        """Write the model as a file for other programs; `format` is by default that of the path's suffix.

        "onnx" is written by `nabi.interchange.write_onnx`, whose options `lengths`, `stateful` and `opset` it
        takes; "object" and "c", folders with machine code or C source and a header, "wasm", a WebAssembly
        module and its loader, and "web", a page that runs the model, by `write_object`, `write_c`,
        `write_web_assembly` and `write_web` of `nabi.shipping`, with options such as `target` and `name`.
        Raises `ArgumentError` for an unknown format and for layers that it has no rendering for,
        `OutputError` if nothing can be written.
        """
        exporter_of(path, format)(self, path, **options)

    # Configuration ----------------------------------------------------------------------------------------

    def to_json(self, **options: Any) -> str:
        """Return the layers and their connections as JSON, without weights, for `model_from_json`.

        `options` are those of `json.dumps`, such as `indent`. Raises `ArgumentError` if a layer contains
        something that JSON can't represent.
        """
        return json.dumps(serialize(self), **options)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Make a model from what `get_config` returned; on `Model`, a functional one."""
        if cls is Model and "calls" in config:
            return cls._of_inputs_and_outputs.from_config(config, custom_objects)  # type: ignore[return-value]
        return super().from_config(config, custom_objects)

    def _no_attribute(self, name: str) -> AttributeError:
        """Build the error for a missing attribute, with a hint for attributes of Keras models."""
        from nabi._keras_names import MODEL

        error = super()._no_attribute(name)
        return MissingNameError(f"{error}: {MODEL[name]}", name=name) if name in MODEL else error

    def rebuild(self, shape: Any, dtype: str) -> None:
        """Create the weights for an input shape, as when the file was written."""
        if self.built and any(True for _ in self.parameters()):
            return
        zeros = torch.zeros([size or 1 for size in shape], dtype=getattr(torch, str(dtype)))
        self._input = (list(shape), str(dtype))
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            self(zeros)
        self.reset_state()
