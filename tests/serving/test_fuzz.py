"""Malformed requests, as `benchmarks/serving_fuzz.py` sends 10,000 of them."""

import random

import pytest

from benchmarks.serving_fuzz import KINDS, fuzz

from .conftest import LIMITS, Server


@pytest.mark.rotates(days=3)
def test_malformed_requests_are_refused_and_do_no_harm(saved) -> None:
    server = Server({name: saved.files[name] for name in ("gauge", "reviews")}, *LIMITS, "--seconds", 1)
    try:
        counts = fuzz(server.address, 120, random.Random())
    finally:
        _, errors = server.end()
    assert sum(counts.values()) == 120
    assert {what.split(":")[0] for what in counts} <= set(KINDS)
    assert "Traceback" not in errors
