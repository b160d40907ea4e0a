"""Polls the running system: every process's /metrics and the broker's management API, concurrently and with a time-out.

A source that does not answer in time is unknown; it is polled again next time, by at most one thread. Results are
cached for a moment, so many viewers cost no more than one.
"""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import requests
from prometheus_client.parser import text_string_to_metric_families

from common.messaging.events import rfc3339, utc_now
from common.observability import logs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

POLL_SECONDS = 1.5
CACHE_SECONDS = 2.0
REQUEST_SECONDS = (0.5, 1.0)
MAX_BYTES = 4 * 1024 * 1024
_QUEUE_COLUMNS = "name,messages,messages_ready,messages_unacknowledged,consumers"
_log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Sample:
    name: str
    labels: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The result of one poll. `last_seen` has every process that ever answered, with the time."""

    at: str
    metrics: dict[str, list[Sample]]
    queues: list[dict[str, Any]] | None
    last_seen: dict[str, str]
    # How long each queue has been observed with messages.
    not_empty_seconds: dict[str, float] = field(default_factory=dict)


class Monitor:
    """`metrics_urls` has the address of each process's metrics; `management_url` the broker's, with its account
    (for a cluster, its nodes' separated by `;`: the first that answers is used).
    """

    def __init__(self, metrics_urls: Mapping[str, str], management_url: str | None) -> None:
        self.processes = list(metrics_urls)
        self._probes = {name: _Probe(name, partial(_samples, url)) for name, url in metrics_urls.items()}
        self._queues = _Probe("rabbitmq", partial(_queues, management_url)) if management_url else None
        self._last_seen: dict[str, str] = {}
        self._not_empty_since: dict[str, float] = {}
        self._lock = threading.Lock()
        self._cached: tuple[float, Snapshot] | None = None

    @property
    def has_broker(self) -> bool:
        return self._queues is not None

    def snapshot(self) -> Snapshot:
        """The state of the system, at most CACHE_SECONDS old. Takes at most POLL_SECONDS."""
        with self._lock:
            if self._cached is None or time.monotonic() - self._cached[0] > CACHE_SECONDS:
                self._cached = (time.monotonic(), self._poll())
            return self._cached[1]

    def _poll(self) -> Snapshot:
        running = {name: probe.start() for name, probe in self._probes.items()}
        queues = self._queues.start() if self._queues else None
        wait([*running.values(), *([queues] if queues else [])], timeout=POLL_SECONDS)
        now = rfc3339(utc_now())
        metrics = {name: samples for name, future in running.items() if (samples := _result(future)) is not None}
        self._last_seen |= dict.fromkeys(metrics, now)
        found = _result(queues) if queues else None
        return Snapshot(now, metrics, found, dict(self._last_seen), self._watch(found))

    def _watch(self, queues: list[dict[str, Any]] | None) -> dict[str, float]:
        now = time.monotonic()
        if queues is None:
            self._not_empty_since.clear()
            return {}
        full = {queue["name"] for queue in queues if queue.get("messages")}
        self._not_empty_since = {name: self._not_empty_since.get(name, now) for name in full}
        return {name: round(now - since, 3) for name, since in self._not_empty_since.items()}


class _Probe:
    """One source and its polling thread; a pending poll is joined, not repeated."""

    def __init__(self, name: str, ask: Callable[[], Any]) -> None:
        self._name, self._ask = name, ask
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"poll-{name}")
        self._running: Future[Any] | None = None

    def start(self) -> Future[Any]:
        if self._running is None or self._running.done():
            self._running = self._executor.submit(self._try)
        return self._running

    def _try(self) -> Any:
        try:
            return self._ask()
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing is known then
            _log.info("no answer", process=self._name, error=type(error).__name__)
            return None


def _result(future: Future[Any]) -> Any:
    return future.result() if future.done() else None


def _get(url: str, **query: str) -> bytes:
    with requests.Session() as session:
        session.trust_env = False  # ignore proxies from the environment for internal calls
        with session.get(url, params=query, timeout=REQUEST_SECONDS, stream=True) as reply:
            reply.raise_for_status()
            body = b""
            for piece in reply.iter_content(65536):
                body += piece
                if len(body) > MAX_BYTES:
                    raise ValueError("the response is too large")
            return body


def _get_from_any(urls: Sequence[str], path: str, **query: str) -> bytes:
    *others, last = urls
    for url in others:
        with suppress(requests.ConnectionError, requests.Timeout):
            return _get(f"{url.rstrip('/')}{path}", **query)
    return _get(f"{last.rstrip('/')}{path}", **query)


def _samples(url: str) -> list[Sample]:
    families = text_string_to_metric_families(_get(url).decode())
    return [Sample(each.name, dict(each.labels), each.value) for family in families for each in family.samples]


def _queues(management_url: str) -> list[dict[str, Any]]:
    found = json.loads(_get_from_any(management_url.split(";"), "/api/queues", columns=_QUEUE_COLUMNS))
    if not isinstance(found, list):
        raise TypeError("not a list of queues")
    return found
