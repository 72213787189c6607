"""Any model file, whatever its format: described, read, written, converted."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nabi import _checks
from nabi._public import public
from nabi.errors import ArgumentError, FileFormatError
from nabi.interchange._description._description import Description
from nabi.interchange._formats import FORMATS, Format, format_of, format_to_write, function

__all__ = ["convert", "describe", "read_model", "write_model"]


@public
def describe(path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None = None) -> Description:
    """Say what is in a model file of any format; `str` of the result is the text that `nabi show` prints.

    The format is seen in the content. Nothing in the file is executed. For a model, there are its layers with
    shapes and parameters, and the equations of its cells; for a ready system of nabi, also its settings,
    classes and vocabulary; for weights alone, the tensors and the recurrent layers that their names and
    shapes show.

    Args:
        path: of the file.
        custom_objects: your own classes that the model uses, by name.

    Raises:
        MissingFileError: if there is no such file.
        FileFormatError: if it is of no known format, or damaged.

    Example:
        >>> from nabi.interchange import describe
        >>> print(describe("tests/interchange/tensorflow/files/gru.index"))  # doctest: +ELLIPSIS
        tests/interchange/tensorflow/files/gru.index: TensorFlow checkpoint
        ...
        recurrent layers, by names and shapes
          name          cell  inputs  units  layers  directions  more
          rnn/gru_cell  GRU   2       3      1       1           reset before
        ...
    """
    place, found = format_of(path)
    own = function(found.describe)
    if own is not None:
        description: Description = own(place, custom_objects)
    else:
        description = _described(place, found, custom_objects)
    ending = place.name.lower()
    if not ending.endswith(found.endings):
        noted = (
            "name",
            f"ends in none of {', '.join(found.endings)}, but the content is {found.with_article}",
        )
        description = replace(description, facts=(noted, *description.facts))
    return description


def _described(place: Path, found: Format, custom_objects: Mapping[str, Any] | None) -> Description:
    from nabi.interchange._description._models import describe_model_object
    from nabi.interchange._description._weights import describe_weights, infos_of

    listed = function(found.list_weights)
    if listed is not None:
        facts, tables = describe_weights(listed(place))
        return Description(place, found.name, tuple(facts), tuple(tables))
    read_weights = function(found.read_weights)
    if read_weights is not None:
        facts, tables = describe_weights(infos_of(read_weights(place)))
        return Description(place, found.name, tuple(facts), tuple(tables))
    model = _read(place, found, custom_objects)
    facts, tables, equations = describe_model_object(model)
    return Description(place, found.name, tuple(facts), tuple(tables), equations)


@public
def read_model(path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Read a model from a file of any format that holds one; the format is seen in the content.

    Args:
        path: of the file.
        custom_objects: your own classes that the model uses, by name, for nabi's and Keras' files.

    Returns:
        A model of `nabi.models`, or a ready system of nabi.

    Raises:
        MissingFileError: if there is no such file.
        FileFormatError: if it is of no known format, damaged, or holds weights alone.

    Example:
        >>> import tempfile, pathlib
        >>> from nabi import interchange, layers, models
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.nabi"
        >>> models.Sequential([layers.GRU(4, input_shape=(None, 2))]).save(path)
        >>> interchange.read_model(path).count_params()
        96
    """
    place, found = format_of(path)
    return _read(place, found, custom_objects)


def _read(place: Path, found: Format, custom_objects: Mapping[str, Any] | None) -> Any:
    reader = function(found.read_model)
    if reader is None:
        raise FileFormatError(f"path: {place}: expected a model, got {found.with_article}; {_instead(found)}")
    return reader(place, custom_objects) if found.takes_own_classes else reader(place)


def _instead(found: Format) -> str:
    if found.hint:
        return found.hint
    if found.read_weights or found.list_weights:
        return (
            "weights alone do not say what the network computes; build it and load them with "
            f"{_LOADERS.get(found.name, 'load_weights of the model')}"
        )
    return "this version of nabi does not read it"


