"""Traces: one per request, through its events and all their effects, exported by OTLP if a collector is configured.

Without a collector (no `OTEL_EXPORTER_OTLP_ENDPOINT`) OpenTelemetry is not imported, and every function here is a cheap
no-op; the `traceparent` is still propagated from the request through every event. With one, spans wait in a bounded
queue that a thread sends: a slow, failing or unavailable collector loses spans, never work. Not promised: that a span
arrives.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from common.observability.spans import Recorder
    from common.settings import ProcessSettings

Value = str | int | float | bool
Kind = Literal["server", "client", "producer", "consumer", "internal"]


class Span:
    """A piece of work in a trace. This class records nothing; `spans.RecordedSpan` does.

    `traceparent` is that of the events that this work causes.
    """

    __slots__ = ("traceparent",)

    def __init__(self, traceparent: str | None) -> None:
        self.traceparent = traceparent

    def describe(self, attributes: Mapping[str, Value | None]) -> None:
        """Add attributes; None values are omitted."""

    def note(self, name: str, attributes: Mapping[str, Value | None]) -> None:
        """Record a span event now."""

    def fail(self, error: BaseException | str) -> None:
        """Mark the span as failed."""


_recorder: Recorder | None = None
_NOTHING: AbstractContextManager[Span] = nullcontext(Span(None))


def configure_tracing(service: str, settings: ProcessSettings) -> None:
    """Record the spans of this process as those of `service`, if the settings name a collector.

    Call it in the process that does the work, after any fork, because it starts a thread that sends the spans. The
    first call wins.
    """
    global _recorder  # noqa: PLW0603 - one process, one recorder, like its log
    if _recorder is None and settings.otel_exporter_otlp_endpoint:
        from common.observability.spans import Recorder  # noqa: PLC0415 - half a second and 20 MB, for those who want it

        _recorder = Recorder(service, settings.otel_exporter_otlp_endpoint, settings.otel_traces_sampler_arg)


def shutdown() -> None:
    """Flush the waiting spans, within a time-out, and stop recording. A process does this automatically at exit."""
    global _recorder
    recorder, _recorder = _recorder, None
    if recorder is not None:
        recorder.shutdown()


def is_on() -> bool:
    return _recorder is not None


def entry(
    name: str, kind: Kind, traceparent: str | None, attributes: Mapping[str, Value | None]
) -> AbstractContextManager[Span]:
    """External work: the span continues the trace of `traceparent`, or starts one."""
    if _recorder is None:
        return nullcontext(Span(traceparent))
    return _recorder.entry(name, kind, traceparent, attributes)


def child(
    name: str,
    kind: Kind,
    attributes: Mapping[str, Value | None],
    *,
    answers: tuple[type[BaseException], ...] = (),
) -> AbstractContextManager[Span]:
    """A child of this thread's current span. Without one, nothing is recorded: a probe starts no trace.

    An exception marks it as failed, except those in `answers`.
    """
    if _recorder is None:
        return _NOTHING
    return _recorder.child(name, kind, attributes, answers) or _NOTHING


def past(
    name: str,
    kind: Kind,
    traceparent: str | None,
    attributes: Mapping[str, Value | None],
    *,
    started_ns: int,
    ended_ns: int,
    failure: str = "",
) -> None:
    """Record past work in the trace of `traceparent`, between two times (`time.time_ns`), with the error if it
    failed.
    """
    if _recorder is not None:
        _recorder.past(name, kind, traceparent, attributes, started_ns=started_ns, ended_ns=ended_ns, failure=failure)
