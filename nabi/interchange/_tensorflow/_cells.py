"""Which tensors of a checkpoint of TensorFlow 1 are recurrent cells, by their names and shapes.

A cell's variables lie under one scope. Its kernel is one matrix for the input and the state, `[inputs +
outputs, gates * units]`; the gates of an LSTM are in the order i, j, f, o, those of a GRU r, u. Variables
were called `weights` and `biases` before TensorFlow 1.2 and `Linear/Matrix` and `Linear/Bias` before 1.0.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["BODIES", "FoundCell", "find_cells", "is_optimizer_state", "of_kind"]

BODIES = {
    "rnn": ("kernel", "bias"),
    "lstm": ("kernel", "bias"),
    "gru": ("gates/kernel", "gates/bias", "candidate/kernel", "candidate/bias"),
}
"""What a cell of each kind always has."""

_ENDINGS = {
    "kernel": ("kernel", "weights", "Linear/Matrix", "W_0"),
    "bias": ("bias", "biases", "Linear/Bias", "B"),
    "gates/kernel": ("gates/kernel", "gates/weights", "Gates/Linear/Matrix"),
    "gates/bias": ("gates/bias", "gates/biases", "Gates/Linear/Bias"),
    "candidate/kernel": ("candidate/kernel", "candidate/weights", "Candidate/Linear/Matrix"),
    "candidate/bias": ("candidate/bias", "candidate/biases", "Candidate/Linear/Bias"),
    "w_f_diag": ("w_f_diag", "W_F_diag"),
    "w_i_diag": ("w_i_diag", "W_I_diag"),
    "w_o_diag": ("w_o_diag", "W_O_diag"),
    "projection/kernel": ("projection/kernel", "projection/weights", "W_P_0"),
}
_ROLES = {tuple(ending.split("/")): role for role, endings in _ENDINGS.items() for ending in endings}
_LONGEST_ROLE = max(map(len, _ROLES))
_KINDS = {
    "basic_rnn_cell": "rnn",
    "BasicRNNCell": "rnn",
    "basic_lstm_cell": "lstm",
    "BasicLSTMCell": "lstm",
    "lstm_cell": "lstm",
    "LSTMCell": "lstm",
    "gru_cell": "gru",
    "GRUCell": "gru",
}
# A second cell of the same name in a scope has a number.
_NUMBERED = re.compile(r"_\d+$")
_LAYER = re.compile(r"^(?:cell_|Cell)(\d+)$")
_OF_OBJECTS = "/.ATTRIBUTES/VARIABLE_VALUE"
_POWERS = re.compile(r"(^|/)beta[12]_power(_\d+)?$")
_MEAN = "ExponentialMovingAverage"  # stands like a slot beside its variable, but is a weight


@dataclass(frozen=True)
class FoundCell:
    """A cell in a checkpoint.

    Attributes:
        path: the scope of its variables, as spelt in the file.
        kind: "rnn", "lstm" or "gru"; None if only a kernel and a bias are there, under a name that says
            nothing: a cell, or a dense layer.
        tensors: the names of its tensors by what they are: `kernel`, `gates/bias`, `w_f_diag`, ...
        inputs, units, outputs: widths; 0 without a kind.
    """

    path: str
    kind: str | None
    tensors: dict[str, str]
    inputs: int
    units: int
    outputs: int

    @property
    def layer(self) -> tuple[str, int] | None:
        """The scope of the stack that it is a layer of, and its number there; None if it stands alone."""
        parts = self.path.split("/")
        found = _LAYER.match(parts[-2]) if len(parts) > 1 else None
        return ("/".join(parts[:-2]), int(found[1])) if found else None

    @property
    def direction(self) -> str | None:
        """`"fw"` or `"bw"` by the scopes around it, or None."""
        return next(
            (part.lower() for part in reversed(self.path.split("/")) if part.lower() in ("fw", "bw")), None
        )

    @property
    def has_peepholes(self) -> bool:
        """Whether there are diagonal weights from the cell state."""
        return "w_f_diag" in self.tensors

    @property
    def has_projection(self) -> bool:
        """Whether the output is projected."""
        return "projection/kernel" in self.tensors


def find_cells(shapes: Mapping[str, tuple[int, ...]]) -> list[FoundCell]:
    """Return the cells among tensors of these shapes, in the order of their scopes."""
    groups: dict[str, dict[str, str]] = {}
    for name in shapes:
        place = _place(name)
        if place is not None:
            scope, role = place
            groups.setdefault(scope, {})[role] = name
    # cell_10 comes after cell_2.
    found = (_as_cell(scope, groups[scope], shapes) for scope in sorted(groups, key=_in_order))
    return [cell for cell in found if cell is not None]


def is_optimizer_state(name: str, names: Iterable[str]) -> bool:
    """Tell whether a tensor is a slot of an optimizer or another number that one counts with."""
    variable, _, last = name.rpartition("/")
    if "/.OPTIMIZER_SLOT/" in name or _POWERS.search(name):
        return True
    return bool(variable) and last != _MEAN and variable in names


def _in_order(scope: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", scope)]


def _place(name: str) -> tuple[str, str] | None:
    """Divide a name into the scope of a cell and what the tensor is in it; None for other tensors."""
    parts = tuple(name.removesuffix(_OF_OBJECTS).split("/"))
    for length in range(min(_LONGEST_ROLE, len(parts) - 1), 0, -1):
        role = _ROLES.get(parts[-length:])
        if role is not None:
            return "/".join(parts[:-length]), role
    return None


def _as_cell(scope: str, tensors: dict[str, str], shapes: Mapping[str, tuple[int, ...]]) -> FoundCell | None:
    kind = _KINDS.get(_NUMBERED.sub("", scope.rpartition("/")[2]))
    if "gates/kernel" in tensors:
        kind = "gru"
    elif "w_f_diag" in tensors:
        kind = "lstm"
    if kind is None:
        return FoundCell(scope, None, tensors, 0, 0, 0) if set(tensors) == {"kernel", "bias"} else None
    if any(role not in tensors for role in BODIES[kind]):
        return None
    by_role = {role: shapes[name] for role, name in tensors.items()}
    widths = _widths(kind, by_role)
    return None if widths is None else FoundCell(scope, kind, tensors, *widths)


def _widths(kind: str, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, int, int] | None:
    """Return the widths of input, state and output if the shapes are those of a cell of this kind."""
    main = "gates/" if kind == "gru" else ""
    gates = {"rnn": 1, "lstm": 4, "gru": 2}[kind]
    kernel, bias = shapes[f"{main}kernel"], shapes[f"{main}bias"]
    if len(kernel) != 2 or len(bias) != 1 or bias[0] < gates or bias[0] % gates:
        return None
    units = outputs = bias[0] // gates
    expected: dict[str, tuple[int, ...]] = {f"{main}kernel": (kernel[0], gates * units)}
    if kind == "gru":
        expected |= {"candidate/kernel": (kernel[0], units), "candidate/bias": (units,)}
    if "projection/kernel" in shapes:
        if len(shapes["projection/kernel"]) != 2:
            return None
        outputs = shapes["projection/kernel"][1]
        expected["projection/kernel"] = (units, outputs)
    expected |= {role: (units,) for role in shapes if role.endswith("_diag")}
    inputs = kernel[0] - outputs
    if inputs < 1 or outputs < 1 or any(shapes[role] != shape for role, shape in expected.items()):
        return None
    return inputs, units, outputs


def of_kind(cell: FoundCell, kind: str, shapes: Mapping[str, tuple[int, ...]]) -> FoundCell | None:
    """Return a cell whose name says nothing as one of a kind, if its shapes are such; otherwise None."""
    if kind == "gru":
        return None
    widths = _widths(kind, {role: shapes[name] for role, name in cell.tensors.items()})
    return None if widths is None else FoundCell(cell.path, kind, cell.tensors, *widths)
