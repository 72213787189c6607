"""How a server listens."""

import asyncio
import socket

import pytest

from nabi.errors import ArgumentError
from nabi.serving._server import _listen


def test_answers_are_sent_at_once() -> None:
    """Head and body of an answer are two writes: the second must not wait until the first is acknowledged."""

    async def accepted() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            taken = writer.get_extra_info("socket")
            found.set_result(taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listening = _listen("127.0.0.1", 0)
        async with await asyncio.start_server(connected, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname())
            option = await found
            writer.close()
            return option

    assert asyncio.run(accepted())


@pytest.mark.parametrize("port", [-1, 70_000])
def test_a_port_that_is_none(port) -> None:
    with pytest.raises(ArgumentError, match="port"):
        _listen("127.0.0.1", port)
