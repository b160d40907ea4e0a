"""Limits of open streams: per process, and per caller."""

from __future__ import annotations

from collections import Counter

from common.errors import Rejected, Unavailable
from services.live import metrics

RETRY_SECONDS = 5


class TooManyStreamsError(Rejected):
    """The caller has reached the limit of streams per caller."""

    status = 429
    code = "too_many_streams"
    retry_after_seconds = RETRY_SECONDS


class FullError(Unavailable):
    """The process has reached its limit: another one may accept the stream."""

    code = "too_many_streams"
    retry_after_seconds = RETRY_SECONDS


class Limits:
    """Counts open streams; belongs to one event loop."""

    def __init__(self, *, per_process: int, per_caller: int) -> None:
        self._per_process, self._per_caller = per_process, per_caller
        self._open = 0
        self._by_caller: Counter[str] = Counter()

    def enter(self, caller_id: str) -> None:
        """Count a stream. Raises `FullError` or `TooManyStreamsError`."""
        if self._open >= self._per_process:
            metrics.REFUSED.labels("process").inc()
            raise FullError("this process has reached its limit of open streams: try again later")
        if self._by_caller[caller_id] >= self._per_caller:
            metrics.REFUSED.labels("caller").inc()
            raise TooManyStreamsError(f"you have {self._per_caller} open streams: close one first")
        self._open += 1
        self._by_caller[caller_id] += 1
        metrics.STREAMS.set(self._open)

    def leave(self, caller_id: str) -> None:
        self._open -= 1
        self._by_caller[caller_id] -= 1
        if not self._by_caller[caller_id]:
            del self._by_caller[caller_id]
        metrics.STREAMS.set(self._open)
