"""A node gets the proxy's port of a node that has a proxy, and otherwise the real mapper's answer."""

import asyncio

from chaos_tests.proxy.mapper import serve, with_proxy_port
from common.tests.ports import free_port

FOUND = bytes([119, 0]) + (25_672).to_bytes(2) + b"M\0\0\6\0\5\0\4abcd\0\0"
UNKNOWN = bytes([119, 1])
KNOWN_NOW = b"v\0\0\0\0\1"
PORTS = {"holdfast-2": 20_001}
OWN_PORT = 20_009


def test_only_the_port_of_a_node_with_a_proxy_is_replaced() -> None:
    assert with_proxy_port(b"zholdfast-2", FOUND, PORTS, OWN_PORT) == FOUND[:2] + (20_001).to_bytes(2) + FOUND[4:]
    assert with_proxy_port(b"zholdfast", FOUND, PORTS, OWN_PORT) == FOUND
    assert with_proxy_port(b"zholdfast-2", UNKNOWN, PORTS, OWN_PORT) == UNKNOWN
    assert with_proxy_port(b"zholdfast-2", b"", PORTS, OWN_PORT) == b""


def test_a_list_of_nodes_names_the_queried_mapper() -> None:
    listed = b"name holdfast at port 25672\n"
    assert with_proxy_port(b"n", (4369).to_bytes(4) + listed, PORTS, OWN_PORT) == OWN_PORT.to_bytes(4) + listed


def test_a_node_stays_registered_while_it_is_connected() -> None:
    """This test plays the real mapper."""
    asyncio.run(_scenario())


async def _scenario() -> None:
    hung_up = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        question = (await reader.read(1000))[2:]
        writer.write(FOUND if question[:1] == b"z" else KNOWN_NOW)
        if question[:1] != b"z":
            assert await reader.read() == b""
            hung_up.set()
        writer.close()

    mapper = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = free_port()
    serving = asyncio.ensure_future(serve(mapper.sockets[0].getsockname(), [(port, PORTS)]))
    async with asyncio.timeout(60):
        reader, writer = await _ask(port, b"zholdfast-2")
        assert (await reader.read())[2:4] == (20_001).to_bytes(2)
        writer.close()
        reader, writer = await _ask(port, b"xI am holdfast-2")
        assert await reader.read(1000) == KNOWN_NOW
        assert not hung_up.is_set()
        writer.close()
        await hung_up.wait()
    serving.cancel()
    mapper.close()


async def _ask(port: int, question: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:  # the node is not registered yet
            await asyncio.sleep(0.01)
            continue
        writer.write(len(question).to_bytes(2) + question)
        return reader, writer
