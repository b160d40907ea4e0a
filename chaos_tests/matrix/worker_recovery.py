"""Measures when every worker handles events again, by its metrics."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import requests
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from infrastructure.local.stack import Stack

HANDLED, DONE = "holdfast_events_handled_total", "done"
ATTEMPT_SECONDS, PAUSE_SECONDS, BOUND_SECONDS = 1, 0.1, 120.0


class Workers:
    """The workers with work while orders are placed."""

    def __init__(self, stack: Stack) -> None:
        addresses = json.loads(stack.urls.metrics)
        self._addresses = {name: url for name, url in addresses.items() if name.startswith("worker-")}
        self._executor = ThreadPoolExecutor(len(self._addresses))

    def handled(self) -> dict[str, float]:
        """The number of events that each has handled; without workers that do not answer."""
        found = self._executor.map(_handled, self._addresses.values())
        return {name: count for name, count in zip(self._addresses, found, strict=True) if count is not None}

    def busy(self, seconds: float) -> set[str]:
        """The workers that handle events within that many seconds."""
        before = self.handled()
        time.sleep(seconds)
        return {name for name, count in self.handled().items() if count > before.get(name, count)}

    def working_after(self, busy: set[str], restored_at: float) -> dict[str, float]:
        """Seconds from `restored_at` (monotonic, now) until each has handled another event; workers that never do are
        missing.
        """
        before, after = self.handled(), dict[str, float]()
        while len(after) < len(busy) and time.monotonic() < restored_at + BOUND_SECONDS:
            now = self.handled()
            seconds = round(time.monotonic() - restored_at, 2)
            for name in busy.difference(after):
                if now.get(name, 0) > before.get(name, 0):
                    after[name] = seconds
            time.sleep(PAUSE_SECONDS)
        return after


def _handled(url: str) -> float | None:
    try:
        reply = requests.get(url, timeout=ATTEMPT_SECONDS)
    except requests.RequestException:
        return None
    families = text_string_to_metric_families(reply.text)
    samples = (sample for family in families for sample in family.samples)
    return sum(s.value for s in samples if s.name == HANDLED and s.labels.get("outcome") == DONE)
