"""The hub's queries, with and without streams, on a real MongoDB in one event loop."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from common.messaging.events import new_id
from services.archive.tests.event_samples import CUSTOMER, happening, placed
from services.live.domain import Cursor
from services.live.hub import Hub
from services.live.models import Archive
from services.live.stream import Stream
from services.live.tests.conftest import SECONDS
from services.live.tests.test_api import archive

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection

    from services.archive.event_log import EventLog

    Document = dict[str, Any]

pytestmark = pytest.mark.integration
OTHER_CUSTOMER = "01928f6d-11aa-7c21-8d43-5b7e9f00c2d9"


class CountedArchive(Archive):
    """Counts queries, and calls a hook after a read of the last position."""

    def __init__(self, url: str) -> None:
        super().__init__(url, timeout_seconds=60, pool_size=8)
        self.reads: Counter[str] = Counter()
        self.watching = 0
        self.looked_up: list[set[str]] = []
        self.after_last_position: Callable[[], object] = lambda: None

    async def last_position(self) -> int:
        position = await super().last_position()
        self.after_last_position()
        return position

    async def after(self, position: int) -> list[Document]:
        self.reads["after"] += 1
        return await super().after(position)

    async def before(self, orders: dict[str, int]) -> list[Document]:
        self.looked_up.append(set(orders))
        return await super().before(orders)

    async def owners(self, order_ids: Collection[str]) -> Any:
        self.reads["owners"] += 1
        return await super().owners(order_ids)

    async def changes(self) -> AsyncGenerator[bool]:
        self.watching += 1
        try:
            async for change in super().changes():
                yield change
        finally:
            self.watching -= 1


class Received(Stream):
    """Records the cursors of offered events."""

    def __init__(self, after: int, **whose: str | None) -> None:
        super().__init__(Cursor(after), **{"order_id": None, "customer_id": None, **whose}, limit=1000)
        self.cursors: list[str] = []

    def offer(self, message: Any) -> None:
        if message.cursor > self.cursor:
            self.cursors.append(str(message.cursor))


@asynccontextmanager
async def following(url: str) -> AsyncIterator[tuple[Hub, CountedArchive]]:
    """A running hub that follows the archive."""
    counted = CountedArchive(url)
    hub = Hub(counted)
    running = asyncio.create_task(hub.run())
    try:
        await eventually(lambda: hub.is_up)
        yield hub, counted
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await counted.close()


async def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 4 * SECONDS))


def test_it_reads_no_events_and_opens_no_change_stream_without_streams(document_store: str, log: EventLog) -> None:
    async def test() -> None:
        async with following(document_store) as (hub, counted):
            archive(log, placed(new_id()), placed(new_id()))
            await eventually(lambda: hub.position == 2)  # only a signal: no events were read
            assert (counted.reads.total(), counted.watching) == (0, 0)
            stream = Received(hub.position)
            hub.subscribe(stream)
            await eventually(lambda: counted.watching == 1)
            archive(log, placed(new_id()))
            await eventually(lambda: stream.cursors == ["3"])
            hub.unsubscribe(stream)
            await eventually(lambda: counted.watching == 0)
            read = counted.reads.total()
            archive(log, placed(new_id()))
            await eventually(lambda: hub.position == 4)
            assert (counted.reads.total(), stream.cursors) == (read, ["3"])

    run(test)


def test_a_stream_that_subscribes_during_a_position_read_has_no_gap(document_store: str, log: EventLog) -> None:
    """Continuing after that position would skip events that the stream has not received."""
    archive(log, placed(new_id()), placed(new_id()))

    async def test() -> None:
        counted = CountedArchive(document_store)
        hub = Hub(counted)
        assert await hub.catch_up() == 2
        archive(log, placed(new_id()), placed(new_id()))
        stream = Received(hub.position)
        counted.after_last_position = lambda: hub.subscribe(stream)
        assert await hub.catch_up() == 2
        running = asyncio.create_task(hub.run())
        await eventually(lambda: stream.cursors == ["3", "4"])
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await counted.close()

    run(test)


def test_a_read_that_ends_after_a_catch_up_does_not_move_the_position_back(document_store: str, log: EventLog) -> None:
    """The last stream leaves during a read; the next one begins at a later position than the read."""

    async def test() -> None:
        async with following(document_store) as (hub, counted):
            first, second, order_id = Received(hub.position), Received(0, customer_id=CUSTOMER), new_id()
            after = counted.after

            async def after_while_streams_change(position: int) -> list[Document]:
                documents = await after(position)
                if documents and second.cursor == Cursor(0):
                    hub.unsubscribe(first)
                    archive(log, happening(orderid=order_id), placed(order_id))
                    second.cursor = Cursor(await hub.catch_up())
                    hub.subscribe(second)
                    archive(log, placed(new_id()))
                return documents

            counted.after = after_while_streams_change  # type: ignore[method-assign]
            hub.subscribe(first)
            archive(log, placed(new_id()))
            await eventually(lambda: "4" in second.cursors)
            assert second.cursors == ["4"]  # not 3.1, which follows with the order at 3

    run(test)


def test_it_looks_up_only_the_orders_of_subscribed_customers(document_store: str, log: EventLog) -> None:
    async def test() -> None:
        async with following(document_store) as (hub, counted):
            stream = Received(hub.position, customer_id=CUSTOMER)
            hub.subscribe(stream)
            own, foreign = placed(new_id()), placed(new_id())
            foreign.data["customer_id"] = OTHER_CUSTOMER
            early = happening(orderid=own.orderid)
            archive(log, foreign, early, own)
            await eventually(lambda: stream.cursors == ["3", "3.1"])
            assert set().union(*counted.looked_up) == {own.orderid}

    run(test)
