"""The recording side of `tracing.py`: the only file that uses OpenTelemetry's SDK. Exports spans by OTLP over HTTP.

A trace is recorded completely or not at all: the process that starts it samples by the ratio, all others follow the
flag in the `traceparent`. OpenTelemetry's process-wide provider is not used, so a process can stop and start tracing
again.

Exporting never affects the work that the spans describe. At most `MAX_WAITING` spans wait; a new one beyond that drops
the oldest. A batch that the collector does not accept within `EXPORT_SECONDS` is lost. Failures are always counted and
logged once a minute. At exit, waiting spans are flushed for at most `FLUSH_SECONDS`. Headers, certificates and
compression are OpenTelemetry's own OTEL_EXPORTER_OTLP_* variables, which its exporter reads.
Sources: https://opentelemetry.io/docs/specs/otel/trace/sdk/#parentbased,
https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from __future__ import annotations

import atexit
import logging
import time
from typing import TYPE_CHECKING

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from prometheus_client import Counter

from common.observability import traceparent as w3c
from common.observability.logs import logger
from common.observability.tracing import Span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextvars import Token
    from types import TracebackType

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan

    from common.observability.tracing import Kind, Value

MAX_TEXT = 2_000
MAX_WAITING = 4096
BATCH_SPANS = 512
EVERY_SECONDS = 1.0
EXPORT_SECONDS = 10.0  # the default of OTEL_EXPORTER_OTLP_TIMEOUT
FLUSH_SECONDS = 5.0
COMPLAIN_SECONDS = 60.0
SPANS = Counter("holdfast_spans_total", "Ended spans by outcome: sent or lost", ["outcome"])
# They log every batch; Holdfast logs the same more precisely and less often.
_QUIET_LOGGERS = ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal")
_log = logger(__name__)
_KINDS = {
    "server": trace.SpanKind.SERVER,
    "client": trace.SpanKind.CLIENT,
    "producer": trace.SpanKind.PRODUCER,
    "consumer": trace.SpanKind.CONSUMER,
    "internal": trace.SpanKind.INTERNAL,
}


class RecordedSpan(Span):
    """A span that is sent to the collector when it ends. As a context manager: the current one of its thread."""

    __slots__ = ("_answers", "_span", "_token")

    def __init__(self, span: trace.Span, answers: tuple[type[BaseException], ...] = ()) -> None:
        made = span.get_span_context()
        super().__init__(
            w3c.make(f"{made.trace_id:032x}", f"{made.span_id:016x}", sampled=bool(made.trace_flags.sampled))
        )
        self._span, self._answers = span, answers
        self._token: Token[Context] | None = None

    def __enter__(self) -> Span:
        self._token = contexts.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if isinstance(error, self._answers):
            self.note(type(error).__name__, {})
        elif error is not None:
            self.fail(error)
        if self._token is not None:
            contexts.detach(self._token)
        self._span.end()

    def describe(self, attributes: Mapping[str, Value | None]) -> None:
        self._span.set_attributes(_present(attributes))

    def note(self, name: str, attributes: Mapping[str, Value | None]) -> None:
        self._span.add_event(name, _present(attributes))

    def fail(self, error: BaseException | str) -> None:
        if isinstance(error, BaseException):
            kind = f"{type(error).__module__}.{type(error).__qualname__}"
            self.describe({"error.type": kind})
            self.note("exception", {"exception.type": kind, "exception.message": str(error)})
        self._span.set_status(trace.StatusCode.ERROR, str(error)[:MAX_TEXT])


class Recorder:
    """Creates the spans of one process."""

    def __init__(self, service: str, endpoint: str, ratio: float) -> None:
        from common.observability import statement_spans  # noqa: PLC0415, F401 - it listens to SQLAlchemy from here on

        resource = Resource.create({"service.name": service, "service.namespace": "holdfast"})
        sampler = ParentBased(TraceIdRatioBased(ratio))
        # No exit handler of the SDK: it would wait half a minute for a hanging collector.
        self._provider = TracerProvider(sampler=sampler, resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(_make_processor(endpoint))
        self._tracer = self._provider.get_tracer("holdfast")
        atexit.register(self.shutdown)

    def shutdown(self) -> None:
        atexit.unregister(self.shutdown)
        self._provider.shutdown()

    def entry(
        self, name: str, kind: Kind, traceparent: str | None, attributes: Mapping[str, Value | None]
    ) -> RecordedSpan:
        return RecordedSpan(
            self._tracer.start_span(
                name, context=_context_of(traceparent), kind=_KINDS[kind], attributes=_present(attributes)
            )
        )

    def child(
        self,
        name: str,
        kind: Kind,
        attributes: Mapping[str, Value | None],
        answers: tuple[type[BaseException], ...],
    ) -> RecordedSpan | None:
        if not trace.get_current_span().is_recording():
            return None
        return RecordedSpan(self._tracer.start_span(name, kind=_KINDS[kind], attributes=_present(attributes)), answers)

    def past(
        self,
        name: str,
        kind: Kind,
        traceparent: str | None,
        attributes: Mapping[str, Value | None],
        *,
        started_ns: int,
        ended_ns: int,
        failure: str,
    ) -> None:
        parent = _context_of(traceparent)
        span = self._tracer.start_span(
            name, context=parent, kind=_KINDS[kind], attributes=_present(attributes), start_time=started_ns
        )
        if failure:
            span.set_status(trace.StatusCode.ERROR, failure[:MAX_TEXT])
        span.end(ended_ns)


def _context_of(traceparent: str | None) -> Context:
    """Never the thread's current context: the parent of external work comes with it."""
    parts = w3c.parse(traceparent)
    if parts is None:
        return contexts.Context()
    parent = trace.SpanContext(
        int(parts.trace_id, 16), int(parts.span_id, 16), is_remote=True, trace_flags=trace.TraceFlags(parts.flags)
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(parent), contexts.Context())


def _present(attributes: Mapping[str, Value | None]) -> dict[str, Value]:
    return {
        name: value[:MAX_TEXT] if isinstance(value, str) else value
        for name, value in attributes.items()
        if value is not None
    }


def _make_processor(endpoint: str) -> BatchSpanProcessor:
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
