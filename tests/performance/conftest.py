"""The benchmark of the layers is a package beside nabi, not inside it."""

import copy
from collections.abc import Iterable
from typing import Any

import pytest


def comparison(own: float, peer: float) -> dict[str, float]:
    ratio = peer / own
    return {"own": own, "peer": peer, "ratio": ratio, "low": ratio * 0.9, "high": ratio * 1.1, "rounds": 9}


def entries(points: Iterable[Any], *, peak: bool = True) -> dict[str, Any]:
    """Measured points as they are kept: nabi takes 1 ms everywhere, its peers 2 ms and more."""
    from benchmarks.layers.points import PEERS, runs

    found = {}
    for point in points:
        there = [peer for peer in PEERS if runs(peer, point.kind)]
        found[point.name] = {
            "cell": point.cell,
            "shape": list(point.shape),
            "kind": point.kind,
            "operations": point.operations,
            "peers": {peer: comparison(1, 2 + number) for number, peer in enumerate(there)},
            "notes": {},
            "tails": {worker: {"median": 1.0, "p99": 3.0, "calls": 200} for worker in ("nabi", *there)},
            "seconds": 10.0,
        }
        if peak and point.is_large:
            found[point.name]["peak"] = {"gflops": 500.0, "share": 0.87}
    return found


@pytest.fixture
def results():
    """A complete run as it is kept."""
    from benchmarks.layers.machine import LIBRARIES
    from benchmarks.layers.points import BUSY_SHAPES, choose, grid
    from benchmarks.layers.random_points import draw, release_seed

    described = dict.fromkeys(LIBRARIES, "1.0")
    described |= {
        "processor": "A processor (AVX512)",
        "cores": "2",
        "system": "A system",
        "python": "3.11",
    }
    sizes = {"shape": [64, 100, 128, 256]}
    seed = release_seed()
    found = {
        "date": "2026-11-30",
        "settings": {
            "threads": 2,
            "isa": "native",
            "rounds": 9,
            "milliseconds": 40,
            "quick": False,
            "machine": described,
        },
        "points": entries(choose()),
        "random": {"seed": seed, "number": 6, "rounds": 5, "points": entries(draw(6))},
        "busy": {
            "seed": seed,
            "rounds": 5,
            "milliseconds": 400,
            "points": entries(grid(BUSY_SHAPES) + draw(6), peak=False),
        },
        "caps": {},
        "variants": [
            {
                "cell": "gru-2014",
                "plain": "gru",
                "kind": "training",
                "to_plain": comparison(1.2, 1),
                "to_loop": comparison(1.2, 18),
                **sizes,
            }
        ],
        "ragged": [
            {
                "cell": "lstm",
                "kind": "training",
                "valid": 0.4,
                "lengths": comparison(10, 4.5),
                "packed": comparison(10, 4.4),
                "torch-padded": comparison(10, 20),
                "torch-packed": comparison(10, 30),
                **sizes,
            }
        ],
        "song": {"torch": {**comparison(0.14, 0.54), "note": "a loop over the windows"}},
        "memory": [{"cell": "lstm", "shape": [32, 100, 128, 256], "nabi": 2**20, "torch": 2**21}],
        "first_call": [
            {
                "cell": "lstm",
                "shape": [32, 50, 64, 128],
                "cold": {"build": 0.001, "first": 0.4, "second": 0.002, "other_sizes": 0.002},
                "warm": {"build": 0.001, "first": 0.012, "second": 0.002, "other_sizes": 0.002},
            }
        ],
        "imports": {"torch": 0.9, "nabi": 0.0005, "model": 0.12},
    }
    return copy.deepcopy(found)


@pytest.fixture
def capped(results):
    """A run of the same machine as on one without AVX-512; one peer has no cap."""
    capped = copy.deepcopy(results)
    capped["settings"]["isa"] = "avx2"
    for name in ("variants", "ragged", "song", "memory", "first_call", "imports"):
        del capped[name]
    capped["caps"] = {
        worker: {
            "switches": ["A_SWITCH"],
            "report": "",
            "threads": [0, 3],
            "wide": False,
            "in_force": True,
        }
        for worker in ("nabi", "torch", "peak")
    }
    for part in (capped["points"], capped["random"]["points"], capped["busy"]["points"]):
        for entry in part.values():
            entry["wide"] = []
            entry["peers"]["jax-ynnpack"] = comparison(1, 0.9)
            entry["tails"]["jax-ynnpack"] = {"median": 0.9, "p99": 2.0, "calls": 200}
    return capped
