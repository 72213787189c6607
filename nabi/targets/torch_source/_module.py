"""The source of a module: its weights, their initial values, a step, and the loop over time."""

import inspect
import keyword
import re
import textwrap
from collections.abc import Iterable, Sequence

from nabi.errors import ArgumentError
from nabi.ir import Input, Node, Parameter, Program, Trace, derived, named_nodes, needed, operation, sum_terms
from nabi.targets.torch_source._expressions import Expressions, is_joined, number
from nabi.targets.torch_source._functions import Functions, NoSourceError
from nabi.targets.torch_source._initial_values import reset_lines

__all__ = ["module_source"]

_LONGEST = 70  # characters of an expression; a longer one gets a name, and a line of its own
_RESERVED = ("torch", "nn", "F", "math", "self", "I", "len", "range", "super")
"""Names that the source itself reads."""


def module_source(program: Program) -> str:
    """Return the source of a `torch.nn.Module` that computes what a cell does over time, and uses only torch.

    It has one layer in one direction, without lengths and masks, and loops over time in Python. Its weights
    have the names of those of `nabi.nn.RNN`, so `load_state_dict` takes that module's, and start alike.
    Nothing is random in it: dropout and zoneout are as in evaluation.

    Args:
        program: a cell's equations for an input width, not those for training.

    Raises:
        ArgumentError: the step draws random numbers, or computes a matrix by a function without a source.

    Example:
        >>> from nabi.cells import SimpleRNN
        >>> source = module_source(SimpleRNN(units=5).program(input_size=3))
        >>> print(source[source.index("def step") : source.index("    def forward")].rstrip())
        def step(self, x, h):
                W_xh = self.W_x_l0
                W_hh = self.W_h_l0
                b_h = self.b_l0
                return torch.tanh(x @ W_xh.T + h @ W_hh.T + b_h)
    """
    return _Writer(program).module()


