"""Where training stands, through JSON and back."""

import json
from collections import Counter
from typing import Any

import torch
from hypothesis import given, strategies as st

from nabi.training._loop._checkpoint import _decode, _encode, _plain_only

keys = st.one_of(st.integers(), st.text(max_size=5))
plain = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5))
values = st.recursive(
    plain,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(keys, inner, max_size=3),
        st.dictionaries(st.integers(), st.integers(), max_size=3).map(Counter),
    ),
    max_leaves=10,
)


@given(values)
def test_values_keep_their_types(value: Any) -> None:
    again = _decode(json.loads(json.dumps(_encode(value))))
    assert again == value
    assert repr(again) == repr(value)


def test_what_json_cannot_hold_is_left_out() -> None:
    state = {"rate": torch.tensor(0.5), "hook": print, "counts": Counter({3: 1}), "several": [1, object()]}
    assert _plain_only(state) == {"rate": 0.5, "counts": Counter({3: 1})}
