"""Any `torch.nn.Module` as a layer."""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from nabi._shown import short
from nabi.errors import ArgumentError, ShapeError
from nabi.layers._layer._base import Layer
from nabi.layers._layer._claims import claim

__all__ = ["TorchModuleWrapper", "as_layer"]


class TorchModuleWrapper(Layer):
    """A `torch.nn.Module` as a layer; a Sequential wraps modules automatically.

    The module's parameters are the layer's weights; its buffers are saved with them. The module is called
    with the inputs alone, in the layer's training mode. Several outputs are returned as a tuple. Masks are
    dropped. The output shape is found by a trial call unless `output_shape` (without the batch) is given.

    A model file can hold modules of `torch.nn` that are created from plain arguments, and
    `torch.nn.Sequential` of such modules. For any other module, `load_model` needs
    `custom_objects={"Name": make}`: its class name or the layer's name, and a function that creates it.

    Raises `ArgumentError` if `module` is not a module.

    >>> import torch
    >>> layer = TorchModuleWrapper(torch.nn.Linear(3, 2))
    >>> layer(torch.zeros(5, 3)).shape, layer.count_params()
    (torch.Size([5, 2]), 8)
    """

    def __init__(
        self, module: torch.nn.Module, name: str | None = None, output_shape: Any = None, **kwargs: Any
    ) -> None:
        if not isinstance(module, torch.nn.Module):
            raise ArgumentError(f"module: expected a torch.nn.Module, got {module!r}")
        if isinstance(module, Layer):
            raise ArgumentError(f"module: {module.name} is already a layer; use it as it is")
        weight = next((one for one in module.parameters() if one.is_floating_point()), None)
        if weight is not None:
            kwargs.setdefault("dtype", weight.dtype)
        super().__init__(name=name, **kwargs)
        self.module = module
        self.output_shape = None if output_shape is None else tuple(output_shape)
        if weight is not None and self.dtype is not weight.dtype:
            module.to(self.dtype)
        if not self._trainable:
            self.trainable = False

    def build(self, input_shape: Any) -> None:
        """Create the weights of a module that needs its input shape first, such as `LazyLinear`."""
        if any(isinstance(one, UninitializedParameter | UninitializedBuffer) for one in self._own_tensors()):
            self.built = True  # so that the trial call does not build again
            self._trial(input_shape)

    def _own_tensors(self) -> Iterator[Tensor]:
        yield from self.module.parameters()
        yield from self.module.buffers()

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the module's outputs."""
        module = self.module
        if module.training is not training:
            module.train(training)
        return module(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the full output shape."""
        if self.output_shape is not None:
            return (input_shape[0], *self.output_shape)
        return self._trial(input_shape)

    def _trial(self, input_shape: Any) -> Any:
        # Modules such as Embedding need integers, which the shape does not tell.
        try:
            return super().compute_output_shape(input_shape)
        except ShapeError as problem:
            given, self._dtype = self._dtype, torch.int64
            try:
                return super().compute_output_shape(input_shape)
            except ShapeError:
                raise problem from None
            finally:
                self._dtype = given

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        config = {**super().get_config(), "module": _described(self.module)}
        if self.output_shape is not None:
            config["output_shape"] = list(self.output_shape)
        frozen = [name for name, one in self.module.named_parameters() if not one.requires_grad]
        if frozen and self._trainable:
            config["frozen"] = frozen
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Make the layer from what `get_config` returned."""
        config = dict(config)
        frozen = config.pop("frozen", ())
        own = (custom_objects or {}).get(str(config.get("name")))
        described = config.pop("module")
        if own is None:
            _claim(described, str(config.get("name")))
            module = _made(described, custom_objects or {})
        else:
            module = _from(own)
        for name, weight in module.named_parameters():
            if name in frozen:
                weight.requires_grad_(False)
        return cls(module, **config)


def as_layer(layer: Any) -> Any:
    """Wrap a torch module in a layer; return anything else unchanged."""
    if isinstance(layer, torch.nn.Module) and not isinstance(layer, Layer):
        return TorchModuleWrapper(layer, name=None)
    return layer


def _described(module: torch.nn.Module) -> dict[str, Any]:
    """Describe a module for a file: torch's own by class and arguments, others by class name."""
    kind = type(module)
    if kind is torch.nn.Sequential:
        return {
            "torch_class": "Sequential",
            "children": [[name, _described(one)] for name, one in module.named_children()],
        }
    if getattr(torch.nn, kind.__name__, None) is kind:
        arguments = _arguments(module)
        if arguments is not None:
            return {"torch_class": kind.__name__, "arguments": arguments}
    return {"custom_class": kind.__name__}


def _arguments(module: torch.nn.Module) -> dict[str, Any] | None:
    """Return the arguments that recreate a torch module; None if its attributes do not tell them."""
    found: dict[str, Any] = {}
    if type(module).__init__ is torch.nn.Module.__init__:
        return found
    for name, parameter in inspect.signature(type(module).__init__).parameters.items():
        if name in ("self", "device", "dtype") or name.startswith("_"):
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            return None
        if not hasattr(module, name):
            return None
        value = getattr(module, name)
        found[name] = value is not None if isinstance(value, Tensor) or name == "bias" else value
    try:
        plain: dict[str, Any] = json.loads(json.dumps(found))
        again = _made({"torch_class": type(module).__name__, "arguments": plain}, {}, device="meta")
    except (TypeError, ValueError, RuntimeError):
        return None
    # Modules with the same repr and weights of the same shapes are taken as equal.
    shapes = [{name: one.shape for name, one in made.state_dict().items()} for made in (module, again)]
    return plain if repr(again) == repr(module) and shapes[0] == shapes[1] else None


def _made(described: Any, custom: Mapping[str, Any], device: str | None = None) -> torch.nn.Module:
    if not isinstance(described, Mapping):
        raise ArgumentError(f"module: expected a description of a torch module, got {described!r}")
    if "custom_class" in described:
        name = described["custom_class"]
        if name not in custom:
            raise ArgumentError(
                f"custom_objects: the model has a torch module of class {name!r}, which a file can't hold; "
                f"pass custom_objects={{{name!r}: a function that creates it}}"
            )
        return _from(custom[name])
    kind = getattr(torch.nn, str(described.get("torch_class")), None)
    # Only modules: a file must not be able to refer to any other part of torch.
    if not (isinstance(kind, type) and issubclass(kind, torch.nn.Module)):
        raise ArgumentError(f"module: torch.nn has no module {described.get('torch_class')!r}")
    make: Callable[..., torch.nn.Module] = kind
    with torch.device(device or torch.get_default_device()):
        if kind is torch.nn.Sequential:
            sequential = torch.nn.Sequential()
            for name, one in described["children"]:
                sequential.add_module(str(name), _made(one, custom, device))
            return sequential
        arguments = {
            str(name): tuple(value) if isinstance(value, list) else value
            for name, value in described["arguments"].items()
        }
        return make(**arguments)


def _from(made: Any) -> torch.nn.Module:
    """Return the module of a `custom_objects` entry: a module, or a class or function that creates one."""
    module = made if isinstance(made, torch.nn.Module) else made() if callable(made) else None
    if not isinstance(module, torch.nn.Module):
        raise ArgumentError(f"custom_objects: expected a torch module or its factory, got {made!r}")
    return module


def _claim(described: Any, layer: str) -> None:
    """Claim the memory for the weights of a described torch module without creating them.

    Raises:
        ArgumentError: if the description is not of a module.
        ShapeError: if the file it comes from holds fewer numbers.
    """
    if isinstance(described, Mapping) and "custom_class" in described:
        return
    if isinstance(described, Mapping) and isinstance(described.get("children"), list):
        for _, child in described["children"]:  # some may come from custom_objects
            _claim(child, layer)
        return
    try:
        module = _made(described, {}, device="meta")
    except (TypeError, ValueError, RuntimeError, KeyError) as problem:
        raise ArgumentError(f"module: {short(described)} can't be created ({problem})") from problem
    for name, value in module.state_dict().items():
        claim(value.shape, layer, name)