class _Writer:
    def __init__(self, program: Program) -> None:
        if program.noises:
            raise ArgumentError(
                f"--as torch: expected a step in which nothing is drawn, got one that draws "
                f"{program.noises[0].name}"
            )
        self._program = program
        self._taken: dict[str, None] = dict.fromkeys(_RESERVED)
        kind = type(program.cell).__name__
        self._class_name = f"{kind}_" if kind in _RESERVED else kind
        self._functions = Functions(self._taken, self._class_name)
        self._own_operations: dict[str, str] = {}
        self._names: dict[int, str] = {}
        self._weights: dict[str, str] = {}
        self._expressions = Expressions(self._names, self._added, "x")
        self._places = {family.name: _attribute(f"{family.name}_l0") for family in program.families}

    def module(self) -> str:
        """Return the source of the whole file."""
        program = self._program
        step = self._step()
        reset = reset_lines(program, self._functions, self._places)
        body = [*self._init(reset), "", *step, "", *self._forward()]
        lines = [f"class {self._class_name}(nn.Module):", *_indented([*self._docstring(), "", *body])]
        functions = [line for one in self._functions.sources.values() for line in ("", "", *one.split("\n"))]
        text = "\n".join([*functions, "", "", *lines]).lstrip("\n")
        imports = [
            line
            for line, word in (
                ("import math\n", "math."), ("import torch", ""), ("import torch.nn.functional as F", "F."),
                ("from torch import nn", ""),
            )
            if re.search(rf"\b{re.escape(word)}", text)
        ]  # fmt: skip
        return "\n".join([*imports, "", "", text])

    def _docstring(self) -> list[str]:
        summary = (inspect.getdoc(type(self._program.cell)) or "A cell.").split("\n\n")[0].split("\n")[0]
        summary = summary.replace('"""', "'''")
        twin = f"A plain twin of {self._program.cell!r} for one layer, in evaluation."
        lines = [f'"""{summary}', "", *textwrap.wrap(twin, 90), '"""']
        return lines if "\\" not in "".join(lines) else [f"r{lines[0]}", *lines[1:]]

    # Weights.

    def _init(self, reset: list[str]) -> list[str]:
        lines = ["def __init__(self):", "    super().__init__()"]
        for family in self._program.families:
            empty = f"torch.empty({', '.join(map(str, family.shape))})"
            gates = f"  # rows: {', '.join(family.gates)}" if len(family.gates) > 1 else ""
            name, place = f"{family.name}_l0", self._places[family.name]
            if not family.trained:
                lines.append(f'    self.register_buffer("{name}", {empty}){gates}')
            elif name.isidentifier():
                lines.append(f"    {place} = nn.Parameter({empty}){gates}")
            else:
                lines.append(f'    self.register_parameter("{name}", nn.Parameter({empty})){gates}')
        if not reset:
            return lines
        return [
            *lines, "    self.reset_parameters()", "", "@torch.no_grad()", "def reset_parameters(self):",
            *_indented(reset),
        ]  # fmt: skip

    def _read_weights(self, read: set[str]) -> list[str]:
        """Return the lines that give the weights of a step their names."""
        lines = []
        for family in self._program.families:
            members = [one for one in self._program.parameters if one.family == family.name]
            members.sort(key=lambda one: family.rows(one.gate).start)
            if not read & {one.name for one in members}:
                continue
            for one in members:
                self._weights[one.name] = self._free(_word(one.name))
            names = ", ".join(self._weights[one.name] for one in members)
            size = family.shape[0] // len(members)
            parts = "" if len(members) == 1 else f".split({size})"
            lines.append(f"{names} = {self._places[family.name]}{parts}")
        for one in self._program.derived:
            self._weights[one.name] = self._free(_word(one.name))
            sources = [self._weights[name] for name in one.sources]
            text = self._derived(one, sources)
            if re.search(r"\bI\b", text):
                lines.append(f"I = torch.eye({one.shape[0]}).to({sources[0]})")
            lines.append(f"{self._weights[one.name]} = {text}  # the same at every step")
        return lines

    def _derived(self, one: Parameter, sources: Sequence[str]) -> str:
        """Return the source of a matrix that is computed from others."""
        how, first = one.derived, sources[0]
        match how:
            case derived.Antisymmetric(damping):
                return f"{first} - {first}.T" + (f" - {number(damping)} * I" if damping else "")
            case derived.Exponential():
                return f"torch.linalg.matrix_exp({first} - {first}.T)"
            case derived.Cayley(0):
                return f"torch.linalg.solve(I + {first} - {first}.T, I - {first} + {first}.T)"
            case derived.LowRank():
                return f"{first} @ {sources[1]}"
            case derived.Masked():
                return f"{sources[1]} * {first}"
            case derived.Dropped():
                return first
            case derived.Normalised():
                return f"{first} * ({sources[1]} / {first}.norm(dim=1))[:, None]"
            case derived.SpectralRadius(radius):
                return f"{first} * ({number(radius)} / torch.linalg.eigvals({first}).abs().max())"
        name = type(how).__name__.strip("_").lower()
        try:
            if isinstance(how, derived.Computed):
                called = self._functions.add(how.function, how.function.__name__.strip("_"))
            else:
                called = self._functions.add_method(getattr(how, "compute"), name)  # noqa: B009 - how is not None
        except NoSourceError:
            raise ArgumentError(
                f"--as torch: {one.name} is computed by a function that reads more than torch, numbers and "
                f"functions of its file: {how}"
            ) from None
        return f"{called}({', '.join(sources)})"

    # The step.

    def _step(self) -> list[str]:
        program = self._program
        arguments = [self._free(_word(one)) for one in self._step_names()]
        for node in program.nodes:
            if node.operation in ("input", "state"):
                self._names[node.index] = arguments[self._step_names().index(node.name)]
        read = {node.name for node in program.nodes if node.operation in ("matrix", "parameter")}
        sources = {name for one in program.derived for name in one.sources}
        lines = self._read_weights(read | sources)
        for node in program.nodes:
            if node.operation in ("matrix", "parameter"):
                self._names[node.index] = self._weights[node.name]
        lines += self._equations()
        results = [self._result(node) for node in program.results.values()]
        outputs = ", ".join(results)
        if lines and len(results) == 1 and lines[-1].startswith(f"{outputs} = "):
            lines[-1:] = [f"return {lines[-1].removeprefix(f'{outputs} = ')}"]
        else:
            lines.append(f"return {outputs}")
        return [f"def step(self, {', '.join(arguments)}):", *_indented(lines)]

    def _step_names(self) -> list[str]:
        return ["x", *self._program.state_names, *[one.name for one in self._program.inputs[1:]]]

    def _equations(self) -> list[str]:
        program, lines = self._program, []
        named = {node.index: name for name, node in reversed(named_nodes(program).items())}
        uses: dict[int, int] = {}
        for node in program.nodes:
            for argument in node.arguments:
                uses[argument.index] = uses.get(argument.index, 0) + 1
        states = set(program.results)
        for node in program.nodes:
            if not node.arguments:
                continue
            name = named.get(node.index)
            several = uses.get(node.index, 0) > 1 and not _is_free(node)
            if name is None and not several and not _is_long(self._expressions, node, self._names):
                continue
            text = self._expressions.line(node)
            if name is None:
                own = self._numbered()
            else:
                own = self._free(f"{_word(name)}_t" if name in states else _word(name))
            self._names[node.index] = own
            lines.append(f"{own} = {text}")
        return lines

    def _result(self, node: Node) -> str:
        text = self._expressions.of(node, 9)
        if node.has_rows:
            return text
        sizes = ", ".join(map(str, node.axes))
        return f"{text}.expand(len(x), {sizes})"

    def _free(self, name: str) -> str:
        """Return a name that is not taken yet: this one, or another that begins with it."""
        numbered = (f"{name}_{number}" for number in range(2, len(self._taken) + 3))
        return self._take((name, f"{name}_", *numbered))

    def _numbered(self) -> str:
        """Return a name for a value that has none: `v1`, `v2`, ..."""
        return self._take(f"v{number}" for number in range(1, len(self._taken) + 2))

    def _take(self, names: Iterable[str]) -> str:
        found: str = next(free for free in names if free not in self._taken)
        self._taken[found] = None
        return found

    def _added(self, name: str) -> str:
        """Write the function of an operation that a user has added, and return its name."""
        if name in self._own_operations:
            return self._own_operations[name]
        own = self._own_operations[name] = self._functions.free(name)
        row, trace = operation(name), Trace(name)
        assert row.decomposition is not None
        leaves = [trace.leaf("input", f"a{place}", 1) for place in range(row.arity)]
        result = row.decomposition(*leaves)
        names = {leaf.index: leaf.name for leaf in leaves}
        write = Expressions(names, self._added, leaves[0].name)
        for node in needed((result,)):
            if node.operation == "constant":
                names[node.index] = number(node.value)
        head = f"def {own}({', '.join(leaf.name for leaf in leaves)}):"
        self._functions.sources[own] = f"{head}\n    return {write.of(result)}"
        return own

    # The loop.

    def _forward(self) -> list[str]:
        program = self._program
        more = program.inputs[1:]
        words = _words([*program.state_names, *(one.name for one in more)])
        states = [words[name] for name in program.state_names]
        given = [one for one in more if one.name != "position"]
        keywords = [words[one.name] + ("=None" if one.default is not None else "") for one in given]
        star = ["*"] if keywords else []
        t, state, outputs, output = _words(("t", "state", "outputs", "output"), words.values()).values()
        head = f"def forward(self, {', '.join(['x', f'{state}=None', *star, *keywords])}):"
        width = program.output_width
        listed = ", ".join(states) if len(states) > 1 else f"({states[0]},)"
        starts = [self._start(number) for number in range(len(states))]
        begin = [f"{state} = {', '.join(starts)}"] if len(starts) > 1 else [f"{state} = ({starts[0]},)"]
        if len(begin[0]) > _LONGEST:
            begin = [f"{state} = (", *_indented(f"{one}," for one in starts), ")"]
        lines = [
            f'"""Return the output [batch, time, {width}] for x [batch, time, {program.input_size}], and the '
            'final states."""',
            f"if {state} is None:", *_indented(begin),
            f"{listed} = {state}",
        ]  # fmt: skip
        for one in given:
            lines += self._default(one, words[one.name])
        arguments = ", ".join([f"x[:, {t}]", *states, *[_at_step(one, words[one.name], t) for one in more]])
        results = ", ".join(states) if program.readout is None else ", ".join([output, *states])
        shown = states[0] if program.readout is None else output
        axes = (program.outputs[0] if program.readout is None else program.readout).axes
        flat = "" if len(axes) < 2 else ".flatten(1)"
        lines += [f"{outputs} = []", f"for {t} in range(x.shape[1]):"]
        lines += _indented([f"{results} = self.step({arguments})", f"{outputs}.append({shown}{flat})"])
        lines.append(f"return torch.stack({outputs}, 1), {listed if listed[0] == '(' else f'({listed})'}")
        return [head, *_indented(lines)]

    def _start(self, index: int) -> str:
        """Return the source of what a state starts with."""
        program = self._program
        value, axes = program.initial[index], program.state_shapes[index]
        sizes = ", ".join(map(str, axes))
        if isinstance(value, str):
            family, rows = program.family_of(value)
            place = self._places[program.families[family].name]
            whole = rows == slice(0, program.families[family].shape[0])
            vector = place if whole else f"{place}[{rows.start}:{rows.stop}]"
            shaped = vector if len(axes) < 2 else f"{vector}.view({sizes})"
            return f"{shaped}.expand(len(x), {sizes})"
        if value:
            return f"x.new_full((len(x), {sizes}), {number(value)})"
        return f"x.new_zeros(len(x), {sizes})"

    def _default(self, one: Input, name: str) -> list[str]:
        if one.default is None:
            return []
        shape = "len(x)" if one.per_sequence else "*x.shape[:2]"
        sizes = f"({shape}, {one.width or 1})"
        if one.width is None and not one.per_sequence:
            sizes = "x.shape[:2]"
        return [
            f"if {name} is None:", f"    {name} = x.new_full({sizes}, {number(one.default)})"
        ]  # fmt: skip


