"""Cells for irregular series: gaps between steps, missing values, features of the whole sequence."""

import dataclasses
import math
from functools import reduce
from typing import Any, ClassVar

from nabi import _checks
from nabi.errors import ArgumentError, CellError
from nabi.ir import Cell, Node, initial
from nabi.ir.functions import (
    exp,
    floor,
    log,
    maximum,
    relu,
    select,
    sigmoid,
    softplus,
    stop_gradient,
    tanh,
)

_SOFTPLUS_1 = math.log(math.e - 1)
"""What softplus takes to 1."""

__all__ = ["CTGRU", "CTRNN", "EALSTM", "GRUD", "GRUODE", "ODERNN", "TLSTM", "CfC", "PhasedLSTM"]


class CfC(Cell):
    """Closed-form continuous-time network (Hasani et al. 2022): its state goes from f to g as time passes.

    Good for irregular series and control at the cost of an LSTM, without a solver. `delta` is the time since
    the last step, 1 if it is not given.

    Args:
        backbone: width of the layer in front of the four heads; 128 by default, as in the authors' package.
    """

    backbone: int = dataclasses.field(default=128, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("backbone", _checks.whole("backbone", self.backbone))

    def step(self, x: Node, h: Node, *, delta: Any = 1.0) -> Any:
        """Mix two heads by a gate that depends on the time."""
        b_t = 1.7159 * tanh(0.666 * self.affine("b", x, h, units=self.backbone, bias="b"))
        f_t = tanh(self.affine("f", b=b_t))
        g_t = tanh(self.affine("g", b=b_t))
        s_t = sigmoid(self.affine("a", b=b_t) * delta + self.affine("c", b=b_t))
        return f_t * (1 - s_t) + s_t * g_t


class TLSTM(Cell):
    """Time-aware LSTM (Baytas et al. 2017): the short-term part of its memory fades over a gap.

    Good for visits of patients and other events at irregular times. `delta` is the time since the last one,
    1 if it is not given.

    Args:
        decay: `"log"`, 1/log(e + delta), as in the paper for long gaps, by default; or `"inverse"`, 1/delta,
            for short ones.
    """

    decay: str = dataclasses.field(default="log", kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("h", "c")

    def __post_init__(self) -> None:
        super().__post_init__()
        _checks.choice("decay", self.decay, ("log", "inverse"))

    def step(self, x: Node, h: Node, c: Node, *, delta: Any = 1.0) -> Any:
        """Discount the short-term memory, then compute an LSTM step."""
        fades = 1 / log(math.e + delta) if self.decay == "log" else 1 / delta
        short = tanh(self.affine("d", c=c))
        adjusted = c - short + short * fades
        i_t = sigmoid(self.affine("i", x, h))
        f_t = sigmoid(self.affine("f", x, h))
        g_t = tanh(self.affine("c", x, h))
        c_t = f_t * adjusted + i_t * g_t
        o_t = sigmoid(self.affine("o", x, h))
        return o_t * tanh(c_t), c_t


class PhasedLSTM(Cell):
    """Phased LSTM (Neil, Pfeiffer and Liu 2016): each unit is open for a part of a period, else it keeps.

    Good for events of sensors at different rates and for long sequences, since memory is touched seldom.
    `time` is when a step is. Each unit learns its period tau, its shift s as a share of that, and the share r
    of the period in which it is open.

    Args:
        leak: how far a closed unit opens, by the share of the period that has passed; 0.001 by default. The
            paper sets it to 0 after training.
        period: between which bounds periods begin, (1, 1000) by default, with uniform logarithms.
    """

    leak: float = dataclasses.field(default=0.001, kw_only=True)
    period: tuple[float, float] = dataclasses.field(default=(1.0, 1000.0), kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("h", "c")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("leak", _checks.real("leak", self.leak, least=0))
        if not isinstance(self.period, tuple) or len(self.period) != 2:
            raise ArgumentError(f"period: expected two numbers, got {_checks.short(self.period)}")
        self._keep("period", tuple(_checks.real("period", one, above=0) for one in self.period))

    def openness(self, time: Any) -> Node:
        """Return how open each unit is: up and down while it is open, a little while it is closed."""
        turns = time / self.parameter("tau", init=initial.LogUniform(*self.period))
        phase = turns - self.parameter("s", init=initial.Uniform(0.0, 1.0))
        phi = phase - floor(phase)
        rise = 2 * phi / self.parameter("r", init=0.05)
        return select(rise < 1, rise, select(rise < 2, 2 - rise, self.leak * phi))

    def step(self, x: Node, h: Node, c: Node, *, time: Any) -> Any:
        """Compute an LSTM step with peepholes, and take over as much of it as the units are open."""
        k_t = self.openness(time)
        i_t = sigmoid(self.affine("i", x, h) + self.diagonal("i", "c", c))
        f_t = sigmoid(self.affine("f", x, h) + self.diagonal("f", "c", c))
        c_new = f_t * c + i_t * tanh(self.affine("c", x, h))
        o_t = sigmoid(self.affine("o", x, h) + self.diagonal("o", "c", c_new))
        return k_t * (o_t * tanh(c_new)) + (1 - k_t) * h, k_t * c_new + (1 - k_t) * c


class GRUD(Cell):
    """GRU with decay (Che et al. 2018): missing values go from the last one to the mean, the state fades.

    Good for measurements with missing values, such as those of a hospital. `observed` is 1 where a feature
    was measured; `delta` is the time since its last measurement, 1 if it is not given. What `x` holds where
    nothing was observed, NaN also, is not read.

    Args:
        features: width of the input, required.
        mean: where missing values go, the mean of the data: a number, 0 by default, or one for each feature.
    """

    features: int = dataclasses.field(default=0, kw_only=True)
    mean: float | tuple[float, ...] = dataclasses.field(default=0.0, kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("h", "last")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("features", _checks.whole("features", self.features))
        if isinstance(self.mean, tuple):
            if len(self.mean) != self.features:
                raise ArgumentError(
                    f"mean: expected a number or {self.features}, one for each feature, got {len(self.mean)}"
                )
            self._keep("mean", tuple(_checks.real("mean", one) for one in self.mean))
        else:
            self._keep("mean", _checks.real("mean", self.mean))

    @classmethod
    def needed_settings(cls, units: int, input_size: int) -> dict[str, Any]:
        """Return the width of the input."""
        return {"features": input_size}

    def state_width(self, name: str) -> int:
        """Return the width of the input for the last values, `units` for h."""
        return self.features if name == "last" else self.units

    def input_width(self, name: str, input_size: int) -> int | None:
        """Return the width of the input: every feature has its own times."""
        return input_size

    def step(self, x: Node, h: Node, last: Node, *, observed: Any, delta: Any = 1.0) -> Any:
        """Fill in the input, let the state fade, then compute a GRU step that sees what was observed."""
        if x.width != self.features:
            raise CellError(
                f"GRUD: features: expected the width of the input, {x.width}, got {self.features}"
            )
        shift = self.parameter("b_xd", self.features, init=0.0) if self.use_bias else 0.0
        fade_x = exp(-relu(self.diagonal("d", "x", delta) + shift))
        fade_h = exp(-relu(self.linear("d", "d", delta) + self.bias("d", "d")))
        last_t = select(observed, x, last)
        mean = self.parameter("mean", self.features, init=self.mean, trained=False)
        filled = select(observed, x, fade_x * last + (1 - fade_x) * mean)
        h_t = fade_h * h
        z = sigmoid(self.affine("z", x=filled, h=h_t, m=observed))
        r = sigmoid(self.affine("r", x=filled, h=h_t, m=observed))
        n = tanh(self.affine("n", x=filled, h=r * h_t, m=observed))
        return (1 - z) * h_t + z * n, last_t


class EALSTM(Cell):
    """Entity-aware LSTM (Kratzert et al. 2019): what a sequence is decides which units take in its data.

    Good for many series of one kind, such as the discharge of rivers: `static` describes the entity, its
    catchment for instance, and is read once for a sequence.

    Args:
        static_size: width of `static`, required.
    """

    static_size: int = dataclasses.field(default=0, kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("h", "c")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("static_size", _checks.whole("static_size", self.static_size))

    @classmethod
    def needed_settings(cls, units: int, input_size: int) -> dict[str, Any]:
        """Return a width of `static`."""
        return {"static_size": 5}

    def step(self, x: Node, h: Node, c: Node, *, static: Any) -> Any:
        """Compute an LSTM step whose input gate depends on the entity alone."""
        i = sigmoid(self.affine("i", s=static))
        f_t = sigmoid(self.affine("f", x, h))
        g_t = tanh(self.affine("c", x, h))
        c_t = f_t * c + i * g_t
        o_t = sigmoid(self.affine("o", x, h))
        return o_t * tanh(c_t), c_t


class CTRNN(Cell):
    """Continuous-time network (Funahashi and Nakamura 1993): `tau dh/dt = tanh(W x + U h + b) - h`.

    Good for control and as a model of neurons. Solved by Euler's method over the time since the last step,
    `delta`, 1 if it is not given. Each unit learns its time constant, softplus(tau), which
    starts at 1.

    Args:
        substeps: how many steps of Euler's method; more for gaps that are long beside them. 1 by default.
    """

    substeps: int = dataclasses.field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("substeps", _checks.whole("substeps", self.substeps))

    def step(self, x: Node, h: Node, *, delta: Any = 1.0) -> Any:
        """Go along the derivative."""
        share = delta / self.substeps / softplus(self.parameter("tau", init=_SOFTPLUS_1))
        for _ in range(self.substeps):
            h = h + share * (tanh(self.affine("h", x, h=h)) - h)
        return h


class CTGRU(Cell):
    """Continuous-time GRU (Mozer, Kazakov and Lindsey 2017): traces of each unit fade at several speeds.

    Good for events at irregular times. Over `delta`, the time since the last step (1 if it is not given),
    traces fade; then a step chooses softly from which trace it reads and into which it stores. The paper lets
    traces fade at the end of a step instead, over the time until the next one, which comes to the same.

    Args:
        scales: how many traces a unit has, with time constants 1, √10, 10, ...; 5 by default.
    """

    scales: int = dataclasses.field(default=5, kw_only=True)

    output: ClassVar[str] = "h"

    def __post_init__(self) -> None:
        self._keep("scales", _checks.whole("scales", self.scales, 2))
        self._keep("states", tuple(f"m{one}" for one in range(1, self.scales + 1)))
        super().__post_init__()

    def nearness(self, scale: Node) -> list[Node]:
        """Return how near the logarithm of each trace's constant is, as minus the square of the distance."""
        logs = [0.5 * math.log(10.0) * one for one in range(self.scales)]
        return [-((scale - log) ** 2) if log else -(scale**2) for log in logs]

    def step(self, x: Node, *states: Node, delta: Any = 1.0) -> Any:
        """Traces fade to f; r and s are by how much each is read and stored into, in shares of their sums."""
        f = [m * exp(-delta * 10 ** (-one / 2)) for one, m in enumerate(states)]
        before = sum(f[1:], f[0])
        near_r = self.nearness(self.affine("r", x, h=before))
        most_r = stop_gradient(reduce(maximum, near_r))
        r = [exp(one - most_r) for one in near_r]
        read = [share * trace for share, trace in zip(r, f, strict=True)]
        q = tanh(self.affine("q", x, h=sum(read[1:], read[0]) / sum(r[1:], r[0])))
        near_s = self.nearness(self.affine("s", x, h=before))
        most_s = stop_gradient(reduce(maximum, near_s))
        s = [exp(one - most_s) for one in near_s]
        stored = sum(s[1:], s[0])
        m = [trace + share / stored * (q - trace) for share, trace in zip(s, f, strict=True)]
        return sum(m[1:], m[0]), *m


class _Flowing(Cell):
    """The base of cells whose state follows an equation of its own between two steps.

    Args:
        solver: `"euler"` by default, as in the authors' code, or `"rk4"`, Runge and Kutta's.
        substeps: how many steps of the solver; 1 by default.
    """

    solver: str = dataclasses.field(default="euler", kw_only=True)
    substeps: int = dataclasses.field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        _checks.choice("solver", self.solver, ("euler", "rk4"))
        self._keep("substeps", _checks.whole("substeps", self.substeps))

    def slope(self, h: Node) -> Node:
        """Return dh/dt."""
        raise NotImplementedError

    def step(self, x: Node, h: Node, *, delta: Any = 1.0) -> Any:
        """Solve the equation over the gap, then compute a GRU step."""
        part = delta / self.substeps
        for _ in range(self.substeps):
            k = self.slope(h)
            if self.solver == "rk4":
                k2 = self.slope(h + part / 2 * k)
                k3 = self.slope(h + part / 2 * k2)
                k = (k + 2 * k2 + 2 * k3 + self.slope(h + part * k3)) / 6
            h = h + part * k
        z = sigmoid(self.affine("z", x, h=h))
        r = sigmoid(self.affine("r", x, h=h))
        n = tanh(self.affine("n", x, h=r * h))
        return z * h + (1 - z) * n


class ODERNN(_Flowing):
    """ODE-RNN (Rubanova, Chen and Duvenaud 2019): between steps the state follows an equation of its own.

    Good for sparse observations. Over `delta`, the time since the last step (1 if it is not given), the state
    follows `dh/dt = V tanh(U h + b) + c`, solved numerically; then a GRU reads the input.

    Args:
        hidden: width of the layer in the derivative; the units by default.
        solver: `"euler"` by default, as in the authors' code, or `"rk4"`, Runge and Kutta's.
        substeps: how many steps of the solver; 1 by default.
    """

    hidden: int | None = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden is not None:
            self._keep("hidden", _checks.whole("hidden", self.hidden, otherwise=" or None"))

    def slope(self, h: Node) -> Node:
        """Return dh/dt."""
        width = self.hidden or self.units
        inner = tanh(self.affine("e", e=h, units=width, bias="e"))
        return self.affine("v", v=inner)


class GRUODE(_Flowing):
    """GRU-ODE (De Brouwer et al. 2019): between steps the state follows the equation that a GRU is a step of.

    Good for sparse observations: it pulls the state back to between -1 and 1. Over `delta`, the time since
    the last step (1 if it is not given), `dh/dt = (1 - z) (g - h)`, solved numerically; then a GRU reads the
    input, in the place of the paper's Bayesian update.

    Args:
        solver: `"euler"` by default, as in the authors' code, or `"rk4"`, Runge and Kutta's.
        substeps: how many steps of the solver; 1 by default.
    """

    def slope(self, h: Node) -> Node:
        """Return dh/dt."""
        z, r = (sigmoid(self.affine(f"{gate}d", h=h)) for gate in "zr")
        return (1 - z) * (tanh(self.affine("nd", h=r * h)) - h)