_LOADERS = {
    "TensorFlow checkpoint": "nabi.interchange.load_tensorflow_weights",
    "PyTorch weights file": "nabi.interchange.load_torch_weights",
    "safetensors file": "nabi.interchange.load_torch_weights",
}


@public
def write_model(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a model to a file of the format that the ending asks for.

    Weights alone are written under the model's own names for them (`state_dict`).

    Args:
        model: a model of `nabi.models`, a ready system, or a module.
        path: of the file; an existing one is replaced.

    Raises:
        ArgumentError: for an ending that nabi does not write, or a model that the format cannot hold.
        OutputError: if the file cannot be written.

    Example:
        >>> import tempfile, pathlib
        >>> from nabi import interchange, layers, models
        >>> model = models.Sequential([layers.GRU(4, input_shape=(None, 2))])
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "weights.safetensors"
        >>> interchange.write_model(model, path)
        >>> "GRU" in str(interchange.describe(path))
        True
    """
    _write(model, _checks.path("path", path), format_to_write(path))


def _write(model: Any, path: Path, target: Format) -> list[Path]:
    """Write a model; returns the further files that hold a part of it."""
    writer = function(target.write_model)
    if writer is not None:
        written = writer(model, path) or ()
        return [one for one in written if one != path and one.suffix == path.suffix]
    write_weights = function(target.write_weights)
    assert write_weights is not None
    network = model if hasattr(model, "state_dict") else getattr(model, "network", None)
    if network is None:
        raise ArgumentError(f"model: expected a model or a system with a network, got {type(model).__name__}")
    write_weights(network.state_dict(), path)
    return []


@public
def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    custom_objects: Mapping[str, Any] | None = None,
) -> tuple[str, str]:
    """Read a file of one format and write it as another, which the ending of the target says.

    A model can become any format that holds models, or weights alone. Weights alone can only become weights
    again. `nabi convert` calls this.

    Args:
        source: the file to read.
        target: the file to write; an existing one is replaced.
        custom_objects: your own classes that the model uses, by name.

    Returns:
        The names of both formats; the second also names a further file that holds a part of the model, as
        of a translator in ONNX.

    Raises:
        MissingFileError: if there is no such file.
        FileFormatError: if it is of no known format, or damaged.
        ArgumentError: if one cannot become the other; the message says what is possible.
        OutputError: if the target cannot be written, or is the source.

    Example:
        >>> import tempfile, pathlib
        >>> from nabi.interchange import convert, describe
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "weights.safetensors"
        >>> convert("tests/interchange/tensorflow/files/stack", path)
        ('TensorFlow checkpoint', 'safetensors file')
    """
    place, found = format_of(source)
    path = _checks.path("target", target)
    wanted = format_to_write(path)
    if path.exists() and os.path.samefile(path, place):
        raise ArgumentError(f"target: expected another file than the source, got {path}")
    read_weights, write_weights = function(found.read_weights), function(wanted.write_weights)
    if read_weights is not None and write_weights is not None:
        tensors = read_weights(place)
        write_weights(dict(getattr(tensors, "tensors", tensors)), path)
        beside = []
    elif function(found.read_model) is not None:
        beside = _write(_read(place, found, custom_objects), path, wanted)
    else:
        raise ArgumentError(f"source: {place} is {found.with_article}, {_possible(found, wanted)}")
    return found.name, " and ".join([wanted.name, *(one.name for one in beside)])


def _possible(found: Format, wanted: Format) -> str:
    """Say why one format cannot become another, and what it can become."""
    if function(found.read_weights) is None:
        return f"which cannot be converted: {_instead(found)}"
    targets = [ending for one in FORMATS if function(one.write_weights) for ending in one.endings]
    return (
        f"which cannot become {wanted.with_article}: {_instead(found)}. It can become "
        f"{', '.join(targets)}; models come from "
        + ", ".join(ending for one in FORMATS if function(one.read_model) for ending in one.endings)
    )
