"""A classifier of texts as one writes it by hand: torch's nn.LSTM behind Starlette and uvicorn.

What arrives while a batch is computed is the next batch, padded to its longest text, in a thread; sizes are
those of the classifier in `benchmarks/serving.py`.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import torch
import uvicorn
from spelling import WORDS, spelled
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from torch import nn

UNITS, BATCH = 64, 64


class Classifier(nn.Module):
    """Words in, a probability out."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS + 2, UNITS)
        self.lstm = nn.LSTM(UNITS, UNITS, batch_first=True, bidirectional=True)
        self.dense = nn.Linear(2 * UNITS, 1)

    def forward(self, codes: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(
            self.embedding(codes), lengths, batch_first=True, enforce_sorted=False
        )
        _, (last, _) = self.lstm(packed)
        return torch.sigmoid(self.dense(torch.cat([last[0], last[1]], 1)))[:, 0]


model = Classifier().eval()
numbers = {spelled(number): number + 2 for number in range(WORDS)}
waiting: asyncio.Queue[tuple[list[int], asyncio.Future[float]]] = asyncio.Queue()


@torch.inference_mode()
def compute(batch: list[list[int]]) -> list[float]:
    """Return a probability for each text."""
    codes = nn.utils.rnn.pad_sequence([torch.tensor(one) for one in batch], batch_first=True)
    found: list[float] = model(codes, torch.tensor([len(one) for one in batch])).tolist()
    return found


async def work() -> None:
    """Compute what waits, one batch after the other."""
    while True:
        jobs = [await waiting.get()]
        while len(jobs) < BATCH and not waiting.empty():
            jobs.append(waiting.get_nowait())
        found = await asyncio.to_thread(compute, [codes for codes, _ in jobs])
        for (_, answer), one in zip(jobs, found, strict=True):
            answer.set_result(one)


async def classify(request: Request) -> Response:
    """Answer with the probabilities of texts."""
    texts = (await request.json())["texts"]
    answers = []
    for text in texts:
        answer: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        waiting.put_nowait(([numbers.get(word, 1) for word in text.lower().split()] or [1], answer))
        answers.append(answer)
    found = await asyncio.gather(*answers)
    return JSONResponse(
        {"results": [{"label": "+" if one > 0.5 else "-", "probability": one} for one in found]}
    )


@contextlib.asynccontextmanager
async def life(app: Starlette) -> AsyncIterator[None]:
    """Have the batches computed as long as the program runs."""
    task = asyncio.create_task(work())
    yield
    task.cancel()


def main() -> None:
    torch.set_num_threads(1)
    app = Starlette(routes=[Route("/classify", classify, methods=["POST"])], lifespan=life)
    with socket.socket(proto=socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1024)
        print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
        config = uvicorn.Config(app, log_level="warning", access_log=False, http="h11")
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
