"""Losses as objects, as passed to `compile`."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from nabi import _checks
from nabi._public import public
from nabi.errors import ArgumentError, unknown_name
from nabi.training._data._align import align_targets
from nabi.training._losses import _functions as functions
from nabi.training._losses._left_out import counted, values_where_counted, weighted

__all__ = ["FunctionLoss", "Loss", "TorchLoss", "deserialize", "get", "is_own", "loss_function", "serialize"]

LossFunction = Callable[..., Tensor]

# Torch losses whose targets may be class indices, with the classes on the second axis.
_CLASS_LOSSES = ("CrossEntropyLoss", "NLLLoss", "cross_entropy", "nll_loss")
_REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "none", None)


class Loss:
    """A loss: `loss(y_true, y_pred, sample_weight=None)` returns the mean over all samples and steps.

    Subclasses define `call(y_true, y_pred)`, which returns the values per sample `[B, ...]`.

    If the outputs have a mask, the mean is over the unmasked steps. Sample weights multiply the values; the
    sum is still divided by the number of samples, as in Keras. The values at steps that are masked or have
    weight 0 are ignored: their targets may be NaN or invalid labels.

    Args:
        name: shown in errors.
        reduction: "sum_over_batch_size" (or "mean"), "sum" or "none".
    """

    @public
    def __init__(self, name: str | None = None, reduction: str | None = "sum_over_batch_size") -> None:
        if reduction not in _REDUCTIONS:
            raise ArgumentError(f"reduction: expected one of {_REDUCTIONS}, got {reduction!r}")
        self.name = name or type(self).__name__
        self.reduction = reduction

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the values per sample, `[B, ...]`."""
        raise NotImplementedError(f"{type(self).__name__} must define call(y_true, y_pred)")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """Return the loss of targets and outputs."""
        if not isinstance(y_pred, Tensor):
            y_pred = torch.as_tensor(y_pred, dtype=torch.get_default_dtype())
        if not isinstance(y_true, Tensor):
            y_true = torch.as_tensor(y_true, device=y_pred.device)
        mask = getattr(y_pred, "_keras_mask", None)
        if mask is None and sample_weight is None:
            return self.reduce(self.call(y_true, y_pred))
        if sample_weight is not None:
            sample_weight = torch.as_tensor(sample_weight, dtype=y_pred.dtype, device=y_pred.device)
        counts = counted(y_pred, sample_weight, mask)
        values = values_where_counted(self.call, y_true, y_pred, counts)
        return self.reduce(values, sample_weight, mask)

    def reduce(self, values: Tensor, sample_weight: Any = None, mask: Tensor | None = None) -> Tensor:
        """Reduce the values per sample to the loss."""
        if sample_weight is not None:
            sample_weight = torch.as_tensor(sample_weight, dtype=values.dtype, device=values.device)
        values, valid = weighted(values, sample_weight, mask)
        if valid is not None and self.reduction in ("sum_over_batch_size", "mean"):
            values = values * (values.numel() / valid.sum().clamp(min=1))
        if self.reduction in ("none", None):
            return values
        if values.numel() == 1:
            return values.reshape(())  # a batch of one, as in the song recipe, needs no mean
        return values.sum() if self.reduction == "sum" else values.mean()

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the loss."""
        return {"name": self.name, "reduction": self.reduction}


class FunctionLoss(Loss):
    """A loss from a function of targets and outputs."""

    function: ClassVar[LossFunction | None] = None

    @public
    def __init__(
        self,
        fn: LossFunction | None = None,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        **options: Any,
    ) -> None:
        chosen = fn if fn is not None else type(self).function
        if chosen is None:
            raise ArgumentError("fn: expected a function of (y_true, y_pred), got None")
        super().__init__(name or getattr(chosen, "__name__", type(chosen).__name__), reduction)
        known = inspect.signature(chosen).parameters if options else {}
        for option in options:
            if option not in known:
                raise unknown_name(f"{self.name}, argument", option, list(known)[2:])
        self.fn = chosen
        self.options = options

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the values per sample, or the function's single number."""
        return self.fn(y_true, y_pred, **self.options)

    def reduce(self, values: Tensor, sample_weight: Any = None, mask: Tensor | None = None) -> Tensor:
        """Reduce the values per sample to the loss."""
        if values.ndim == 0:
            if sample_weight is not None:
                raise ArgumentError(
                    f"sample_weight: expected None for the loss {self.name!r}, which returns one number per "
                    "batch; return one per sample to use weights"
                )
            return values
        return super().reduce(values, sample_weight, mask)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the loss."""
        return {**super().get_config(), **self.options}


class NoLoss(Loss):
    """Placeholder for the loss of a model that computes its own."""

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """Raise `ArgumentError`."""
        raise ArgumentError("loss: expected a loss in compile, or a compute_loss that needs none, got None")


class TorchLoss(Loss):
    """A loss of `torch.nn` (an object) or `torch.nn.functional`, which takes outputs before targets."""

    @public
    def __init__(self, loss: Callable[..., Tensor]) -> None:
        super().__init__(getattr(loss, "__name__", type(loss).__name__))
        self.loss = loss
        self.reduces = getattr(loss, "reduction", "mean")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """Return the loss of targets and outputs."""
        mask = getattr(y_pred, "_keras_mask", None)
        if self.reduces == "none" and (mask is not None or sample_weight is not None):
            return super().__call__(y_true, y_pred, sample_weight)
        values = self.call(y_true, y_pred)
        if self.reduces == "none":
            return self.reduce(values)
        for name, given in (("sample_weight", sample_weight), ("mask", mask)):
            if given is not None:
                raise ArgumentError(
                    f"{name}: the torch loss {self.name} reduces to one number itself; to weight samples or "
                    "steps, create it with reduction='none' or use a loss of nabi.losses"
                )
        return values

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss: values per sample and step, or one number."""
        if self.name in _CLASS_LOSSES:
            if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1 and y_pred.shape[-1] != 1:
                y_true = y_true.squeeze(-1)
            if y_true.ndim == y_pred.ndim:
                y_true = y_true.to(y_pred.dtype).movedim(-1, 1)
            else:
                y_true = y_true.long()
            y_pred = y_pred.movedim(-1, 1)
        else:
            y_true = align_targets(y_true, y_pred)
        return self.loss(y_pred, y_true)


