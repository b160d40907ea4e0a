"""Traces: one per request, through its events and all that they cause, sent by OTLP when a collector is configured.

Without a collector (no `OTEL_EXPORTER_OTLP_ENDPOINT`) nothing of OpenTelemetry is loaded, and every function here does
next to nothing; the `traceparent` still travels from the request through every event. With one, spans wait in a bounded
queue that a thread empties: a collector that is slow, wrong or away costs spans, never work. Nothing promises that a
span arrives.
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
    """A piece of work, as its trace shows it. This one is recorded nowhere; `spans.RecordedSpan` is.

    `traceparent` is what the events carry that this work causes.
    """

    __slots__ = ("traceparent",)

    def __init__(self, traceparent: str | None) -> None:
        self.traceparent = traceparent

    def describe(self, attributes: Mapping[str, Value | None]) -> None:
        """Add attributes; those that are None are left out."""

    def note(self, name: str, attributes: Mapping[str, Value | None]) -> None:
        """Something happened during this work, now."""

    def fail(self, error: BaseException | str) -> None:
        """It failed, as whoever looks for failures means it."""


_recorder: Recorder | None = None
_NOTHING: AbstractContextManager[Span] = nullcontext(Span(None))


def configure_tracing(service: str, settings: ProcessSettings) -> None:
    """Record the spans of this process as those of `service`, if the settings name a collector.

    Call it in the process that does the work, after any fork: a thread of its own sends the spans. The first call wins.
    """
    global _recorder  # noqa: PLW0603 - one process, one recorder, like its log
    if _recorder is None and settings.otel_exporter_otlp_endpoint:
        from common.observability.spans import Recorder  # noqa: PLC0415 - half a second and 20 MB, for those who want it

        _recorder = Recorder(service, settings.otel_exporter_otlp_endpoint, settings.otel_traces_sampler_arg)


def shutdown() -> None:
    """Send what is left, within a bound, and record no more. A process does this by itself when it exits."""
    global _recorder
    recorder, _recorder = _recorder, None
    if recorder is not None:
        recorder.shutdown()


def is_on() -> bool:
    return _recorder is not None


def entry(
    name: str, kind: Kind, traceparent: str | None, attributes: Mapping[str, Value | None]
) -> AbstractContextManager[Span]:
    """Work that came from outside: the span continues the trace of `traceparent`, or begins one."""
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
    """A part of the work of this thread's span. Where there is none, nothing is recorded: a probe is no trace.

    An exception that passes makes it a failure, except those that are `answers`.
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
    """Record what was done for the trace of `traceparent` between two moments (`time.time_ns`), and why it failed."""
    if _recorder is not None:
        _recorder.past(name, kind, traceparent, attributes, started_ns=started_ns, ended_ns=ended_ns, failure=failure)
