"""What Flower knows of workers without asking them: all of it comes from the events that they send unasked.

Flower as it is asks by remote control, over the exchange that carries orders to workers as well. This one sends nothing
there, and its account at the broker may not.
"""

import asyncio
from typing import Any

from celery.app.control import Control

_SHOWN = ("pid", "freq", "active", "loadavg", "sw_ident", "sw_ver", "sw_sys")


class SilentControl(Control):
    """Celery's remote control that sends nothing; without answers its callers do as if no worker were there."""

    def broadcast(self, *_: Any, **__: Any) -> None:
        """Send nothing."""


class ObservedWorkers:
    """In the place of Flower's inspector: the same attributes, from the state that events have left."""

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
    """As `inspect stats` would fill it, as far as heartbeats tell."""
    shown = {name: getattr(worker, name) for name in _SHOWN}
    return {
        "timestamp": max(worker.heartbeats, default=None),
        "stats": {**shown, "broker": {}, "total": {"processed": worker.processed or 0}},
    }
