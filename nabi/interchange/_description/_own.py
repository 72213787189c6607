"""nabi's own model files, described: a model by its layers, a ready system by its settings and network."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

from nabi import models
from nabi.errors import NabiError, UnknownNameError
from nabi.files import READERS, ModelFile, read_model_file, reading
from nabi.interchange._description._description import Description, Table
from nabi.interchange._description._models import describe_model_object
from nabi.interchange._description._weights import describe_weights, infos_of
from nabi.interchange._own_files import own_weights
from nabi.ir import Cell
from nabi.layers import cell_from_config

__all__ = ["describe_own"]

_NAME = "nabi model file"
_LONGEST = 60
_NAMED = 10
_REPORTED = ("validation", "test", "accuracy", "error_rate", "seconds", "epochs")


def describe_own(
    path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None = None
) -> Description:
    """Describe a model file of nabi; raises as `read_model_file`."""
    file = read_model_file(path)
    with reading(file.path, "it cannot be described"):
        return _describe(file, custom_objects or {})


def _describe(file: ModelFile, custom_objects: Mapping[str, Any]) -> Description:
    facts = [("kind", file.kind), ("layout", str(file.header["layout"]))]
    if file.kind in READERS:
        facts.append(("read with", READERS[file.kind]))
    if file.kind == "model":
        try:
            model = models.load_model(file.path, custom_objects, compile=False)
        except UnknownNameError as problem:
            facts.append(("not known", _short(str(problem))))
        else:
            more, tables, equations = describe_model_object(model)
            return Description(file.path, _NAME, (*facts, *more, *_training(file)), tuple(tables), equations)
    weights = own_weights(file)
    more, tables = describe_weights(infos_of(weights))
    others = [
        name for name in file.tensors if name not in weights and name.removeprefix("weights/") not in weights
    ]
    # Models of texts have everything but their network in a part of the header.
    parts = (_mapping(file.header.get(name)) for name in ("classifier", "regressor"))
    header = {**file.header, **{name: value for part in parts for name, value in part.items()}}
    facts += [*_contents(header), *more, *_training(file)]
    if others:
        kinds = sorted({name.partition("/")[0] for name in others})
        facts.append(("other tensors", f"{len(others):,}: {_short(', '.join(kinds))}"))
    settings = header.get("settings")
    if isinstance(settings, Mapping) and settings:
        rows = tuple((str(name), _short(_text(value))) for name, value in settings.items())
        tables.insert(0, Table("settings", ("name", "value"), rows))
    return Description(file.path, _NAME, tuple(facts), tuple(tables), _equations(file.header, custom_objects))


def _contents(header: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Say how many classes there are, how many words, and how good the model was."""
    for name, value in header.items():
        if isinstance(value, Mapping) and isinstance(value.get("words"), list):
            unit = value.get("unit", "words")
            yield (
                "vocabulary" if name == "vocabulary" else f"{name} vocabulary",
                f"{len(value['words']):,} {unit}",
            )
            continue
        if name in ("labels", "classes"):
            value = _mapping(value).get("names", value)
        if name in ("labels", "classes") and isinstance(value, list):
            shown = ", ".join(map(str, value[:_NAMED])) + (", ..." if len(value) > _NAMED else "")
            yield name, _short(f"{len(value):,}: {shown}")
    report = _mapping(header.get("report"))
    for name in _REPORTED:
        value = report.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield f"report, {name.replace('_', ' ')}", f"{value:.4g}"


def _training(file: ModelFile) -> list[tuple[str, str]]:
    described = file.header.get("training")
    if not isinstance(described, Mapping):
        return []
    name = _mapping(described.get("optimizer")).get("class_name")
    facts = [] if name is None else [("optimizer", _short(str(name)))]
    epoch = described.get("completed_epoch", described.get("epoch"))
    return facts if epoch is None else [*facts, ("completed epochs", _short(str(epoch)))]


def _equations(header: Mapping[str, Any], custom: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the equations of the cells that a header describes, as far as their classes are known."""
    found: dict[str, tuple[str, ...]] = {}
    for described in _cells(header):
        try:
            cell = cell_from_config(described, custom)
            if isinstance(cell, Cell):
                found.setdefault(type(cell).__name__, tuple(cell.program(max(cell.units, 1)).equations))
        except (NabiError, TypeError, ValueError, KeyError, AttributeError):
            continue
    return found


def _cells(header: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    level: list[Any] = [header]
    while level:
        below: list[Any] = []
        for one in level:
            if isinstance(one, Mapping):
                if isinstance(one.get("cell"), dict) and "class_name" in one["cell"]:
                    yield one["cell"]
                below += one.values()
            elif isinstance(one, list):
                below += one
        level = below


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value[:_LONGEST])) or "none"
    if value is None or isinstance(value, bool):
        return {True: "yes", False: "no", None: "none"}[value]
    return str(value)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST * 3 else f"{text[: _LONGEST * 3]}..."
