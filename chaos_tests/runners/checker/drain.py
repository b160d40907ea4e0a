"""Waits until nothing is in flight: on a condition, with a time-out, never only by a sleep."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import requests

from holdfast.client import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.client import Client

PAUSE_SECONDS = 0.5
# The broker counts once a second, the system view is at most two seconds old: idle must last longer than both.
QUIET_SECONDS = 4.0
OPEN = ("pending", "reserved")


@dataclass(frozen=True, slots=True)
class Drained:
    """Whether the system is idle, how long that took, and what still waits (text)."""

    quiet: bool
    seconds: float
    waiting: str


def drain(
    operator: Client, bound_seconds: float, progress: Callable[[str], None], *, orders_too: bool = True
) -> Drained:
    """Wait until outboxes and queues are empty, no dead letter is in flight and, with `orders_too`, no order is
    open.
    """
    started = time.monotonic()
    quiet_since: float | None = None
    while True:
        waiting = _waiting(operator, OPEN if orders_too else ())
        now = time.monotonic()
        quiet_since = None if waiting else (quiet_since or now)
        if quiet_since is not None and now - quiet_since >= QUIET_SECONDS:
            return Drained(True, round(quiet_since - started, 2), "")
        if now - started >= bound_seconds:
            return Drained(False, round(now - started, 2), waiting or "it was not quiet for long enough")
        progress(waiting or "quiet")
        time.sleep(PAUSE_SECONDS)


def _waiting(operator: Client, open_statuses: Sequence[str]) -> str:
    """What is still in flight; empty if nothing is."""
    try:
        found = [*_in_the_system(operator.get("/api/v1/system"))]
        found += [status for status in open_statuses if operator.get("/api/v1/orders", status=status, limit=1)["data"]]
        if operator.get("/api/v1/dead-letters", status="replaying", limit=1)["data"]:
            found.append("dead letters on their way back")
    except (ApiError, requests.RequestException) as error:
        return f"the system does not answer: {error!r}"[:300]
    return ", ".join(found)


def _in_the_system(system: dict[str, object]) -> list[str]:
    outboxes, queues, unanswered = system["outboxes"], system["queues"], system["unanswered"]
    assert isinstance(outboxes, list)
    assert isinstance(unanswered, list)
    found = [f"outbox {each['database']}: {each['rows']}" for each in outboxes if each["rows"] != 0]
    set_aside = {each["database"]: each.get("set_aside_rows") for each in outboxes}
    found += [f"set aside in {database}: {rows}" for database, rows in set_aside.items() if rows]
    if isinstance(queues, list):
        found += [f"{queue['name']}: {queue['messages']}" for queue in queues if queue["messages"]]
    # Ignore processes without broker or outbox metrics, such as a standby scheduler or a stopped worker.
    return found + [f"{name} does not answer" for name in unanswered if name in {"rabbitmq", "mongodb"}]
