"""Metrics that are read from a store on requests for /metrics, so that every instance exposes the same values.

They are read at most every few seconds. While the store is down they keep their last values.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from flask import request

from common.errors import Unavailable, classify

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

CACHE_SECONDS = 5.0


def read_before_scrapes(app: Flask, read: Callable[[], None]) -> None:
    """Call `read`, which sets the gauges, before /metrics is served. A request does not wait for a concurrent read."""
    lock, due = threading.Lock(), 0.0

    @app.before_request
    def refresh() -> None:
        nonlocal due
        if request.path != "/metrics" or time.monotonic() < due or not lock.acquire(blocking=False):
            return
        try:
            due = time.monotonic() + CACHE_SECONDS
            read()
        except Exception as error:
            if classify(error) is not Unavailable:
                raise
        finally:
            lock.release()