# Checks of the options of nabi's losses and metrics: each takes the name and the value and returns the value
# as a Python object.
_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "axis": functools.partial(_checks.whole, least=None),
    "from_logits": _checks.flag,
    "k": _checks.whole,
    "threshold": _checks.real,
    "label_smoothing": functools.partial(_checks.real, least=0, most=1),
    "delta": functools.partial(_checks.real, above=0),
}


def checked_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Check and return the options of one of nabi's losses or metrics; `ArgumentError` for an invalid one."""
    return {name: _CHECKS[name](name, value) if name in _CHECKS else value for name, value in options.items()}


def _class(name: str, function: LossFunction) -> type[FunctionLoss]:
    order = [*list(inspect.signature(function).parameters)[2:], "reduction", "name"]

    def __init__(self: FunctionLoss, *arguments: Any, **options: Any) -> None:  # noqa: N807
        """Take the options of the function, by position or name, then `reduction` and `name`."""
        if len(arguments) > len(order):
            raise ArgumentError(
                f"{name}: expected {', '.join(order)} at most, got {len(arguments)} arguments"
            )
        for option, value in zip(order, arguments, strict=False):
            if option in options:
                raise ArgumentError(f"{option}: given twice to {name}")
            options[option] = value
        if options.get("axis") == -1:  # the default
            del options["axis"]
        FunctionLoss.__init__(self, **checked_options(options))

    attributes = {
        "function": staticmethod(function),
        "__init__": __init__,
        "__doc__": f"`{function.__name__}` as an object, with the same options.",
    }
    return type(name, (FunctionLoss,), {**attributes, "__module__": "nabi.losses"})


BinaryCrossentropy = _class("BinaryCrossentropy", functions.binary_crossentropy)
CategoricalCrossentropy = _class("CategoricalCrossentropy", functions.categorical_crossentropy)
CosineSimilarity = _class("CosineSimilarity", functions.cosine_similarity)
Hinge = _class("Hinge", functions.hinge)
Huber = _class("Huber", functions.huber)
KLDivergence = _class("KLDivergence", functions.kl_divergence)
LogCosh = _class("LogCosh", functions.log_cosh)
MeanAbsoluteError = _class("MeanAbsoluteError", functions.mean_absolute_error)
MeanAbsolutePercentageError = _class("MeanAbsolutePercentageError", functions.mean_absolute_percentage_error)
MeanSquaredError = _class("MeanSquaredError", functions.mean_squared_error)
MeanSquaredLogarithmicError = _class("MeanSquaredLogarithmicError", functions.mean_squared_logarithmic_error)
Poisson = _class("Poisson", functions.poisson)
SparseCategoricalCrossentropy = _class(
    "SparseCategoricalCrossentropy", functions.sparse_categorical_crossentropy
)

_CLASSES: dict[str, type[FunctionLoss]] = {
    made.__name__: made
    for made in (
        BinaryCrossentropy, CategoricalCrossentropy, CosineSimilarity, Hinge, Huber, KLDivergence, LogCosh,
        MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredError, MeanSquaredLogarithmicError,
        Poisson, SparseCategoricalCrossentropy,
    )
}  # fmt: skip
_SHORT = {
    "bce": "binary_crossentropy", "kld": "kl_divergence", "logcosh": "log_cosh", "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error", "mse": "mean_squared_error",
    "msle": "mean_squared_logarithmic_error",
}  # fmt: skip
FUNCTIONS: dict[str, LossFunction] = {
    made.function.__name__: made.function for made in _CLASSES.values() if made.function is not None
}
FUNCTIONS |= {short: FUNCTIONS[name] for short, name in _SHORT.items()}


def loss_function(loss: Loss) -> LossFunction | None:
    """Return the function of `nabi.losses` behind a loss, or None."""
    return loss.fn if isinstance(loss, FunctionLoss) else None


