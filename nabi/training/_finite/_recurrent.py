"""The first quantity of a recurrent layer that is not finite, from the values of all of its equations."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from nabi import layers
from nabi.ir import TEXT, Cell, Program, named_nodes, symbol, value_names
from nabi.nn import RNN

__all__ = ["Recurrent", "named_results", "recurrent"]


@dataclass(frozen=True)
class Recurrent:
    """A layer over a cell, seen alike whether it is of `nabi.nn` or of `nabi.layers`.

    Attributes:
        module: the layer.
        programs: of every direction of every layer in it, in order.
        places: how messages call these, empty for a single one.
        suffixes: what follows a name in the keys of `return_values`.
        backwards: which of them read from the last step.
        batch_first: whether the batch comes before the time in its values.
    """

    module: nn.Module
    programs: tuple[Program, ...]
    places: tuple[str, ...]
    suffixes: tuple[str, ...]
    backwards: tuple[bool, ...]
    batch_first: bool

    def problem(self, inputs: tuple[Any, ...], keywords: Mapping[str, Any]) -> str:
        """Call the layer again and say what is not finite first; nothing if all is finite."""
        names = value_names(self.programs[0])
        with torch.no_grad():
            *_, values = self.module.forward(*inputs, **{**keywords, "return_values": list(names)})
        x = inputs[0] if inputs else keywords.get("x", keywords.get("inputs"))
        for number, program in enumerate(self.programs):
            found = [self._by_batch(values[name + self.suffixes[number]]) for name in names]
            text = _first(program, dict(zip(names, found, strict=True)), backwards=self.backwards[number])
            if text is None:
                continue
            step, row, unit, described = text
            if number == 0 and isinstance(x, Tensor | PackedSequence):
                read = self._by_batch(x)
                if not bool(read[row, step].isfinite().all()):
                    unit, described = "", f"the input x is {_kind(read[row, step])}"
            place = f", {self.places[number]}" if self.places[number] else ""
            return f"{place}: step {step}, row {row}{unit}: {described}"
        return ""

    def gradient_step(
        self, inputs: tuple[Any, ...], keywords: Mapping[str, Any], passed: Mapping[int, Tensor]
    ) -> int | None:
        """Go back through the layer again; return the step at which the gradient stops to be finite.

        Args:
            inputs, keywords: of its call.
            passed: the gradients of its results, by their numbers among `named_results`.

        Returns:
            The first such step of those that the gradient goes through; None where it cannot be told.
        """
        given = dict(keywords)
        first = next((name for name in ("x", "inputs") if name in given), "x")
        x = inputs[0] if inputs else given.pop(first, None)
        data = x.data if isinstance(x, PackedSequence) else x
        if not passed or not isinstance(data, Tensor) or not data.is_floating_point():
            return None
        with torch.enable_grad():
            data = data.detach().requires_grad_()
            read = x._replace(data=data) if isinstance(x, PackedSequence) else data
            results = list(named_results(self.module.forward(read, *inputs[1:], **given)))
            outs = [results[number][1] for number in passed]
            back: tuple[Tensor | None, ...] = torch.autograd.grad(
                outs, data, list(passed.values()), allow_unused=True
            )
        found = back[0]
        if found is None:
            return None
        by_batch = self._by_batch(x._replace(data=found) if isinstance(x, PackedSequence) else found)
        bad = (~by_batch.isfinite()).any(-1).any(0).nonzero().flatten()
        if not len(bad):
            return None
        return int(bad[0] if self.backwards[-1] else bad[-1])

    def _by_batch(self, values: Tensor | PackedSequence) -> Tensor:
        """Return values as `[B, T, width]`."""
        if isinstance(values, PackedSequence):
            found: Tensor = pad_packed_sequence(values, batch_first=True)[0]
            return found
        if values.dim() == 2:
            return values.unsqueeze(0)
        return values if self.batch_first else values.transpose(0, 1)


def named_results(out: Any, name: str = "output") -> Iterator[tuple[str, Any]]:
    """Yield what a module returns, flat and in order, with names for messages.

    >>> from typing import NamedTuple
    >>> class State(NamedTuple):
    ...     h: int
    ...     c: int
    >>> list(named_results((1, State(2, 3), {"f": 4}, (5,))))
    [('output', 1), ('state h', 2), ('state c', 3), ('value f', 4), ('result 4', 5)]
    """
    if isinstance(out, PackedSequence):
        yield name, out.data
    elif isinstance(out, Mapping):
        for key, one in out.items():
            yield from named_results(one, f"value {key}")
    elif isinstance(out, list | tuple):
        fields = getattr(out, "_fields", None)
        for number, one in enumerate(out):
            own = name if name != "output" or not number else f"result {number + 1}"
            yield from named_results(one, f"state {fields[number]}" if fields else own)
    else:
        yield name, out


def recurrent(module: nn.Module) -> Recurrent | None:
    """Return a layer over a cell as such; None for any other module, and one that has no weights yet."""
    cell = getattr(module, "cell", None)
    if not isinstance(cell, Cell):
        cell = getattr(module, "equations", None)
    if isinstance(module, RNN) and isinstance(cell, Cell):
        assert module.input_size is not None
        count, ways = module.num_layers, ("", "_reverse") if module.bidirectional else ("",)
        width, programs = module.input_size, []
        for _ in range(count):
            programs += [cell.program(width, module.training)] * len(ways)
            width = cell.output_width * len(ways)
        single = count * len(ways) == 1
        suffixes = [f"_l{layer}{way}" for layer in range(count) for way in ways]
        places = [
            " ".join([f"layer {layer}"] * (count > 1) + ["in reverse"] * bool(way))
            for layer in range(count)
            for way in ways
        ]
        return Recurrent(
            module, tuple(programs), tuple(places), ("",) if single else tuple(suffixes),
            tuple(bool(way) for _ in range(count) for way in ways), module.batch_first,
        )  # fmt: skip
    if (
        isinstance(module, layers.RNN)
        and isinstance(cell, Cell)
        and module.built
        and module.equations is not None
    ):
        programs = [module.program()]
        return Recurrent(module, tuple(programs), ("",), ("",), (module.go_backwards,), not module.time_major)
    return None


def _first(
    program: Program, values: Mapping[str, Tensor], *, backwards: bool
) -> tuple[int, int, str, str] | None:
    """Return the step, row and unit of the first value that is not finite, and what it is."""
    bad = torch.stack([~value.isfinite().all(-1) for value in values.values()])
    steps = bad.any(0).any(0).nonzero().flatten()
    if not len(steps):
        return None
    step = int(steps[-1] if backwards else steps[0])
    name = list(values)[int(bad[:, :, step].any(1).nonzero()[0])]
    here = values[name][:, step]
    row = int((~here.isfinite()).any(-1).nonzero()[0])
    wide = here.shape[-1] > 1
    unit = f", unit {int((~here[row].isfinite()).nonzero()[0])}" if wide else ""
    return step, row, unit, f"{name} is {_kind(here[row])}{_equation(program, name)}"


def _kind(values: Tensor) -> str:
    """Return what the first number that is not finite is: `nan`, `inf` or `-inf`."""
    return str(values[~values.isfinite()][0].item())


def _equation(program: Program, name: str) -> str:
    left = f"{symbol(named_nodes(program)[name], TEXT, name)} = "
    lines: Sequence[str] = [line for line in program.equations if line.startswith(left)]
    return f" ({lines[0]})" if lines else ""
