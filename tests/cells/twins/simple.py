"""Networks without gates."""

import numpy as np

from .formulas import Array, States, Twin, Weights, relu, sigma, total

tanh = np.tanh


def jordan(w: Weights, x: Array, y: Array) -> States:
    hidden = tanh(w["W_xh"] @ x.T + w["W_yh"] @ y.T + w["b_h"][:, None])
    return (tanh(w["W_hy"] @ hidden + w["b_y"][:, None]).T,)


def irnn(w: Weights, x: Array, h: Array) -> States:
    return (relu(x @ w["W_xh"].T + h @ w["W_hh"].T + w["b_h"]),)


def scrn(w: Weights, x: Array, h: Array, s: Array) -> States:
    context = 0.05 * x @ w["W_xs"].T + 0.95 * s  # Mikolov et al., equation 3
    hidden = sigma(context @ w["W_sh"].T + x @ w["W_xh"].T + h @ w["W_hh"].T)  # 4
    return hidden @ w["W_hy"].T + context @ w["W_sy"].T, hidden, context  # 5, before its softmax


def integration(w: Weights, gate: str, x: Array, h: Array) -> Array:
    """Wu et al., equation 4: α ∘ Wx ∘ Uz + β1 ∘ Uz + β2 ∘ Wx + b."""
    from_x, from_h = x @ w[f"W_x{gate}"].T, h @ w[f"W_h{gate}"].T
    return (
        w[f"g_xh{gate}"] * from_x * from_h + w[f"g_h{gate}"] * from_h + w[f"g_x{gate}"] * from_x
        + w[f"b_{gate}"]
    )  # fmt: skip


def mi_rnn(w: Weights, x: Array, h: Array) -> States:
    return (tanh(integration(w, "h", x, h)),)


def statistical(w: Weights, x: Array, *means: Array) -> States:
    r = relu(sum(m @ w[f"W_m{i}r"].T for i, m in enumerate(means, 1)) + w["b_r"])
    p = relu(total(w, "p", x=x, r=r))
    new = tuple(a * m + (1 - a) * p for a, m in zip((0, 0.25, 0.5, 0.9, 0.99), means, strict=True))
    return relu(sum(m @ w[f"W_m{i}y"].T for i, m in enumerate(new, 1)) + w["b_y"]), *new


TWINS = {
    "jordan-rnn": Twin(jordan, lambda h, d: h * (d + h + 1) + h * (h + 1)),
    "irnn": Twin(irnn, lambda h, d: h * (d + h + 1)),
    "scrn": Twin(scrn, lambda h, d: h * d + h * (d + 2 * h) + 2 * h * h),
    "mi-rnn": Twin(mi_rnn, lambda h, d: h * (d + h + 1 + 3)),
    "statistical-ru": Twin(statistical, lambda h, d: h * (5 * h + 1) + h * (d + h + 1) + h * (5 * h + 1)),
}