def is_own(loss: Loss) -> bool:
    """Tell whether a loss is nabi's own and so depends only on targets, outputs and weights."""
    if not isinstance(loss, FunctionLoss) or type(loss) not in (FunctionLoss, *_CLASSES.values()):
        return False
    return any(loss.fn is function for function in FUNCTIONS.values()) and "call" not in vars(loss)


def get(identifier: object, custom_objects: Mapping[str, Any] | None = None) -> Loss:
    """Return the loss for a name, a function `(y_true, y_pred)`, a `Loss`, a torch loss or a serialized loss.

    Raises:
        UnknownNameError: for an unknown name; the message suggests the nearest known one.
        ArgumentError: for anything else.

    >>> get("mse").name
    'mean_squared_error'
    """
    custom = custom_objects or {}
    if isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, str):
        if identifier in custom:
            return get(custom[identifier])
        if identifier in _CLASSES:
            return _CLASSES[identifier]()
        if identifier not in FUNCTIONS:
            raise unknown_name("loss", identifier, [*FUNCTIONS, *custom])
        return FunctionLoss(FUNCTIONS[identifier])
    if isinstance(identifier, Mapping):
        return _from_config(identifier, custom)
    if isinstance(identifier, torch.nn.Module) or _is_torch_function(identifier):
        assert callable(identifier)
        return TorchLoss(identifier)
    if isinstance(identifier, type) and issubclass(identifier, Loss | torch.nn.Module):
        return get(identifier())
    if callable(identifier):
        return FunctionLoss(identifier)
    raise ArgumentError(
        "loss: expected a name such as 'mse', a function (y_true, y_pred) or a torch loss, "
        f"got {identifier!r}"
    )


def _is_torch_function(identifier: object) -> bool:
    return callable(identifier) and getattr(identifier, "__module__", "") == "torch.nn.functional"


def serialize(loss: Loss) -> dict[str, Any]:
    """Describe a loss for a file; a user's function is stored only by name."""
    if isinstance(loss, NoLoss):
        return {"class_name": "none", "config": {}}
    if isinstance(loss, TorchLoss):
        kind = "torch." if _is_torch_function(loss.loss) or _has_defaults(loss.loss) else "custom:"
        return {"class_name": kind + loss.name, "config": {"reduction": loss.reduces}}
    if isinstance(loss, FunctionLoss) and type(loss) is FunctionLoss:
        known = FUNCTIONS.get(loss.fn.__name__) if hasattr(loss.fn, "__name__") else None
        kind = "function" if known is loss.fn else "custom"
        return {"class_name": kind, "config": {**loss.get_config(), "name": loss.name}}
    kind = type(loss).__name__
    known_class = _CLASSES.get(kind) is type(loss)
    return {"class_name": kind if known_class else "custom:" + kind, "config": loss.get_config()}


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Loss:
    """Make the loss that `serialize` described; your own losses come from `custom_objects`.

    Raises:
        ArgumentError: for an invalid description or a missing loss.
    """
    if not isinstance(config, Mapping) or "class_name" not in config:
        raise ArgumentError(f"config: expected a dictionary with 'class_name' and 'config', got {config!r}")
    return get(config, custom_objects)


def _has_defaults(loss: Any) -> bool:
    """Tell whether a loss is torch's own, created with only a reduction."""
    kind = type(loss)
    if getattr(torch.nn.modules.loss, kind.__name__, None) is not kind or loss.state_dict():
        return False
    plain = kind(reduction=loss.reduction)
    return all(value == getattr(loss, name) for name, value in vars(plain).items() if name[0] != "_")


def _from_config(saved: Mapping[str, Any], custom: Mapping[str, Any]) -> Loss:
    kind, config = str(saved.get("class_name")), dict(saved.get("config") or {})
    if kind in _CLASSES:
        return _CLASSES[kind](**config)
    if kind == "none":
        return NoLoss()
    name = config.get("name")
    if kind == "function" and name in FUNCTIONS:
        return FunctionLoss(FUNCTIONS[str(name)], **config)
    if kind.startswith("torch."):
        return _torch_loss(kind.removeprefix("torch."), config)
    wanted = str(name) if kind == "custom" else kind.removeprefix("custom:")
    if wanted not in custom:
        raise ArgumentError(
            f"custom_objects: the model was compiled with the loss {wanted!r}, which is not nabi's; "
            f"pass custom_objects={{{wanted!r}: ...}} or compile=False"
        )
    made = custom[wanted]
    own_class = isinstance(made, type) and issubclass(made, Loss)
    return get(made(**config) if own_class else made)


def _torch_loss(name: str, config: Mapping[str, Any]) -> Loss:
    # Only losses: a file must not be able to refer to any other part of torch.
    found = getattr(torch.nn.modules.loss, name, None)
    if isinstance(found, type) and issubclass(found, torch.nn.modules.loss._Loss):
        return TorchLoss(found(reduction=config.get("reduction", "mean")))
    if name in ("cross_entropy", "nll_loss") or name.endswith("_loss"):
        function = getattr(torch.nn.functional, name, None)
        if callable(function):
            return TorchLoss(function)
    raise unknown_name("loss", name, [])
