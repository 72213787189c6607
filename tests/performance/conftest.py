"""The benchmark of the layers is a package beside nabi, not inside it."""

import copy

import pytest


def comparison(own: float, peer: float) -> dict[str, float]:
    ratio = peer / own
    return {"own": own, "peer": peer, "ratio": ratio, "low": ratio * 0.9, "high": ratio * 1.1, "rounds": 9}


@pytest.fixture
def results():
    """A complete run as it is kept: nabi takes 1 ms everywhere, its peers 2 ms and more."""
    from benchmarks.layers.machine import LIBRARIES
    from benchmarks.layers.points import PEERS, choose, runs

    points = {}
    for point in choose():
        there = [peer for peer in PEERS if runs(peer, point.kind)]
        peers = {peer: comparison(1, 2 + number) for number, peer in enumerate(there)}
        points[point.name] = {
            "cell": point.cell,
            "shape": list(point.shape),
            "kind": point.kind,
            "operations": point.operations,
            "peers": peers,
            "notes": {},
        }
        if point.is_large:
            points[point.name]["peak"] = {"gflops": 500.0, "share": 0.85}
    described = dict.fromkeys(LIBRARIES, "1.0")
    described |= {"processor": "A processor", "cores": "2", "system": "A system", "python": "3.11"}
    sizes = {"shape": [64, 100, 128, 256]}
    found = {
        "settings": {"threads": 2, "rounds": 9, "milliseconds": 40, "quick": False, "machine": described},
        "points": points,
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
