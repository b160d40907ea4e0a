"""Flower's view of the workers without remote control: it comes from the events that they publish.

By default Flower uses remote control, over the exchange that also carries commands to workers. Here it publishes
nothing there, and its account at the broker may not.
"""

import asyncio
from typing import Any

from celery.app.control import Control

_SHOWN = ("pid", "freq", "active", "loadavg", "sw_ident", "sw_ver", "sw_sys")


class SilentControl(Control):
    """A remote control that sends nothing; without replies its callers behave as if there were no worker."""

    def broadcast(self, *_: Any, **__: Any) -> None:
        """Send nothing."""


class ObservedWorkers:
    """Replaces Flower's inspector: the same attributes, from the state of the events."""

    inspect_methods: tuple[str, ...] = ()

    def __init__(self, state: Any) -> None:
        self._state = state

    @property
    def workers(self) -> dict[str, dict[str, Any]]:
        """Each worker's page, by its name."""
        return {name: _page(worker) for name, worker in self._state.workers.items()}

    def inspect(self, _workername: str | None = None) -> asyncio.Future[None]:
        """There is nothing to wait for."""
        done: asyncio.Future[None] = asyncio.get_event_loop().create_future()
        done.set_result(None)
        return done


def _page(worker: Any) -> dict[str, Any]:
    """Like the result of `inspect stats`, as far as heartbeats contain it."""
    shown = {name: getattr(worker, name) for name in _SHOWN}
    return {
        "timestamp": max(worker.heartbeats, default=None),
        "stats": {**shown, "broker": {}, "total": {"processed": worker.processed or 0}},
    }
