"""The set-up polls until the system answers, and ends after a time-out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from chaos_tests.runners.tests.serving import listening
from chaos_tests.runners.workload import setup
from chaos_tests.runners.workload.calls import Login
from chaos_tests.runners.workload.plan import catalogue
from chaos_tests.runners.workload.setup import OpeningError, list_product

PRODUCT = catalogue("R1")[0]


@asynccontextmanager
async def shop(refusals: int, requested: list[str]) -> AsyncIterator[str]:
    """A server that rejects that many token requests, and accepts every product."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split()[1].decode()
        requested.append(path)
        refused = path == "/api/v1/tokens" and requested.count(path) <= refusals
        body = b"{}" if refused else b'{"access_token": "t"}'
        status = b"503 Service Unavailable" if refused else b"200 OK"
        writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
        await writer.drain()
        writer.close()

    async with listening(serve) as url:
        yield url


def listed(refusals: int) -> list[str]:
    """The requests up to the listing of the product."""
    requested: list[str] = []

    async def run() -> None:
        async with shop(refusals, requested) as url:
            await list_product(url, Login(url, {"username": "operator", "password": "p"}), PRODUCT)

    asyncio.run(run())
    return requested


def test_the_request_for_the_operators_token_is_retried() -> None:
    assert listed(2) == ["/api/v1/tokens"] * 3 + ["/api/v1/products"]


def test_the_retries_end_after_a_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "OPENING_SECONDS", 0.5)
    with pytest.raises(OpeningError, match="no token"):
        listed(1_000)
