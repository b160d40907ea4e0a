"""Reads the archive once for all streams of the process, and dispatches each event to its streams.

Guarantee: a stream that subscribes at `position` gets each of its events after that once, in order, even if MongoDB or
the change stream fails. The change stream only signals new events; without it the hub polls every `POLL_SECONDS`.
While no stream is subscribed, the hub reads no events: it only asks for the last position, which also shows whether the
archive answers.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from contextlib import aclosing
from itertools import chain
from typing import TYPE_CHECKING, Any

from pymongo.errors import PyMongoError

from common.observability import logs
from services.live import metrics
from services.live.domain import Owner, customer_messages, message
from services.live.models import PAGE

if TYPE_CHECKING:
    from services.live.models import Archive
    from services.live.stream import Stream

    Document = dict[str, Any]
    Early = dict[str, list[Document]]

POLL_SECONDS = 1.0
IDLE_SECONDS = 2.0
# Events that are archived within this time are read together.
GATHER_SECONDS = 0.02
PAUSE_SECONDS = 0.5
MAX_OWNERS = 50_000
_log = logs.logger(__name__)


class Hub:
    """The one reader of a process. Belongs to one event loop."""

    def __init__(self, archive: Archive) -> None:
        self.position = 0
        self.is_up = self._has_failed = False
        self._archive = archive
        self._ending: str | None = None
        self._wake = asyncio.Event()
        self._has_streams = asyncio.Event()
        self._owners: OrderedDict[str, Owner] = OrderedDict()
        self._by_order: defaultdict[str, set[Stream]] = defaultdict(set)
        self._by_customer: defaultdict[str, set[Stream]] = defaultdict(set)
        self._of_all: set[Stream] = set()

    async def run(self) -> None:
        """Follow the archive until cancelled."""
        watching = asyncio.create_task(self._watch())
        try:
            while True:
                try:
                    await self._follow()
                except PyMongoError as error:
                    self._report(error)
                    await asyncio.sleep(PAUSE_SECONDS)
        finally:
            watching.cancel()

    def subscribe(self, stream: Stream) -> None:
        """From now on the stream gets its events after `position`."""
        self._group_of(stream).add(stream)
        self._has_streams.set()
        self._wake.set()
        if self._ending is not None:
            stream.end(self._ending)

    def unsubscribe(self, stream: Stream) -> None:
        self._group_of(stream).discard(stream)
        for groups, key in ((self._by_order, stream.order_id), (self._by_customer, stream.customer_id)):
            if key is not None and not groups.get(key, True):
                del groups[key]
        if not (self._of_all or self._by_order or self._by_customer):
            self._has_streams.clear()

    async def catch_up(self) -> int:
        """Return the position; without streams, first set it to the last event's. Raises pymongo's errors."""
        if not self._has_streams.is_set():
            last = await self._archive.last_position()
            if not self._has_streams.is_set():  # a stream that has subscribed now needs the events in between
                self.position = max(self.position, last)
        return self.position

    def end_all(self, reason: str) -> None:
        """End every stream, also those that subscribe later."""
        self._ending = reason
        groups = [self._of_all, *self._by_order.values(), *self._by_customer.values()]
        for stream in set().union(*groups):
            stream.end(reason)

    def _group_of(self, stream: Stream) -> set[Stream]:
        if stream.order_id is not None:
            return self._by_order[stream.order_id]
        return self._of_all if stream.customer_id is None else self._by_customer[stream.customer_id]

    async def _follow(self) -> None:
        if self._has_streams.is_set():
            await self._read()
        else:
            await self.catch_up()
        self.is_up = True
        metrics.UP.set(1)
        metrics.POSITION.set(self.position)
        try:
            async with asyncio.timeout(POLL_SECONDS if self._has_streams.is_set() else IDLE_SECONDS):
                await self._wake.wait()
            await asyncio.sleep(GATHER_SECONDS)
        except TimeoutError:
            pass
        self._wake.clear()

    async def _read(self) -> None:
        while True:
            documents = await self._archive.after(self.position)
            await self._dispatch(documents)
            if len(documents) < PAGE:  # events during the read are signalled
                return

    async def _dispatch(self, documents: list[Document]) -> None:
        early: Early = {}
        looked_up: set[str] = set()
        while not self._by_customer.keys() <= looked_up:  # a stream may have subscribed during the query
            looked_up = set(self._by_customer)
            early = await self._look_up(documents, looked_up)
        for document in documents:  # no await below
            if (
                document["position"] > self.position
            ):  # else `catch_up` has advanced beyond it while no stream was subscribed
                self._send(document, early)
                self.position = document["position"]

    def _send(self, document: Document, early: Early) -> None:
        order_id = document.get("orderid")
        if order_id is None:
            return
        of_order = self._by_order.get(order_id, ())
        if self._of_all or of_order:
            whole = message(document)
            for stream in chain(self._of_all, of_order):
                stream.offer(whole)
        owner = self._owners.get(order_id)
        if owner is not None and (streams := self._by_customer.get(owner.customer_id)):
            for each in customer_messages(document, owner, early.get(order_id, [])):
                for stream in streams:
                    stream.offer(each)

    async def _look_up(self, documents: list[Document], customer_ids: set[str]) -> Early:
        """Look up the customers of the orders; returns the events archived before an `order.placed` of these."""
        unknown = {document["orderid"] for document in documents if "orderid" in document} - self._owners.keys()
        if unknown:
            self._owners.update(await self._archive.owners(unknown))
            while len(self._owners) > MAX_OWNERS:
                self._owners.popitem(last=False)
        placed = {
            each["orderid"]: each["position"]
            for each in documents
            if each.get("customer_id") in customer_ids and "orderid" in each
        }
        early: Early = defaultdict(list)
        for document in await self._archive.before(placed):
            early[document["orderid"]].append(document)
        return early

    async def _watch(self) -> None:
        while True:
            await self._has_streams.wait()
            try:
                await self._signal_changes()
            except PyMongoError as error:  # also if its history is gone: it is reopened at the current position
                _log.info("the change stream ended", error=f"{type(error).__name__}: {error}"[:200])
            await asyncio.sleep(PAUSE_SECONDS)

    async def _signal_changes(self) -> None:
        async with aclosing(self._archive.changes()) as changes:
            async for is_change in changes:
                if not self._has_streams.is_set():
                    return
                if is_change:
                    self._wake.set()

    def _report(self, error: Exception) -> None:
        if self.is_up or not self._has_failed:
            _log.warning("the archive does not answer", error=f"{type(error).__name__}: {error}"[:200])
        self.is_up, self._has_failed = False, True
        metrics.UP.set(0)
