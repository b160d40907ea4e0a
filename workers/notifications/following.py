"""Updates the queue's bindings to the subscriptions: once a second if an endpoint waits for it, and once a minute
anyway.

The rounds of once a minute bind everything again (which is harmless), in case a broker has been reinstalled, and unbind
types without subscriptions. Several workers may run this: one at a time makes changes.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from common.errors import Unavailable, classify
from common.messaging.queue_bindings import changing
from common.observability.logs import logger
from services.notifications import subscriptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pymongo.database import Database

CONTEXT = "notifications"
POLL_SECONDS = 1.0
ROUND_SECONDS = 60.0
BROKER_SECONDS = 10.0
_log = logger(__name__)


def follow_once(database: Database[dict[str, Any]], broker_url: str) -> None:
    """One round. Raises errors of MongoDB and the broker; the next round repeats an interrupted one."""
    with changing(broker_url, CONTEXT, timeout_seconds=BROKER_SECONDS) as bindings:
        todo = subscriptions.plan(database)
        for event_type in todo.to_bind:
            subscriptions.note_binding(database, event_type)
            bindings.bind(event_type)
        subscriptions.begin(database, todo.endpoints)
        for event_type in todo.to_unbind:
            bindings.unbind(event_type)
            subscriptions.note_unbound(database, event_type)


@contextmanager
def following(database: Database[dict[str, Any]], broker_url: str) -> Iterator[Callable[[], None]]:
    """Follow while the block runs; yields a function that ends it."""
    ending = threading.Event()
    thread = threading.Thread(target=_run, args=(database, broker_url, ending), name="bindings", daemon=True)
    thread.start()
    try:
        yield ending.set
    finally:
        ending.set()
        thread.join(BROKER_SECONDS)


def _run(database: Database[dict[str, Any]], broker_url: str, ending: threading.Event) -> None:
    next_round = 0.0
    while not ending.is_set():
        try:
            if time.monotonic() >= next_round or subscriptions.is_round_due(database):
                follow_once(database, broker_url)
                next_round = time.monotonic() + ROUND_SECONDS
        except Exception as error:  # noqa: BLE001 - tried again in a second, without end
            level = "info" if classify(error) is Unavailable else "error"
            getattr(_log, level)("cannot follow the subscriptions", error=repr(error)[:300])
        ending.wait(POLL_SECONDS)
