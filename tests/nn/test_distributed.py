"""DistributedDataParallel over two processes gives the gradients of the whole batch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json, sys
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
import nabi.nn
from nabi import cells

rank, store, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.lower = nabi.nn.LSTM(3, 5, 2, bidirectional=True, batch_first=True, dtype=torch.float64)
        self.upper = nabi.nn.RNN(cells.PeepholeLSTM(4), 10, dtype=torch.float64)

    def forward(self, x):
        return self.upper(self.lower(x)[0])[0]


torch.manual_seed(rank)
model = DistributedDataParallel(Model())
x = torch.randn(4, 6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(9))
model(x[2 * rank : 2 * rank + 2]).square().mean().backward()
alone = Model()
alone.load_state_dict(model.module.state_dict())
alone(x).square().mean().backward()
pairs = zip(model.parameters(), alone.parameters(), strict=True)
worst = max(float((a.grad - b.grad).abs().max()) for a, b in pairs)
with open(f"{out}/{rank}.json", "w") as file:
    json.dump({"worst": worst, "size": float(model.module.lower.weight_hh_l0.grad.abs().max())}, file)
torch.distributed.destroy_process_group()
"""


@pytest.mark.rotates(days=2)
def test_two_processes(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", PROGRAM]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    workers = [
        subprocess.Popen([*arguments, str(rank), str(tmp_path / "store"), str(tmp_path)], env=environment)
        for rank in range(2)
    ]
    try:
        assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    finally:
        for worker in workers:
            worker.kill()
    for rank in range(2):
        result = json.loads((tmp_path / f"{rank}.json").read_text())
        assert result["worst"] < 1e-12
        assert result["size"] > 1e-6
