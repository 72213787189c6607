"""LSTMs: variants, those with a part taken away, and cells with several layers in a step."""

import numpy as np

from .formulas import Array, States, Twin, Weights, relu, sigma, total
from .simple import integration

tanh = np.tanh


def original(w: Weights, x: Array, h: Array, c: Array) -> States:
    c = c + sigma(total(w, "i", x=x, h=h)) * tanh(total(w, "c", x=x, h=h))
    return sigma(total(w, "o", x=x, h=h)) * tanh(c), c


def greff(without: str):  # type: ignore[no-untyped-def]
    """The vanilla LSTM of Greff et al., section II, with one change of section III."""

    def step(w: Weights, x: Array, y: Array, c: Array, *gates: Array) -> States:
        old = dict(zip("ifo", gates, strict=False))

        def gate(name: str, cell: Array) -> Array:
            if without == f"no {name}":
                return np.ones_like(c)
            recurrence = sum(v @ w[f"W_{letter}{name}"].T for letter, v in old.items())
            return sigma(total(w, name, x=x, h=y) + w[f"w_c{name}"] * cell + recurrence)

        z = total(w, "c", x=x, h=y)
        i, f = gate("i", c), gate("f", c)
        new = (z if without == "input activation" else tanh(z)) * i + c * f
        o = gate("o", new)
        out = (new if without == "output activation" else tanh(new)) * o
        return (out, new, i, f, o) if gates else (out, new)

    return step


def ur(w: Weights, x: Array, h: Array, c: Array) -> States:
    """Gu et al., equations 9 to 14."""
    f = sigma(total(w, "f", x=x, h=h) + w["u"])
    r = sigma(total(w, "r", x=x, h=h) - w["u"])
    g = r * (1 - (1 - f) ** 2) + (1 - r) * f**2
    c = g * c + (1 - g) * tanh(total(w, "c", x=x, h=h))
    return sigma(total(w, "o", x=x, h=h)) * tanh(c), c


def multiplicative(w: Weights, x: Array, h: Array, c: Array) -> States:
    m = (x @ w["W_xm"].T) * (h @ w["W_hm"].T)
    i, o, f = (sigma(total(w, gate, x=x, m=m)) for gate in "iof")
    c = f * c + i * tanh(total(w, "c", x=x, m=m))
    return tanh(c) * o, c


def wmc(w: Weights, x: Array, h: Array, c: Array) -> States:
    i, f = (sigma(total(w, g, x=x, h=h) + tanh(c @ w[f"W_c{g}"].T + w[f"b_c{g}"])) for g in "if")
    c = f * c + i * tanh(total(w, "c", x=x, h=h))
    return sigma(total(w, "o", x=x, h=h) + tanh(c @ w["W_co"].T + w["b_co"])) * tanh(c), c


def controller(w: Weights, x: Array, v: Array, c: Array) -> States:
    f, i, o, m = (sigma(total(w, gate, x=x, v=v)) for gate in "fiom")
    c = f * c + i * tanh(total(w, "c", x=x, v=v))
    return o * tanh(c), m * tanh(c), c


def mi_lstm(w: Weights, x: Array, h: Array, c: Array) -> States:
    i, f, o = (sigma(integration(w, gate, x, h)) for gate in "ifo")
    c = f * c + i * tanh(integration(w, "c", x, h))
    return o * tanh(c), c


def indy(w: Weights, x: Array, h: Array, c: Array) -> States:
    i, f, z, o = (x @ w[f"W_x{g}"].T + w[f"w_h{g}"] * h + w[f"b_{g}"] for g in "ifco")
    c = sigma(f) * c + sigma(i) * tanh(z)
    return sigma(o) * tanh(c), c


def para(w: Weights, x: Array, h: Array, c: Array) -> States:
    f = sigma(w["w_hf"] * h + x @ w["W_xf"].T + w["w_cf"] * c + w["b_f"])
    c = f * c + (1 - f) * tanh(w["w_hc"] * h + x @ w["W_xc"].T + w["b_c"])
    return sigma(w["w_ho"] * h + x @ w["W_xo"].T + w["w_co"] * c + w["b_o"]) * tanh(c), c


def residual(w: Weights, x: Array, h: Array, c: Array) -> States:
    i, f = (sigma(total(w, g, x=x, h=h) + w[f"w_c{g}"] * c) for g in "if")
    c = f * c + i * tanh(total(w, "c", x=x, h=h))
    o = sigma(total(w, "o", x=x, h=h) + w["w_co"] * c)
    return o * (tanh(c) @ w["W_mp"].T + x @ w["W_xs"].T), c


