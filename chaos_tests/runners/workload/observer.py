"""Samples the system from outside about once a second: backlogs and delivery outcomes.

The backlog is that of /api/v1/system. Deliveries come from the workers' own counters. A counter that restarts with its
process is added to the earlier samples, so the sums are lower bounds: they lack what a process counted between the last
sample and its death.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from chaos_tests.runners.workload.calls import TROUBLE, Login
from chaos_tests.runners.workload.wire import Connection, NotSentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chaos_tests.runners.history import History
    from chaos_tests.runners.workload.stop_condition import StopCondition

INTERVAL_SECONDS, POLL_SECONDS = 1.0, 4.0
_HANDLED = re.compile(
    rb'^holdfast_events_handled_total\{consumer="(\w+)",outcome="(\w+)",type="[^"]*"\} ([0-9.e+]+)', re.MULTILINE
)


class Observer:
    """Writes samples to the history. `metrics` names the processes that count deliveries, with their addresses."""

    def __init__(self, url: str, operator: Login, metrics: Mapping[str, str], history: History) -> None:
        self._url, self._operator, self._metrics, self._history = url, operator, metrics, history
        self._last: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
        self._sum: Counter[tuple[str, str]] = Counter()

    async def watch(self, stop_condition: StopCondition) -> None:
        while not stop_condition.is_met():
            await self.sample()
            await stop_condition.pause(INTERVAL_SECONDS)

    async def sample(self) -> None:
        """Take one sample."""
        system, *_ = await asyncio.gather(self._system(), *map(self._count, self._metrics.items()))
        self._history.append("sample", **system, **self._deliveries())

    async def _system(self) -> dict[str, Any]:
        try:
            token = await self._operator.token(POLL_SECONDS)
            reply = await _get(self._url, "/api/v1/system", {"Authorization": f"Bearer {token}"})
            if reply.status == 401:
                self._operator.forget()
            return _backlog(reply.document())
        except (*TROUBLE, NotSentError, KeyError, TypeError) as error:
            return {"unseen": type(error).__name__}

    async def _count(self, process: tuple[str, str]) -> None:
        name, url = process
        try:
            text = (await _get(url, "/metrics", {})).body
        except (*TROUBLE, NotSentError):
            return
        now: Counter[tuple[str, str]] = Counter()
        for consumer, outcome, value in _HANDLED.findall(text):
            now[consumer.decode(), outcome.decode()] += int(float(value))
        restarted = any(now[key] < count for key, count in self._last[name].items())
        self._sum += now if restarted else now - self._last[name]
        self._last[name] = now

    def _deliveries(self) -> dict[str, Any]:
        """The number of deliveries by outcome, and the consumers with duplicates."""
        if not self._metrics:
            return {}
        deliveries: Counter[str] = Counter()
        duplicates: Counter[str] = Counter()
        for (consumer, outcome), count in self._sum.items():
            deliveries[outcome] += count
            if outcome == "duplicate":
                duplicates[consumer] += count
        return {"deliveries": deliveries, "duplicates": duplicates}


def _backlog(system: dict[str, Any]) -> dict[str, Any]:
    outboxes = system["outboxes"]
    return {
        "outbox_rows": sum(outbox["rows"] or 0 for outbox in outboxes),
        "outbox_seconds": max((outbox["seconds"] or 0.0 for outbox in outboxes), default=0.0),
        "set_aside": sum(outbox.get("set_aside_rows") or 0 for outbox in outboxes),
        "queues": None
        if system["queues"] is None
        else {queue["name"]: queue["messages"] or 0 for queue in system["queues"] if queue["messages"]},
        "open_breakers": sorted({b["breaker"] for b in system["breakers"] if b["state"] != "closed"}),
        "held_up": system["held_up"],
        "unanswered": system["unanswered"],
        "dead_letters": sum(each["count"] for each in system["dead_letters"] or ()),
    }


async def _get(url: str, path: str, headers: dict[str, str]) -> Any:
    connection = Connection(url)
    try:
        async with asyncio.timeout(POLL_SECONDS):
            return await connection.request("GET", path, None, headers)
    finally:
        connection.close()
