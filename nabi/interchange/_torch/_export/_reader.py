"""Turns the JSON of an exported program into a module: operators checked, recurrent ones made modules."""

import json
import os
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn

from nabi._public import public
from nabi.errors import FileFormatError
from nabi.files import reading
from nabi.interchange._torch._export._archive import Archive, dtype_of, read_archive
from nabi.interchange._torch._export._operators import CELLS, LAYERS, MODES, ZEROS, is_known
from nabi.interchange._torch._export._program import Device, Program, Step, TorchProgram, Value, Weight
from nabi.interchange._torch._reading import check_place
from nabi.nn import GRU, LSTM, ElmanRNN, GRUCell, LSTMCell, RNNCell

__all__ = ["read_torch_export"]

_DEEPEST = 20
# Arguments of plain values; a list of them has an s at the end.
_PLAIN: dict[str, tuple[type, ...]] = {
    "as_int": (int,), "as_float": (int, float), "as_string": (str,), "as_bool": (bool,)
}  # fmt: skip


@public
def read_torch_export(path: str | os.PathLike[str]) -> nn.Module:
    """Read a program that `torch.export.save` wrote (`.pt2`), where it has nothing but known operators.

    Its recurrent operators become `nabi.nn.LSTM`, `GRU`, `RNN` and their cells; the others are called one
    after the other. Initial states of zeros are left out, so that the batch size of the example, which
    `torch.export` writes into them, does not matter there. Nothing in the file is run: operators are looked
    up in a list, and weights are plain bytes.

    Args:
        path: of the file, written by PyTorch 2.13 or one with the same version (8) of the format.

    Returns:
        A module in evaluation mode that takes the arguments of the exported one; its weights have the names
        that they had there.

    Raises:
        MissingFileError: there is no such file.
        FileFormatError: the file is damaged, of another version, or has other operators; the message lists
            all of them.

    Example:
        >>> import tempfile, torch
        >>> from nabi.interchange import read_torch_export
        >>> path = tempfile.mkdtemp() + "/policy.pt2"
        >>> x = torch.randn(2, 3)
        >>> theirs = torch.nn.Sequential(torch.nn.GRUCell(3, 5), torch.nn.Linear(5, 2))
        >>> torch.export.save(torch.export.export(theirs, (x,)), path)
        >>> ours = read_torch_export(path)
        >>> torch.allclose(ours(x), theirs(x), atol=1e-6)
        True
    """
    place = check_place(path)
    with reading(place, "its program cannot be read"):
        with open(place, "rb") as file:
            if file.read(4) != b"PK\x03\x04":
                raise FileFormatError(f"path: {place} is no .pt2 file of torch.export, or it is damaged")
        archive = read_archive(place)
        graph = archive.program["graph_module"]["graph"]
        unknown = Counter(node["target"] for node in graph["nodes"] if not is_known(node["target"]))
        if unknown:
            said = ", ".join(f"{str(name)[:80]} ({count})" for name, count in sorted(unknown.items()))
            hint = (
                "; export the model before from_torch, or after to_torch" if "torch.ops.nabi" in said else ""
            )
            raise FileFormatError(f"path: {place} has operators that are not known: {said}{hint}")
        return _Maker(archive).make().eval()


