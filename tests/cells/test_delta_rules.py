"""The newer delta rules beside the loops of flash-linear-attention."""

from typing import Any

import numpy as np
import torch

from .test_matrix import (
    HEADS,
    KEYS,
    VALUES,
    Given,
    close,
    comba_gates,
    first,
    gated_decay,
    kda_decay,
    module,
    momentum_gates,
    separate_gates,
    tensors,
)


def test_gated_deltanet_2_beside_fla() -> None:
    loop = module("fla", "ops/gdn2/naive.py").naive_recurrent_gdn2
    given = Given("gated-deltanet-2")
    q, k, v, b, w = separate_gates(given)
    g = np.log(kda_decay(given)[..., 0])
    y, S = loop(*tensors(q, k, v, g, b, w), initial_state=first(given), output_final_state=True)
    close(given, S, y)


def test_comba_beside_fla() -> None:
    """Its chunks, which are its kernels' equations; its loop lets the matrix decay before the feedback."""
    loop = module("fla", "ops/comba/naive.py").naive_chunk_comba
    given = Given("comba")
    q, k, v, p, beta = comba_gates(given)
    g = np.log(gated_decay(given)[..., 0, 0])
    more: dict[str, Any] = {"initial_state": first(given), "output_final_state": True}
    y, S = loop(*tensors(q, k, v, p, g, beta), chunk_size=4, **more)
    close(given, S, y)


def test_momentum_deltanet_beside_fla() -> None:
    loop = module("fla", "ops/momentum_delta_rule/naive.py").recurrent_momentum_delta_rule_ref
    given = Given("momentum-deltanet")
    q, k, v, log_alpha, log_mu, beta, eta = momentum_gates(given)
    arguments = tensors(q, k, v, log_alpha, log_mu, np.exp(log_alpha)[..., None] * k, beta, eta)
    M = torch.from_numpy(given.state("M", HEADS, KEYS, VALUES))
    y, finals = loop(*arguments, initial_S=first(given), initial_M=M, output_final_state=True)
    close(given, finals[0], y)
    np.testing.assert_allclose(given.run()[1]["M"], finals[1].flatten(1).numpy(), rtol=2e-4, atol=2e-5)
