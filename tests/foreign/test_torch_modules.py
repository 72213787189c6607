"""PyTorch's own module database, from the installed wheel, against nabi's drop-ins."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("expecttest")


@pytest.mark.rotates(days=2)
def test_torch_module_database(record_property: Callable[[str, object], None]) -> None:
    driver = Path(__file__).with_name("torch_modules_driver.py")
    done = subprocess.run(
        [sys.executable, str(driver)],
        capture_output=True,
        text=True,
        timeout=250,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    passed = result["total"] - len(result["failures"])
    record_property("foreign tests", f"PyTorch's module database: {passed} passed / {result['total']}")
    assert set(result["per_module"]) == {
        f"nn.{name}" for name in ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell")
    }
    assert result["failures"] == {}
    assert result["total"] > 0