class _Maker:
    """Makes the module of one archive."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._graph = archive.program["graph_module"]["graph"]
        self._weights: dict[str, str] = {}  # name in the graph -> name in the module
        self._values: set[str] = set()
        self._modules: dict[str, nn.Module] = {}

    def make(self) -> TorchProgram:
        """Return the module.

        Raises:
            FileFormatError: the graph does not fit together.
        """
        signature = self._archive.program["graph_module"]["signature"]
        inputs = [self._input(one) for one in signature["input_specs"]]
        zeros = self._zeros_for_states()
        steps = [self._step(node, zeros) for node in self._graph["nodes"]]
        outputs = []
        for one in signature["output_specs"]:
            if one.keys() != {"user_output"}:
                # A buffer that training changes: the operator does that by itself.
                raise FileFormatError(
                    f"output: expected results, got {', '.join(one)}; export the model in .eval()"
                )
            outputs.append(self._argument(one["user_output"]["arg"]))
        shape = self._shape(len(outputs))
        user = tuple([name for is_user, name in inputs if is_user])
        module = TorchProgram(
            Program(user, tuple([step for step in steps if step is not None]), tuple(outputs), shape)
        )
        for name, tensor in self._archive.tensors.items():
            _put(module, name, tensor)
        for name, one in self._modules.items():
            path, _, last = name.rpartition(".")
            _folder(module, path)._modules[last] = one
        return module

    def _input(self, one: Any) -> tuple[bool, str | None]:
        """Note one input of the graph; return whether it is an argument of the program, and its name."""
        ((kind, spec),) = one.items()
        names = {
            "parameter": "parameter_name",
            "buffer": "buffer_name",
            "tensor_constant": "tensor_constant_name",
        }
        if kind in names:
            name, own = spec["arg"]["name"], spec[names[kind]]
            if own not in self._archive.tensors:
                raise FileFormatError(f"{str(own)[:80]}: expected a tensor in the archive, got none")
            self._weights[name] = own
            return False, None
        if kind == "constant_input":
            return True, None
        if kind != "user_input":
            raise FileFormatError(f"input: expected tensors and weights, got {str(kind)[:40]}")
        ((form, value),) = spec["arg"].items()
        if form == "as_tensor":
            self._values.add(value["name"])
            return True, value["name"]
        if form in ("as_sym_int", "as_sym_float", "as_sym_bool") and "as_name" in value:
            self._values.add(value["as_name"])
            return True, value["as_name"]
        return True, None

    def _zeros_for_states(self) -> set[str]:
        """Return the names of zeros that only recurrent layers read, as their initial states."""
        made = {
            node["outputs"][0]["as_tensor"]["name"]
            for node in self._graph["nodes"]
            if node["target"] == ZEROS
        }
        other: set[str] = set()
        for node in self._graph["nodes"]:
            for position, one in enumerate(node["inputs"]):
                if not (node["target"] in LAYERS and position == 1):
                    other |= _names(one["arg"])
        for one in self._graph["outputs"]:
            other |= _names(one)
        return made - other

    def _step(self, node: Any, zeros: set[str]) -> Step | None:
        target = node["target"]
        results = tuple([_result(one) for one in node["outputs"]])
        if target == ZEROS and results[0] in zeros:
            return None
        step = None
        if target in LAYERS or target in CELLS:
            step = self._recurrent(node, zeros, results)
        if step is None:
            arguments = tuple([self._argument(one["arg"]) for one in node["inputs"] if one["kind"] == 1])
            named = {one["name"]: self._argument(one["arg"]) for one in node["inputs"] if one["kind"] == 2}
            step = Step(target, arguments, results, named, mode=MODES.get(target))
        for result in results:
            self._values.update(result if isinstance(result, tuple) else [result] if result else [])
        return step

    def _recurrent(self, node: Any, zeros: set[str], results: tuple[Any, ...]) -> Step | None:
        """Return the call of a module; None where weights are computed, so that no module can hold them."""
        target, given = node["target"], {one["name"]: one["arg"] for one in node["inputs"]}
        if target in LAYERS:
            names = [one["name"] for one in given["params"]["as_tensors"]]
        else:
            order = ("w_ih", "w_hh", "b_ih", "b_hh")
            names = [
                given[name]["as_tensor"]["name"] for name in order if given.get(name, {}).get("as_tensor")
            ]
        if any(name not in self._weights for name in names):
            return None
        own = [self._weights[name] for name in names]
        module = self._module(target, given, [self._archive.tensors[name] for name in own])
        path = _common_path(own, module)
        rest = self._archive.tensors.keys() - set(own)
        number = 0
        if any(name.startswith(f"{path}.") for name in rest):
            path += "__0"  # other weights are there as well
        while path in self._modules and not _same(self._modules[path], module):
            number += 1
            path = f"{path.partition('__')[0]}__{number}"
        self._modules.setdefault(path, module)
        state = _names(given["hx"])
        states: Any = None
        if not state or not state <= zeros:
            states = self._argument(given["hx"])
        return Step(target, (self._argument(given["input"]), states), results, module=path)

    def _module(self, target: str, given: dict[str, Any], weights: list[Tensor]) -> nn.Module:
        """Return a module of nabi's that has these weights."""
        mode = LAYERS.get(target) or CELLS[target]
        options: dict[str, Any] = {"device": "meta"}
        if mode.startswith("RNN"):
            options["nonlinearity"] = mode.removeprefix("RNN_").lower()
        kinds: dict[str, Any] = {"LSTM": (LSTM, LSTMCell), "GRU": (GRU, GRUCell)}
        layer, cell = kinds.get(mode, (ElmanRNN, RNNCell))
        if len(weights) < 2 or weights[0].dim() != 2 or weights[1].dim() != 2:
            raise FileFormatError(f"{target}: expected matrices as weights")
        if target in CELLS:
            inputs, units = weights[0].shape[1], weights[1].shape[1]
            made = cell(inputs, units, bias=len(weights) == 4, **options)
        else:
            count, both = given["num_layers"]["as_int"], given["bidirectional"]["as_bool"]
            biases = given["has_biases"]["as_bool"]
            if not 0 < count <= len(weights):
                raise FileFormatError(
                    f"{target}: expected weights for {str(count)[:20]} layers, got {len(weights)}"
                )
            each, rest = divmod(len(weights), count * (2 if both else 1))
            units = weights[1].shape[1]
            if mode == "LSTM" and each == (5 if biases else 3) and not rest:
                options["proj_size"], units = units, weights[0].shape[0] // 4
            options["dropout"] = given["dropout"]["as_float"] if count > 1 else 0.0
            made = layer(
                weights[0].shape[1], units, num_layers=count, bias=biases, bidirectional=both,
                batch_first=given["batch_first"]["as_bool"], **options,
            )  # fmt: skip
        expected = list(made.named_parameters())
        if len(expected) != len(weights):
            raise FileFormatError(f"{target}: expected {len(expected)} weights, got {len(weights)}")
        for (name, one), weight in zip(expected, weights, strict=True):
            if one.shape != weight.shape:
                raise FileFormatError(
                    f"{target}: {name}: expected shape {tuple(one.shape)}, got {tuple(weight.shape)}"
                )
            setattr(made, name, weight if isinstance(weight, nn.Parameter) else nn.Parameter(weight, False))
        found: nn.Module = made
        return found

    def _argument(self, one: Any) -> Any:
        """Return an argument as it stands in a step."""
        ((kind, value),) = one.items()
        if kind == "as_tensor":
            return self._tensor(value["name"])
        if kind == "as_tensors":
            return [self._tensor(each["name"]) for each in value]
        if kind == "as_optional_tensor":
            return self._argument(value)
        if kind == "as_optional_tensors":
            return [self._argument(each) for each in value]
        if kind in ("as_sym_int", "as_sym_float", "as_sym_bool"):
            return self._number(value)
        if kind in ("as_sym_ints", "as_sym_floats", "as_sym_bools"):
            return [self._number(each) for each in value]
        if kind == "as_none":
            return None
        if kind == "as_scalar_type":
            return dtype_of(value)
        if kind == "as_device":
            return Device()
        if kind == "as_layout":
            return torch.strided
        if kind == "as_memory_format":
            return torch.preserve_format if value == 4 else torch.contiguous_format
        each_kind = _PLAIN.get(kind.removesuffix("s"), ())
        if kind in _PLAIN and isinstance(value, each_kind):
            return value
        is_list = kind not in _PLAIN and isinstance(value, list)
        if each_kind and is_list and all(isinstance(one, each_kind) for one in value):
            return list(value)
        raise FileFormatError(
            f"argument: expected tensors and numbers, got {str(kind)[:40]} {str(value)[:40]}"
        )

    def _tensor(self, name: str) -> Any:
        if name in self._weights:
            return Weight(self._weights[name])
        if name not in self._values:
            raise FileFormatError(f"{str(name)[:80]}: expected a value that was computed before, got none")
        return Value(name)

    def _number(self, value: Any) -> Any:
        ((kind, found),) = value.items()
        if kind != "as_name":
            return found
        if found not in self._values:
            raise FileFormatError(f"{str(found)[:80]}: expected a size that was computed before, got none")
        return Value(found)

    def _shape(self, count: int) -> Any:
        """Return how results are nested, from the specification in the file."""
        calls = self._archive.program["graph_module"]["module_call_graph"]
        said = calls[0]["signature"]["out_spec"]
        shape = _nested(json.loads(said)[1], _DEEPEST)
        if _count(shape) != count:
            raise FileFormatError(f"out_spec: expected {count} results, got {_count(shape)}")
        return shape


