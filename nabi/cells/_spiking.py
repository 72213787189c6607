"""Spiking neurons: a jump forward, a declared derivative backward."""

import dataclasses
from typing import Any, ClassVar

from nabi import _checks
from nabi.errors import unknown_name
from nabi.ir import Cell, Node
from nabi.ir.functions import DERIVATIVES, step, stop_gradient

__all__ = ["ALIF", "LIF", "SynapticLIF"]


class LIF(Cell):
    """Leaky integrate-and-fire neurons with recurrent connections (Bellec et al. 2018, without adaptation).

    For events and neuromorphic hardware: the output is 0 or 1. The potential `v` leaks, and loses the
    threshold in the step after its neuron has fired. The gradient of a spike is a surrogate. Without
    recurrent connections they are the neurons of snntorch's `Leaky`.

    Args:
        decay: share of the potential that a step leaves, from 0 to 1.
        threshold: potential above which a neuron fires, positive.
        recurrent: whether the neurons read each other's spikes.
        surrogate: name of the declared derivative, see `nabi.ir.functions.DERIVATIVES`.
        sharpness: how steep the surrogate is.
        reset_gradient: whether the gradient also flows through the reset.
    """

    decay: float = dataclasses.field(default=0.9, kw_only=True)
    threshold: float = dataclasses.field(default=1.0, kw_only=True)
    recurrent: bool = dataclasses.field(default=True, kw_only=True)
    surrogate: str = dataclasses.field(default="fast_sigmoid", kw_only=True)
    sharpness: float = dataclasses.field(default=25.0, kw_only=True)
    reset_gradient: bool = dataclasses.field(default=False, kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("s", "v")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("decay", _checks.real("decay", self.decay, least=0, most=1))
        for name in ("threshold", "sharpness"):
            self._keep(name, _checks.real(name, getattr(self, name), above=0))
        if self.surrogate not in DERIVATIVES:
            raise unknown_name("surrogate", self.surrogate, DERIVATIVES)

    def charge(self, x: Node, s: Node, v: Node) -> Node:
        """Return the new potential: what is left, the input, and the reset of those that fired."""
        current = self.affine("v", x, s) if self.recurrent else self.affine("v", x)
        return self.decay * v + current - self.threshold * (s if self.reset_gradient else stop_gradient(s))

    def step(self, x: Node, s: Node, v: Node) -> Any:
        """Fire where the potential is above the threshold."""
        v_t = self.charge(x, s, v)
        return step(v_t - self.threshold, self.surrogate, self.sharpness), v_t


class ALIF(LIF):
    """Leaky integrate-and-fire neurons with an adaptive threshold (Bellec et al. 2018, LSNN).

    Each spike raises the neuron's threshold for a while: a memory longer than that of the potential.

    Args:
        adaptation: how much a unit of `a` raises the threshold, at least 0.
        adaptation_decay: share of `a` that a step leaves, from 0 to 1.
    """

    adaptation: float = dataclasses.field(default=0.2, kw_only=True)
    adaptation_decay: float = dataclasses.field(default=0.98, kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("s", "v", "a")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("adaptation", _checks.real("adaptation", self.adaptation, least=0))
        decay = _checks.real("adaptation_decay", self.adaptation_decay, least=0, most=1)
        self._keep("adaptation_decay", decay)

    def step(self, x: Node, s: Node, v: Node, a: Node) -> Any:  # type: ignore[override]
        """Fire where the potential is above the raised threshold."""
        v_t = self.charge(x, s, v)
        s_t = step(v_t - (self.threshold + self.adaptation * a), self.surrogate, self.sharpness)
        return s_t, v_t, self.adaptation_decay * a + s_t


class SynapticLIF(LIF):
    """Leaky integrate-and-fire neurons whose input is a current that fades (snntorch's `Synaptic`, 2021).

    For events at precise times: a spike acts on the potential of another neuron for a while.

    Args:
        synaptic_decay: share of the current that a step leaves, from 0 to 1.
    """

    synaptic_decay: float = dataclasses.field(default=0.9, kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("s", "v", "i")

    def __post_init__(self) -> None:
        super().__post_init__()
        decay = _checks.real("synaptic_decay", self.synaptic_decay, least=0, most=1)
        self._keep("synaptic_decay", decay)

    def step(self, x: Node, s: Node, v: Node, i: Node) -> Any:  # type: ignore[override]
        """Add up the current, then the potential; fire where that is above the threshold."""
        i_t = self.synaptic_decay * i + (self.affine("v", x, s) if self.recurrent else self.affine("v", x))
        v_t = self.decay * v + i_t - self.threshold * (s if self.reset_gradient else stop_gradient(s))
        return step(v_t - self.threshold, self.surrogate, self.sharpness), v_t, i_t