def _attribute(name: str) -> str:
    """Return the source of an attribute of the module, whose name may be no identifier."""
    return f"self.{name}" if name.isidentifier() else f'getattr(self, "{name}")'


def _words(names: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """Return names of variables: the names themselves, with `_` behind those that the source reads."""
    found: dict[str, str] = {}
    avoided = {*_RESERVED, *taken}
    for name in sorted(names, key=lambda one: one in avoided):  # whose name is free keeps it
        word = name
        while word in avoided or word in found.values():
            word += "_"
        found[name] = word
    return {name: found[name] for name in names}


def _at_step(one: Input, name: str, t: str) -> str:
    """Return the source of an input at a step."""
    if one.name == "position":
        return f"x.new_full((len(x), 1), {t})"
    if one.per_sequence:
        return name
    return f"{name}[:, {t}, None]" if one.width is None else f"{name}[:, {t}]"


def _is_free(node: Node) -> bool:
    """Whether a value costs and says so little that it is written wherever it is read."""
    return node.operation in ("view", "expand", "spread") and not node.arguments[0].arguments


def _is_long(expressions: Expressions, node: Node, names: dict[int, str]) -> bool:
    """Whether a value gets a line of its own because it is long."""
    if node.operation in ("view", "expand") or is_joined(sum_terms(node, names), names):
        return False
    return len(expressions.line(node)) > _LONGEST


def _word(name: str) -> str:
    """Return a name as an identifier of Python."""
    found = re.sub(r"\W", "_", name)
    return f"{found}_" if keyword.iskeyword(found) or not found.isidentifier() else found


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" if line else "" for line in lines]
