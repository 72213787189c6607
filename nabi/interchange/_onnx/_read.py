"""ONNX files to models: the graph node by node, and one error for everything that is not understood."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nabi import _checks, layers
from nabi._public import public
from nabi.errors import ArgumentError, FileFormatError, MissingFileError, NabiError
from nabi.interchange._onnx._own_reading import read_own
from nabi.interchange._onnx._reader._axis_nodes import AXIS_NODES
from nabi.interchange._onnx._reader._builder import Builder
from nabi.interchange._onnx._reader._call import Call, shown
from nabi.interchange._onnx._reader._folding import fold
from nabi.interchange._onnx._reader._functions import inlined
from nabi.interchange._onnx._reader._graphs import consumers, in_order, opset_of, reads, unrolled_weight
from nabi.interchange._onnx._reader._imported import Imported
from nabi.interchange._onnx._reader._layer_nodes import LAYER_NODES
from nabi.interchange._onnx._reader._loops._layer import loop, scan
from nabi.interchange._onnx._reader._recurrent import recurrent
from nabi.interchange._onnx._reader._refusal import Refusal, Restart
from nabi.interchange._onnx._reader._shape_nodes import SHAPE_NODES
from nabi.interchange._onnx._reader._tensors import BFLOAT16, DOUBLE, FLOAT, FLOAT16, array_of, type_name
from nabi.interchange._onnx._reader._values import Axes, Axis, Const, Value
from nabi.models import Functional, Model
from nabi.targets.onnx import Model as Message, Node, ValueInfo, decoded

__all__ = ["read_onnx"]

_HANDLERS = {
    **SHAPE_NODES,
    **LAYER_NODES,
    **AXIS_NODES,
    **dict.fromkeys(("RNN", "GRU", "LSTM"), recurrent),
    "Loop": loop,
    "Scan": scan,
}
_REASONS = {
    "TopK": "it sorts or selects; where it sorts a batch by length (PyTorch's pack_padded_sequence), "
    "export with enforce_sorted=True",
    "DynamicQuantizeLSTM": "it is quantised: export the model before it is quantised",
    "DynamicQuantizeLinear": "it is quantised: export the model before it is quantised",
    "QuantizeLinear": "it is quantised: export the model before it is quantised",
}
_LARGEST = 1 << 31  # bytes, as Protocol Buffers allow
# What NumPy, torch and nabi raise for arguments that contradict each other; a file may contain any.
_CONTRADICTIONS = (NabiError, ArithmeticError, LookupError, TypeError, ValueError, RuntimeError, MemoryError)


@public
def read_onnx(path: str | Path, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Read an ONNX file as a model of nabi, which can be run, trained on and explained.

    A file that nabi wrote gives back what was written, to the last bit: a model, a ready system, or a module
    of `nabi.nn`. Every other file gives a functional model of nabi's layers.

    Inputs and outputs have the batch first, `[B, T, features]`, also where the file has time first;
    `model.imported` says which axis of each is the batch in the file, and what else there is to know.
    Several outputs are a dictionary by their names. Nothing in the file is run. Other files are read only
    where the file has its weights in one beside it, or nabi wrote it as two. Versions 7 to 24 of ONNX's
    operators are read.

    Args:
        path: the file.
        custom_objects: your own cells and layers by name, for files that nabi wrote. Without them the graph
            is read, as are files of nabi that another program has changed; `model.imported.notes` says so.

    Raises:
        MissingFileError: there is no such file.
        FileFormatError: the file is damaged, contradicts itself, or has nodes that nabi does not know; the
            message lists all of them.

    Source: the ONNX specification, https://onnx.ai/onnx/.

    Example:
        >>> import pathlib, tempfile
        >>> from nabi.targets.onnx import Graph, Model, Node, OperatorSet, ValueInfo, encoded
        >>> graph = Graph([Node("Tanh", ["x"], ["y"])], "graph")
        >>> graph.input = [ValueInfo.of("x", 1, ["batch", 3])]
        >>> graph.output = [ValueInfo.of("y", 1, ["batch", 3])]
        >>> message = Model(8, graph=graph, opset_import=[OperatorSet("", 17)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "tanh.onnx")
        ...     _ = path.write_bytes(b"".join(encoded(message)))
        ...     model = read_onnx(path)
        >>> model.layers[1].activation.__name__, model.imported.opset
        ('tanh', 17)
    """
    place = _checks.path("path", path)
    if not place.is_file():
        raise MissingFileError(f"path: there is no file {place}")
    if place.stat().st_size > _LARGEST:
        raise FileFormatError(f"{place}: expected at most {_LARGEST} bytes, got {place.stat().st_size}")
    try:
        message = decoded(Message, place.read_bytes())
        own, why = read_own(message, place, custom_objects)
        return own if own is not None else _Reading(message, place.parent, [why] if why else []).model()
    except Refusal as refusal:
        raise FileFormatError(f"{place}: {refusal.reason}") from refusal
    except FileFormatError as problem:
        told = FileFormatError(f"{place}: {problem}")
        for note in getattr(problem, "__notes__", ()):
            told.add_note(note)
        raise told from problem