def _nested(spec: Any, depth: int) -> Any:
    if spec["type"] is None:
        return None
    kind = {"builtins.tuple": "tuple", "builtins.list": "list", "builtins.dict": "dict"}.get(spec["type"])
    if kind is None or not depth:
        raise FileFormatError(f"out_spec: expected tuples, lists and dicts, got {str(spec['type'])[:60]}")
    parts = tuple([_nested(one, depth - 1) for one in spec["children_spec"]])
    keys = json.loads(spec["context"]) if kind == "dict" else None
    if kind == "dict" and (not isinstance(keys, list) or len(keys) != len(parts)):
        raise FileFormatError("out_spec: expected one key for each part of a dict")
    return kind, keys, parts


def _count(shape: Any) -> int:
    return 1 if shape is None else sum(_count(part) for part in shape[2])


def _names(argument: Any) -> set[str]:
    """Return the names of tensors in an argument."""
    ((kind, value),) = argument.items()
    if kind == "as_tensor":
        return {value["name"]}
    if kind in ("as_tensors", "as_optional_tensors"):
        return {
            name
            for one in value
            for name in _names(one if kind == "as_optional_tensors" else {"as_tensor": one})
        }
    return _names(value) if kind == "as_optional_tensor" else set()


def _result(one: Any) -> Any:
    ((kind, value),) = one.items()
    if kind == "as_tensor":
        return value["name"]
    if kind == "as_tensors":
        return tuple([each["name"] for each in value])
    if kind in ("as_sym_int", "as_sym_float", "as_sym_bool"):
        return value.get("as_name")
    if kind == "as_none":
        return None
    raise FileFormatError(f"result: expected tensors and sizes, got {str(kind)[:40]}")


def _common_path(names: list[str], module: nn.Module) -> str:
    """Return where a module was in the exported model; a name of its own if it was all of it, or nowhere."""
    own = [name for name, _ in module.named_parameters()]
    paths = {name.removesuffix(last).removesuffix(".") for name, last in zip(names, own, strict=True)}
    fitting = all(name.endswith(last) for name, last in zip(names, own, strict=True))
    path = paths.pop() if fitting and len(paths) == 1 else ""
    return path or "recurrent"


def _same(one: nn.Module, other: nn.Module) -> bool:
    if repr(one) != repr(other):
        return False
    return all(a is b for a, b in zip(one.parameters(), other.parameters(), strict=True))


def _folder(root: nn.Module, path: str) -> nn.Module:
    """Return the submodule at a path, made of empty modules where there is none."""
    for part in path.split(".") if path else []:
        if part not in root._modules:
            root.add_module(part, nn.Module())
        root = root._modules[part]  # type: ignore[assignment]
    return root


def _put(root: nn.Module, name: str, tensor: Tensor) -> None:
    path, _, last = name.rpartition(".")
    folder = _folder(root, path)
    if isinstance(tensor, nn.Parameter):
        folder.register_parameter(last, tensor)
    else:
        folder.register_buffer(last, tensor)
