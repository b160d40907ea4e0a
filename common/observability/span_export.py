"""Exports spans to a collector by OTLP over HTTP, without affecting the work that they describe.

At most `MAX_WAITING` spans wait; a new one beyond that drops the oldest. A batch that the collector does not accept
within `EXPORT_SECONDS` is lost. Failures are always counted and logged once a minute. At exit, waiting spans are
flushed for at most `FLUSH_SECONDS`. Headers, certificates and compression are OpenTelemetry's own OTEL_EXPORTER_OTLP_*
variables, which its exporter reads: https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from prometheus_client import Counter

from common.observability.logs import logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

MAX_WAITING = 4096
BATCH_SPANS = 512
EVERY_SECONDS = 1.0
EXPORT_SECONDS = 3.0
FLUSH_SECONDS = 3.0
COMPLAIN_SECONDS = 60.0
SPANS = Counter("holdfast_spans_total", "Ended spans by outcome: sent or lost", ["outcome"])
# They log every batch; Holdfast logs the same more precisely and less often.
_QUIET_LOGGERS = ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal")
_log = logger(__name__)


def make_processor(endpoint: str) -> BatchSpanProcessor:
    """A thread sends the spans to the collector at `endpoint` (its base address)."""
    for name in _QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_SECONDS)
    return _Processor(
        _CalmExporter(exporter),
        max_queue_size=MAX_WAITING,
        schedule_delay_millis=EVERY_SECONDS * 1000,
        max_export_batch_size=BATCH_SPANS,
    )


class _Processor(BatchSpanProcessor):
    def on_end(self, span: ReadableSpan) -> None:
        SPANS.labels("ended").inc()
        super().on_end(span)

    def shutdown(self) -> None:
        """The base class waits for up to half a minute, without a setting."""
        self._batch_processor.shutdown(timeout_millis=int(FLUSH_SECONDS * 1000))


class _CalmExporter(SpanExporter):
    """Count the lost spans, and log at most once a minute."""

    def __init__(self, exporter: OTLPSpanExporter) -> None:
        self._exporter = exporter
        self._complained_at: float | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result, why = self._exporter.export(spans), "not accepted"
        except Exception as error:  # noqa: BLE001 - whatever it is, the next batch is worth a try
            result, why = SpanExportResult.FAILURE, repr(error)
        sent = result is SpanExportResult.SUCCESS
        SPANS.labels("sent" if sent else "lost").inc(len(spans))
        if not sent and (self._complained_at is None or time.monotonic() - self._complained_at > COMPLAIN_SECONDS):
            self._complained_at = time.monotonic()
            _log.warning("the trace collector does not accept spans: they are lost", count=len(spans), error=why)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # it has no annotations

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._exporter.force_flush(timeout_millis)