class _Reading:
    """One file on its way to a model."""

    def __init__(self, message: Message, folder: Path, notes: list[str]) -> None:
        if message.graph is None or not (message.graph.node or message.graph.output):
            raise FileFormatError("expected an ONNX model with a graph; the file has none")
        self.message, self.graph = message, message.graph
        self.opset = opset_of(message.opset_import)
        self.constants: dict[str, Const] = {}
        self.notes = notes
        for tensor in self.graph.initializer:
            if tensor.name in self.constants:
                raise Refusal(f"two tensors are named {tensor.name!r}", damaged=True)
            self.constants[tensor.name] = Const(array_of(tensor, folder))
            if tensor.data_type in (FLOAT16, BFLOAT16):
                kind = type_name(tensor.data_type)
                note = f"weights in {kind} were read as float32, which holds them exactly"
                self.notes += [] if note in self.notes else [note]
        nodes = inlined(self.graph.node, message.functions, self.opset)
        self.nodes = in_order(nodes, {*self.constants, *(one.name for one in self.graph.input)})
        self.inputs = [one for one in self.graph.input if one.name not in self.constants]

    def model(self) -> Model:
        """Return the model; start again where an operator says what an input's axes are."""
        weight = unrolled_weight(self.nodes, set(self.constants))
        if weight is not None:
            raise Refusal(_unrolled(self.message, *weight))
        batches: dict[str, int | None] = {one.name: 0 for one in self.inputs}
        only_last: set[str] = set()
        for _ in range(4 * len(self.inputs) + 4):
            builder = Builder(batches, only_last)
            builder.notes = list(self.notes)
            try:
                made = self._attempt(builder)
            except Restart:
                continue
            last = builder.read_last - builder.read_fully - only_last
            if not last:
                return made
            only_last = only_last | last
        raise Refusal("its operators contradict each other about which axis is the batch", damaged=True)

    def _attempt(self, builder: Builder) -> Model:
        names: dict[str, Any] = dict(self.constants)
        self.builder, self.refused = builder, list[tuple[Node, Refusal]]()
        for given in self.inputs:
            names[given.name] = self._input(builder, given)
        builder.used = {name for node in self.nodes for name in reads(node)} | {
            one.name for one in self.graph.output
        }
        builder.consumers = consumers(self.nodes, [one.name for one in self.graph.output])
        builder.names = names
        for node in self.nodes:
            self._read(node, names)
        if self.refused:
            raise self._error()
        return self._finished(builder, names)

    def _input(self, builder: Builder, given: ValueInfo) -> Value:
        shape, element = given.shape, given.element
        kinds = {
            FLOAT: "float32",
            FLOAT16: "float32",
            BFLOAT16: "float32",
            DOUBLE: "float64",
            6: "int",
            7: "int",
        }
        if element not in kinds:
            raise Refusal(
                f"input {given.name!r} has elements of {type_name(element)}, which nabi does not read"
            )
        if shape is None or len(shape) > 8:
            raise Refusal(f"input {given.name!r}: expected a stated shape of at most 8 axes")
        if element in (FLOAT16, BFLOAT16):
            builder.note(f"input {given.name} is {type_name(element)} in the file and float32 in nabi")
        if any(isinstance(size, int) and size < 1 for size in shape):
            raise Refusal(f"input {given.name!r}: a shape of {shape}", damaged=True)
        place = builder.batches[given.name] if shape else None
        axes: list[Axis] = []
        for number, size in enumerate(shape):
            if number == place:
                axes.append(builder.batch_axis(given.name, number, size if isinstance(size, int) else None))
            else:
                axes.append(builder.input_axis(given.name, number, size))
        rest = [axis for number, axis in enumerate(axes) if number != place]
        kind = kinds[element]
        dtype = {"int": "int32" if element == 6 else "int64"}.get(kind, kind)
        name = builder.name(builder.layer_name(given.name))
        symbol = layers.Input([axis.size for axis in rest], dtype=dtype, name=name)
        builder.inputs.append(symbol)
        held: Axes = ((builder.batch,), *[(axis,) for axis in rest])
        return Value(symbol, held, tuple((axis,) for axis in axes), kind)

    def _read(self, node: Node, names: dict[str, Any]) -> None:
        """Read a node; what it makes is known afterwards, or it is among those that are refused."""
        if any(name and names.get(name, "") is None for name in reads(node)):
            for name in node.output:
                names[name] = None  # it reads what is refused already
            return
        if all(name in names for name in node.output if name) and node.op_type == "Add":
            return  # it became the bias of the layer before it
        try:
            made = self._made(node, names)
        except Refusal as refusal:
            self.refused.append((node, refusal))
            made = []
        except _CONTRADICTIONS as problem:
            self.refused.append((node, Refusal(f"it contradicts itself: {problem}", damaged=True)))
            made = []
        for number, name in enumerate(node.output):
            if name:
                names[name] = made[number] if number < len(made) else None
                if name in self.builder.biased:
                    names[self.builder.biased[name]] = names[name]

    def _made(self, node: Node, names: dict[str, Any]) -> list[Any]:
        given = [names[name] if name else None for name in node.input]
        call = Call(node, given, self.opset)
        if node.domain not in ("", "ai.onnx"):
            raise Refusal(f"an operator of {node.domain!r}, which is not ONNX's own")
        if not any(isinstance(one, Value) for one in given):
            folded = fold(call)
            if folded is not None:
                return folded
        handler = _HANDLERS.get(node.op_type)
        if handler is None:
            raise Refusal(_REASONS.get(node.op_type, "nabi has nothing for this operator"))
        return handler(self.builder, call)

    def _error(self) -> FileFormatError:
        reasons: dict[tuple[str, str], list[str]] = defaultdict(list)
        for node, refusal in self.refused:
            reasons[node.op_type[:60], refusal.reason].append(shown(node))
        lines = []
        for (kind, reason), nodes in reasons.items():
            listed = ", ".join(nodes)
            lines.append(f"{kind} ({'node' if len(nodes) == 1 else 'nodes'} {listed}): {reason}")
        count = len(self.refused)
        damaged = any(refusal.damaged for _, refusal in self.refused)
        what = "contradict the operators' definitions or are" if damaged else "are"
        head = f"{count} of {len(self.nodes)} nodes {what} not understood"
        error = FileFormatError(f"{head}: " + "; ".join(lines))
        error.add_note("\n".join(lines))  # in full, where the message is cut
        return error

    def _finished(self, builder: Builder, names: dict[str, Any]) -> Model:
        if builder.conflict:
            raise Refusal(builder.conflict, damaged=True)
        outputs: dict[str, Any] = {}
        places: dict[str, int | None] = dict(builder.batches)
        if not self.graph.output:
            raise Refusal("the graph has no output", damaged=True)
        for one in self.graph.output:
            value = names.get(one.name)
            if isinstance(value, Const):
                raise Refusal(f"output {one.name!r} is a constant")
            if value is None:
                raise Refusal(f"output {one.name!r} is not computed by any node", damaged=True)
            outputs[one.name] = self._output(builder, one.name, value, places)
        if not builder.inputs:
            raise Refusal("the graph has no input", damaged=True)
        single = next(iter(outputs.values())) if len(outputs) == 1 else outputs
        try:
            model = Functional(builder.inputs[0] if len(builder.inputs) == 1 else builder.inputs, single)
        except ArgumentError as problem:
            raise Refusal(f"its inputs and outputs do not make a model: {problem}") from problem
        about: Any = model
        about.imported = Imported(
            producer=f"{self.message.producer_name} {self.message.producer_version}".strip(),
            opset=self.opset,
            batch_axes=places,
            notes=tuple(builder.notes),
        )
        return model

    def _output(self, builder: Builder, name: str, value: Value, places: dict[str, int | None]) -> Any:
        batch = builder.batch
        axes: Axes = value.axes
        merged = next((group for group in axes if batch in group and len(group) > 1), None)
        places[name] = axes.index((batch,)) if (batch,) in axes else None
        if merged is not None:
            apart = [(axis,) for axis in merged if axis is not batch]
            axes = tuple(one for group in axes for one in (apart if group == merged else [group]))
            builder.note(
                f"output {name}: the file puts the batch and other axes together; nabi keeps them apart"
            )
        layout: Axes = ((batch,), *[group for group in axes if group != (batch,)])
        symbol = builder.arranged(value, layout)
        if symbol.call.layer in [one.call.layer for one in builder.inputs]:
            symbol = layers.Identity(name=builder.name("output"))(symbol)
        return symbol


def _unrolled(message: Message, weight: str, count: int) -> str:
    producer = message.producer_name[:60] or "its exporter"
    return (
        f"the weights {weight[:60]!r} are used {count} times one after the other: {producer} wrote a "
        f"recurrent network step by step, for {count} steps only. Export it again with the operator over "
        "time, in PyTorch: torch.onnx.export(..., dynamo=False)"
    )
