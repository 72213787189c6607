"""Keyword arguments that a function does not have: the nearest name is said, and what Keras 1 called it.

It loads nothing heavy, as `nabi/_checks.py`.
"""

import functools
import inspect
from collections.abc import Callable, Collection, Iterable
from typing import Any, ParamSpec, TypeVar

from nabi.errors import UnknownNameError, unknown_name

__all__ = ["check_names", "refusing_unknown", "unknown_argument"]

_P = ParamSpec("_P")
_R = TypeVar("_R")

# A name of Keras 1 (a few of Keras 2 and TensorFlow) -> what it may be called now, the first that fits.
_OLD_NAMES = {
    "W_constraint": ("kernel_constraint", "embeddings_constraint"),
    "W_regularizer": ("kernel_regularizer", "embeddings_regularizer"),
    "U_regularizer": ("recurrent_regularizer",),
    "b_constraint": ("bias_constraint",),
    "b_regularizer": ("bias_regularizer",),
    "bias": ("use_bias",),
    "border_mode": ("padding",),
    "class_mode": ("loss",),
    "concat_axis": ("axis",),
    "dim_ordering": ("data_format",),
    "dot_axes": ("axes",),
    "dropout_U": ("recurrent_dropout",),
    "dropout_W": ("dropout",),
    "consume_less": ("implementation",),
    "filter_length": ("kernel_size",),
    "forget_bias_init": ("unit_forget_bias",),
    "inner_activation": ("recurrent_activation",),
    "inner_init": ("recurrent_initializer",),
    "init": ("kernel_initializer", "embeddings_initializer"),
    "input": ("inputs",),
    "lr": ("learning_rate",),
    "nb_epoch": ("epochs",),
    "nb_filter": ("filters",),
    "nb_val_samples": ("validation_steps",),
    "nb_classes": ("num_classes",),
    "nb_words": ("num_words",),
    "objective": ("loss",),
    "output": ("outputs",),
    "output_dim": ("units", "filters", "output_dim"),
    "p": ("rate",),
    "pool_length": ("pool_size",),
    "samples_per_epoch": ("steps_per_epoch",),
    "show_accuracy": ("metrics",),
    "stride": ("strides",),
    "subsample": ("strides",),
    "subsample_length": ("strides",),
    "sigma": ("stddev",),
    "val_samples": ("steps",),
}

# What is said beside the new name, where the value is another one too.
_OTHER_VALUES = {
    "samples_per_epoch": ", which counts batches, not samples",
    "nb_val_samples": ", which counts batches, not samples",
    "val_samples": ", which counts batches, not samples",
    "show_accuracy": "=['accuracy'] of compile",
    "class_mode": ' of compile, such as "sparse_categorical_crossentropy"',
}


def unknown_argument(where: str, name: str, known: Collection[str]) -> UnknownNameError:
    """Build the error for a keyword argument that is not known.

    >>> str(unknown_argument("fit(...)", "nb_epoch", ["x", "y", "epochs"]))
    "fit(...): 'nb_epoch' is an old name; use epochs"
    >>> str(unknown_argument("fit(...)", "epoch", ["x", "y", "epochs"]))
    "fit(...): 'epoch' is not an argument; did you mean 'epochs'? Known are: epochs, x, y"
    """
    for now in _OLD_NAMES.get(name, ()):
        if now in known:
            return UnknownNameError(
                f"{where}: {name!r} is an old name; use {now}{_OTHER_VALUES.get(name, '')}"
            )
    error = unknown_name(where, name, known)
    return UnknownNameError(str(error).replace("is not known", "is not an argument", 1))


def check_names(where: str, given: Iterable[str], known: Collection[str]) -> None:
    """Refuse keyword arguments that are not among the known ones."""
    for name in given:
        if name not in known:
            raise unknown_argument(where, name, known)


def refusing_unknown(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Make a function answer keyword arguments that it does not have with the nearest name.

    Python's own `TypeError` names the argument but not the right one. The names are compared only where
    keyword arguments are given.
    """
    parameters = inspect.signature(function).parameters
    known = {
        name
        for name, parameter in parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    method = next(iter(parameters), "") in ("self", "cls")
    shown = sorted(known - {"self", "cls"})
    where = function.__qualname__.removesuffix(".__init__") if method else function.__name__

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if kwargs and not kwargs.keys() <= known:
            check_names(f"{where}(...)", kwargs, shown)
        return function(*args, **kwargs)

    return checked
