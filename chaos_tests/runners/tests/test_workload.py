"""The workload: the same seed gives the same customers, and an unclear response is never guessed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import islice
from pathlib import Path

import pytest

from chaos_tests.runners.history import History, read
from chaos_tests.runners.tests.serving import listening
from chaos_tests.runners.workload.calls import Login, Recorder, Session, outcome
from chaos_tests.runners.workload.plan import INTENTS, catalogue, restocking_seconds, steps
from chaos_tests.runners.workload.wire import NotSentError, Reply

PRODUCTS = catalogue("R1")
TOKEN = b'HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{"access_token": "t"}'
ORDER = b'{"id": "o", "status": "pending", "version": 1, "total": {"amount": 5}}'


def test_the_same_seed_gives_the_same_purchases() -> None:
    assert list(islice(steps(7, "client-1", PRODUCTS), 200)) == list(islice(steps(7, "client-1", PRODUCTS), 200))
    assert list(islice(steps(8, "client-1", PRODUCTS), 9)) != list(islice(steps(7, "client-1", PRODUCTS), 9))
    assert list(islice(steps(7, "client-2", PRODUCTS), 9)) != list(islice(steps(7, "client-1", PRODUCTS), 9))


def test_a_client_makes_unique_purchases_of_every_kind() -> None:
    purchases = list(islice(steps(1, "client-1", PRODUCTS), 3000))
    assert len({(purchase.basket, purchase.payment_method) for purchase in purchases}) == 3000
    assert {purchase.intent for purchase in purchases} == set(INTENTS)


@pytest.mark.parametrize("rate", [0.5, 3, 10, 1_000])
def test_scarce_products_run_out_at_any_rate(rate: float) -> None:
    ordered = rate * INTENTS["scarce"] / 100
    assert 1.5 / restocking_seconds(rate) < 0.6 * ordered
    assert restocking_seconds(None) == restocking_seconds(1_000) == 5


def reply(status: int, body: bytes = b"{}", **headers: str) -> Reply:
    return Reply(status, headers, body)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (reply(202, ORDER), "ok"),
        (reply(202, b"<html>"), "info"),
        (reply(422, b'{"code": "unknown_sku"}'), "fail"),
        (reply(429, b"too much"), "fail"),
        (reply(409, b'{"code": "idempotency_key_in_flight"}'), "info"),
        (reply(500), "info"),
        (reply(503, b'{"code": "unavailable"}'), "info"),
        (reply(502, b"<html>"), "info"),
    ],
)
def test_only_a_rejection_before_any_write_is_a_failure(answer: Reply, expected: str) -> None:
    assert outcome(answer, "place").type == expected


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[str]:
    """A server that issues a token and sends this response to all other requests."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
                await reader.readexactly(length)
                asked_token = head.startswith(b"POST /api/v1/tokens")
                writer.write(TOKEN if asked_token else answer)
                if not asked_token and answer == b"":
                    break
        except asyncio.IncompleteReadError:
            pass
        writer.close()

    async with listening(serve) as url:
        yield url


def operation(url: str, path: Path, timeout_seconds: float = 60) -> list[dict[str, object]]:
    """The records of one order placed at `url`."""

    async def place() -> None:
        login = Login(url, {"api_key": "k"})
        with suppress(NotSentError):  # before the order, whose time-out may be too short for both
            await login.token(60)
        session = Session("client-0", url, login, Recorder(History(path)), timeout_seconds)
        await session.run("place", {"key": "k"}, "POST", "/api/v1/orders", {"items": []}, key="k")
        session.close()

    asyncio.run(place())
    return list(read(path))


def placed(answer: bytes, path: Path, timeout_seconds: float) -> list[dict[str, object]]:
    async def serve() -> list[dict[str, object]]:
        async with answering(answer) as url:
            return await asyncio.to_thread(operation, url, path, timeout_seconds)

    return asyncio.run(serve())


@pytest.mark.parametrize(
    ("answer", "expected", "error"),
    [
        (b"HTTP/1.1 202 Accepted\r\nContent-Length: %d\r\n\r\n%s" % (len(ORDER), ORDER), "ok", None),
        (
            b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(ORDER), ORDER),
            "ok",
            None,
        ),
        (b"", "info", "IncompleteReadError"),
        (b"HTTP/1.1 202 Accepted\r\nContent-Length: 70\r\n\r\n{", "info", "TimeoutError"),
        (b"SSH-2.0-nonsense\r\n\r\n", "info", "ValueError"),
    ],
)
def test_every_operation_is_recorded_before_and_after(
    answer: bytes, expected: str, error: str | None, tmp_path: Path
) -> None:
    # Only a response that never ends is waited for in vain.
    timeout_seconds = 0.5 if error == "TimeoutError" else 60
    before, after = placed(answer, tmp_path / "history.jsonl", timeout_seconds)
    assert (before["type"], before["f"], before["value"]) == ("invoke", "place", {"key": "k"})
    assert (after["type"], after["i"], after["error"]) == (expected, before["i"], error)


def test_an_unsent_request_is_a_failure(tmp_path: Path) -> None:
    _, after = operation("http://127.0.0.1:9", tmp_path / "history.jsonl")
    assert after["type"] == "fail"
    assert str(after["error"]).startswith("not sent")