def highway(w: Weights, x: Array, h: Array, c: Array) -> States:
    i, f, o, r = (sigma(total(w, gate, x=x, h=h)) for gate in "ifor")
    c = f * c + i * tanh(total(w, "c", x=x, h=h))
    return r * o * tanh(c) + (1 - r) * (x @ w["W_xs"].T), c


def rhn(w: Weights, x: Array, h: Array) -> States:
    for layer in range(1, 6):
        first = layer == 1
        both = [h @ w[f"W_h{g}{layer}"].T + w[f"b_{g}{layer}"] for g in "gt"]
        candidate, transform = (v + x @ w[f"W_x{g}1"].T * first for v, g in zip(both, "gt", strict=True))
        h = tanh(candidate) * sigma(transform) + h * (1 - sigma(transform))
    return (h,)


def mogrifier(w: Weights, x: Array, h: Array, c: Array) -> States:
    x = 2 * sigma(h @ w["W_q1"].T) * x
    h = 2 * sigma(x @ w["W_r2"].T) * h
    x = 2 * sigma(h @ w["W_q3"].T) * x
    h = 2 * sigma(x @ w["W_r4"].T) * h
    x = 2 * sigma(h @ w["W_q5"].T) * x
    i, f, o = (sigma(total(w, gate, x=x, h=h)) for gate in "ifo")
    c = f * c + i * tanh(total(w, "c", x=x, h=h))
    return o * tanh(c), c


def nas(w: Weights, x: Array, h: Array, c: Array) -> States:
    of_x = [x @ w[f"W_x{k}"].T for k in range(1, 9)]
    of_h = [h @ w[f"W_h{k}"].T + w[f"b_{k}"] for k in range(1, 9)]
    combine = [sigma, relu, sigma, relu, tanh, sigma, tanh, sigma]
    first = [
        act(a * b if k == 3 else a + b) for k, (act, a, b) in enumerate(zip(combine, of_x, of_h, strict=True))
    ]
    second = [tanh(first[0] * first[1]), tanh(first[2] + first[3]), tanh(first[4] * first[5]),
              sigma(first[6] + first[7])]  # fmt: skip
    c = tanh(second[0] + c) * second[1]
    return tanh(c * tanh(second[2] + second[3])), c


def _gates(number: int, more: int = 0):  # type: ignore[no-untyped-def]
    """Gates of an LSTM, and further vectors."""
    return lambda h, d: number * h * (d + h + 1) + more * h


TWINS = {
    "original-lstm": Twin(original, _gates(3)),
    "no-input-gate-lstm": Twin(greff("no i"), _gates(3, 2)),
    "no-forget-gate-lstm": Twin(greff("no f"), _gates(3, 2)),
    "no-output-gate-lstm": Twin(greff("no o"), _gates(3, 2)),
    "no-input-activation-lstm": Twin(greff("input activation"), _gates(4, 3)),
    "no-output-activation-lstm": Twin(greff("output activation"), _gates(4, 3)),
    "full-gate-recurrence-lstm": Twin(greff(""), lambda h, d: 4 * h * (d + h + 1) + 3 * h + 9 * h * h),
    "ur-lstm": Twin(ur, _gates(4, 1)),
    "multiplicative-lstm": Twin(multiplicative, lambda h, d: 4 * h * (d + h + 1) + h * (d + h)),
    "wmc-lstm": Twin(wmc, lambda h, d: 4 * h * (d + h + 1) + 3 * h * (h + 1)),
    "memory-controller-lstm": Twin(controller, _gates(5)),
    "mi-lstm": Twin(mi_lstm, lambda h, d: 4 * h * (d + h + 4)),
    "indy-lstm": Twin(indy, lambda h, d: 4 * h * (d + 2)),
    "para-lstm": Twin(para, lambda h, d: 3 * h * (d + 2) + 2 * h),
    "residual-lstm": Twin(residual, lambda h, d: 4 * h * (d + h + 1) + 3 * h + h * h + h * d),
    "highway-lstm": Twin(highway, lambda h, d: 5 * h * (d + h + 1) + h * d),
    "rhn": Twin(rhn, lambda h, d: 2 * h * d + 10 * h * (h + 1)),
    "mogrifier-lstm": Twin(mogrifier, lambda h, d: 4 * h * (d + h + 1) + 5 * h * d),
    "nas": Twin(nas, lambda h, d: 8 * h * (d + h + 1)),
}
