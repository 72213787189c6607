"""Weights written as a file of PyTorch: what torch reads there."""

from pathlib import Path

import pytest
import torch

from nabi import interchange, layers, models


@pytest.mark.parametrize("ending", [".pt", ".pth"])
def test_torch_reads_the_weights_of_a_model(tmp_path: Path, ending: str) -> None:
    model = models.Sequential([layers.GRU(4, input_shape=(None, 2)), layers.Dense(1)])
    path = tmp_path / f"weights{ending}"
    interchange.write_model(model, path)
    found = torch.load(path, weights_only=True)
    assert found.keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(found[name], tensor)


def test_views_are_written_without_what_they_look_at(tmp_path: Path) -> None:
    from nabi.interchange._torch._writing import write_weights_file

    write_weights_file({"row": torch.arange(100_000.0)[:3]}, tmp_path / "row.pt")
    assert (tmp_path / "row.pt").stat().st_size < 10_000
    assert torch.load(tmp_path / "row.pt", weights_only=True)["row"].tolist() == [0, 1, 2]


def test_weights_go_from_safetensors_to_pytorch_and_back(tmp_path: Path) -> None:
    module = torch.nn.LSTM(2, 3)
    torch.save(module.state_dict(), tmp_path / "a.pt")
    interchange.convert(tmp_path / "a.pt", tmp_path / "b.safetensors")
    interchange.convert(tmp_path / "b.safetensors", tmp_path / "c.pt")
    again = torch.nn.LSTM(2, 3)
    again.load_state_dict(torch.load(tmp_path / "c.pt", weights_only=True))
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), again.parameters(), strict=True))
