"""Erlang's port mapper, with ports of proxies: `python -m chaos_tests.proxy.mapper --mapper HOST:PORT --config FILE`.

Each node of a cluster asks its own mapper, here, for the ports of the others, and gets a proxy's port instead; so each
direction between two nodes can be cut separately. All other requests are forwarded to the real mapper. The file is a
JSON list of `listen` (a port) and `ports` (by node's name, without its host).
Source: https://www.erlang.org/doc/apps/erts/erl_dist_protocol.html#epmd-protocol
"""

from __future__ import annotations

import argparse
import asyncio
import json
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

WHERE_IS, IT_IS_AT, FOUND = 122, 119, 0
WHO_IS_THERE = 110
# Requests with one reply; for all others the connection stays open.
ASKED_ONCE = (WHERE_IS, WHO_IS_THERE)
ANSWER_SECONDS, MOST_BYTES = 5.0, 65_536
Address = tuple[str, int]


def with_proxy_port(question: bytes, answer: bytes, ports: Mapping[str, int], own_port: int) -> bytes:
    """The mapper's reply, with the proxy's port if the request was for a node that has one.

    A list of all nodes begins with the port of the queried mapper; clients reject another one.
    """
    if question[0] == WHO_IS_THERE:
        return own_port.to_bytes(4) + answer[4:]
    port = ports.get(question[1:].decode("utf-8", "replace"))
    if port is None or question[0] != WHERE_IS or answer[:2] != bytes([IT_IS_AT, FOUND]):
        return answer
    return answer[:2] + port.to_bytes(2) + answer[4:]


async def serve(mapper: Address, listeners: list[tuple[int, Mapping[str, int]]]) -> None:
    """Serve until cancelled."""
    servers = [
        await asyncio.start_server(partial(_answer, mapper, ports, port), "127.0.0.1", port)
        for port, ports in listeners
    ]
    await asyncio.gather(*(server.serve_forever() for server in servers))


async def _answer(
    mapper: Address,
    ports: Mapping[str, int],
    own_port: int,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    far_writer = None
    with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, IndexError):
        async with asyncio.timeout(ANSWER_SECONDS):
            size = await reader.readexactly(2)
            question = await reader.readexactly(int.from_bytes(size))
            far_reader, far_writer = await asyncio.open_connection(*mapper)
            far_writer.write(size + question)
            if question[0] in ASKED_ONCE:
                writer.write(with_proxy_port(question, await far_reader.read(), ports, own_port))
        if question[0] not in ASKED_ONCE:  # a node is registered while its connection is open
            ways = [asyncio.ensure_future(_copy(reader, far_writer)), asyncio.ensure_future(_copy(far_reader, writer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
    for each in (writer, far_writer):
        if each is not None:
            each.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(MOST_BYTES):
            writer.write(data)
            await writer.drain()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mapper", required=True, help="host and port of the real mapper")
    parser.add_argument("--config", type=Path, required=True)
    arguments = parser.parse_args()
    host, _, port = arguments.mapper.rpartition(":")
    listeners = [(each["listen"], each["ports"]) for each in json.loads(arguments.config.read_text(encoding="utf-8"))]
    asyncio.run(serve((host, int(port)), listeners))


if __name__ == "__main__":
    main()
