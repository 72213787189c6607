"""The check at the start of every public function: arguments are compared with its signature.

This file checks names: errors suggest the nearest known one, or the new name of an old Keras 1 argument. The
kinds of values are in `nabi/_kinds.py`. Like `nabi/_checks.py`, it imports nothing heavy.
"""

import functools
import inspect
from collections.abc import Callable, Collection, Iterable
from typing import Any, ParamSpec, TypeVar

from nabi._kinds import Kind, kinds_of
from nabi.errors import UnknownNameError, unknown_name

__all__ = ["check_names", "public", "unknown_argument"]

_P = ParamSpec("_P")
_R = TypeVar("_R")

# A name of Keras 1 (a few of Keras 2 and TensorFlow) -> its possible names now; the first known one is used.
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

# Keras arguments that control how it computes; nabi does not need them.
_NOT_NEEDED = (
    "auto_scale_loss", "jit_compile", "max_q_size", "max_queue_size", "nb_worker", "pickle_safe",
    "run_eagerly", "sample_weight_mode", "steps_per_execution", "use_multiprocessing", "workers",
)  # fmt: skip

# Added to the new name if the value changes too.
_OTHER_VALUES = {
    "samples_per_epoch": ", which counts batches, not samples",
    "nb_val_samples": ", which counts batches, not samples",
    "val_samples": ", which counts batches, not samples",
    "show_accuracy": "=['accuracy'] of compile",
    "class_mode": ' of compile, such as "sparse_categorical_crossentropy"',
}


def unknown_argument(where: str, name: str, known: Collection[str]) -> UnknownNameError:
    """Build the error for an unknown keyword argument.

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
    if name in _NOT_NEEDED:
        return UnknownNameError(f"{where}: {name!r} is not needed here; leave it out")
    error = unknown_name(where, name, known)
    return UnknownNameError(str(error).replace("is not known", "is not an argument", 1))


def check_names(where: str, given: Iterable[str], known: Collection[str]) -> None:
    """Raise `UnknownNameError` for unknown keyword arguments."""
    for name in given:
        if name not in known:
            raise unknown_argument(where, name, known)


def public(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Make a public function check its arguments against its own signature before doing anything.

    For an unknown keyword argument, the error suggests the nearest name. A value of another kind than its
    annotation raises `ArgumentError`: a text for a number, an array for a bool, one number for a list. The
    function itself checks anything beyond the kind (at least 1, one of three names). Functions that are
    called many times per second are not decorated.
    """
    signature = inspect.signature(function)
    parameters = signature.parameters
    open_ended = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    known = {
        one.name for one in parameters.values() if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    }
    positional = [one.name for one in parameters.values() if one.kind is one.POSITIONAL_OR_KEYWORD]
    kinds: dict[str, Kind] = {}
    # Those given by position, with their places; what may be anything is not looked at.
    looked_at: list[tuple[int, str, Kind]] = []
    # So many arguments by position are not looked at; known once the kinds are.
    free = 0

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        nonlocal free
        if not kwargs and len(args) <= free:
            return function(*args)  # type: ignore[call-arg]
        if not open_ended and kwargs and not kwargs.keys() <= known:
            made = function.__name__ == "__init__" and args
            where = type(args[0]).__name__ if made else function.__name__
            check_names(f"{where}(...)", kwargs, sorted(known - {"self", "cls"}))
        if not kinds:
            found = kinds_of(function)
            places = [(place, name, found[name]) for place, name in enumerate(positional)]
            looked_at[:] = [one for one in places if one[2].looks]
            kinds.update(found)
            free = looked_at[0][0] if looked_at else len(positional)
        given, count = list(args), len(args)
        for place, name, kind in looked_at:
            if place >= count:
                break
            given[place] = kind.checked(name, given[place])
        for name, value in kwargs.items():
            if name in kinds:
                kwargs[name] = kinds[name].checked(name, value)
        return function(*given, **kwargs)

    return checked
