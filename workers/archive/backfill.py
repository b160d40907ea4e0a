"""Gives positions to events that an archive worker of the previous version stores while both run.

Guarantee: each gets one within about `PAUSE_SECONDS`; an outage only delays it. To be removed with
services/archive/backfill.py.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from pymongo.errors import PyMongoError

from common.observability import logs
from services.archive.backfill import assign_missing_positions

if TYPE_CHECKING:
    from pymongo.database import Database

PAUSE_SECONDS = 15.0
_PORTION_SECONDS = 5.0
_log = logs.logger(__name__)


class Backfill:
    """A thread that polls for events without a position until it is stopped."""

    def __init__(self, database: Database[dict[str, Any]], *, pause_seconds: float = PAUSE_SECONDS) -> None:
        self._database = database
        self._pause_seconds = pause_seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="backfill", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                count = assign_missing_positions(self._database, seconds=_PORTION_SECONDS)
            except PyMongoError as error:
                count = 0
                _log.warning("cannot assign missing positions", error=f"{type(error).__name__}: {error}"[:200])
            if count:
                _log.info("assigned missing positions", events=count)
            self._stopped.wait(self._pause_seconds)
