"""The classifier of `serving_peer.py` behind LitServe, whose API for batches is used as its documents say.

What computes is in a process of its own, as LitServe has it.
"""

import socket
import threading
import time
from typing import Any
from urllib.request import urlopen

import litserve
import torch
from serving_peer import BATCH, Classifier
from spelling import WORDS, spelled
from torch import nn


class Labels(litserve.LitAPI):
    """Texts in, a label and a probability of each out."""

    def setup(self, device: str) -> None:
        """Make the network."""
        torch.set_num_threads(1)
        self.model = Classifier().eval()
        self.numbers = {spelled(number): number + 2 for number in range(WORDS)}

    def decode_request(self, request: dict[str, Any]) -> list[int]:
        """Return the numbers of the words of a text."""
        (text,) = request["texts"]
        return [self.numbers.get(word, 1) for word in text.lower().split()] or [1]

    def batch(self, inputs: list[list[int]]) -> list[list[int]]:
        """Leave texts as they are: they differ in length."""
        return inputs

    @torch.inference_mode()
    def predict(self, batch: list[list[int]]) -> list[float]:
        """Return a probability for each text."""
        codes = nn.utils.rnn.pad_sequence([torch.tensor(one) for one in batch], batch_first=True)
        found: list[float] = self.model(codes, torch.tensor([len(one) for one in batch])).tolist()
        return found

    def unbatch(self, output: list[float]) -> list[float]:
        """Return the probability of each."""
        return output

    def encode_response(self, output: float) -> dict[str, Any]:
        """Return what is sent."""
        return {"results": [{"label": "+" if output > 0.5 else "-", "probability": output}]}


def _tell(port: int) -> None:
    """Print the address once the server answers."""
    address = f"http://127.0.0.1:{port}"
    while True:
        try:
            with urlopen(f"{address}/health", timeout=1):
                break
        except OSError:
            time.sleep(0.1)
    print(address, flush=True)


def main() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # A batch is not waited for: the least time that LitServe takes.
    api = Labels(max_batch_size=BATCH, batch_timeout=0.0001, api_path="/classify")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    threading.Thread(target=_tell, args=(port,), daemon=True).start()
    server.run(
        host="127.0.0.1", port=port, generate_client_file=False, log_level="warning", num_api_servers=1
    )


if __name__ == "__main__":
    main()
