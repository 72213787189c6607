"""Layers that apply a user's function or do nothing: Lambda, Identity."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from nabi._named import name_of_function
from nabi.errors import ArgumentError
from nabi.layers._layer._arguments import Shape
from nabi.layers._layer._base import Layer

__all__ = ["Identity", "Lambda"]


class Identity(Layer):
    """Returns its input, mask included.

    >>> import torch
    >>> Identity()(torch.ones(2))
    tensor([1., 1.])
    """

    supports_masking = True

    def call(self, inputs: Any) -> Any:
        """Return the inputs."""
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return `input_shape` unchanged."""
        return input_shape


class Lambda(Layer):
    """A function of the inputs, written in torch, as a layer.

    Arguments as in Keras: `function`, called with the inputs, the keywords in `arguments`, and `training` and
    `mask` if its signature has them; `output_shape`, without the batch or as a function of the full input
    shape (default: found by a trial call); `mask`, the mask of the output or a function `(inputs, mask)` that
    returns it (default: the mask is dropped).

    The layer does not track weights used by the function; for those, write a subclass of `Layer`. A model
    file stores only the function's name, so define it with `def` and pass it to `load_model` in
    `custom_objects`.

    >>> import torch
    >>> Lambda(lambda x: x[:, -1])(torch.zeros(2, 5, 3)).shape
    torch.Size([2, 3])
    """

    _makes_mask = False

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Sequence[int | None] | Callable[[Shape], Any] | None = None,
        mask: Any = None,
        arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(function):
            raise ArgumentError(f"function: expected a function of the inputs, got {function!r}")
        self.function = function
        self.arguments = dict(arguments or {})
        self.mask = mask
        self.supports_masking = mask is not None
        self._output_shape = output_shape
        try:
            taken = inspect.signature(function).parameters
        except (TypeError, ValueError):  # some built-in functions have no signature
            taken = {}  # type: ignore[assignment]
        self._gives = [name for name in ("training", "mask") if name in taken and name not in self.arguments]

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        """Apply the function to the inputs."""
        given = {"training": training, "mask": mask}
        return self.function(inputs, **self.arguments, **{name: given[name] for name in self._gives})

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask of the output."""
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the full output shape."""
        if self._output_shape is None:
            return super().compute_output_shape(input_shape)
        if callable(self._output_shape):
            return tuple(self._output_shape(input_shape))
        several = any(isinstance(one, list | tuple) for one in input_shape)
        return ((input_shape[0][0] if several else input_shape[0]), *self._output_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer, with functions as names."""
        config = {**super().get_config(), "function": self._named("function", self.function)}
        if self._output_shape is not None:
            shape = self._output_shape
            config["output_shape"] = self._named("output_shape", shape) if callable(shape) else list(shape)
        if self.mask is not None:
            if not callable(self.mask):
                raise ArgumentError(
                    f"mask: expected a function for {self.name}, got a tensor, which a config can't hold"
                )
            config["mask"] = self._named("mask", self.mask)
        if self.arguments:
            config["arguments"] = self.arguments
        return config

    def _named(self, argument: str, function: Callable[..., Any]) -> str:
        name: str = name_of_function(function) or str(getattr(function, "__name__", "<lambda>"))
        if not name.isidentifier():
            raise ArgumentError(
                f"{argument}: {self.name} (Lambda) has {function!r}, which has no name to store in a config; "
                "use a function defined with def, or a subclass of Layer"
            )
        return name

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Make the layer from what `get_config` returned, with the functions from `custom_objects`."""
        config = dict(config)
        for argument in ("function", "output_shape", "mask"):
            name = config.get(argument)
            if not isinstance(name, str):
                continue
            if name not in (custom_objects or {}):
                raise ArgumentError(
                    f"custom_objects: a Lambda layer needs the function {name!r}: "
                    f"pass custom_objects={{{name!r}: {name}}}"
                )
            config[argument] = (custom_objects or {})[name]
        return cls(**config)
