"""A collector for tests: it takes spans by OTLP over HTTP and keeps them. It can be made to hang or to refuse."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from unittest import mock

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from common.observability import tracing
from common.settings import ProcessSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

SECONDS = 60.0
_KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}


@dataclass(frozen=True)
class Received:
    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    started_ns: int
    ended_ns: int
    failed: bool
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-01"


class Collector:
    """Listens on a free port of this machine."""

    def __init__(self, *, status: int = 200, delay_seconds: float = 0) -> None:
        self.status, self.delay_seconds = status, delay_seconds
        self.spans: list[Received] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        for sent in request.resource_spans:
            service = _values(sent.resource.attributes)["service.name"]
            self.spans += [_read(service, span) for scope in sent.scope_spans for span in scope.spans]

    def wait_for(self, *names: str, seconds: float = SECONDS) -> list[Received]:
        """The first span of each of these names, once all are there."""
        self.wait_until(lambda: set(names) <= {span.name for span in self.spans}, seconds)
        return [self.named(name)[0] for name in names]

    def wait_until(self, condition: Callable[[], bool], seconds: float = SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"it did not happen in time; there are:\n{self.tree()}"
            time.sleep(0.05)

    def named(self, name: str) -> list[Received]:
        return [span for span in self.spans if span.name == name]

    def tree(self, trace_id: str | None = None) -> str:
        """The spans as text, each below its parent, with its start and length in milliseconds."""
        spans = [span for span in self.spans if trace_id in (None, span.trace_id)]
        known = {span.span_id for span in spans}
        tops = [span for span in spans if span.parent_id not in known]
        return "\n".join(_lines(sorted(tops, key=_start), spans, 0, min((s.started_ns for s in spans), default=0)))


@contextmanager
def patience() -> Iterator[None]:
    """Spans are not lost because the collector, or the thread that sends them, has its turn late."""
    spans = "common.observability.spans"
    with mock.patch(f"{spans}.EXPORT_SECONDS", SECONDS), mock.patch(f"{spans}.FLUSH_SECONDS", SECONDS):
        yield


@contextmanager
def recording(service: str = "test") -> Iterator[Collector]:
    """This process records its spans, as `service`, until the block ends or `tracing.shutdown()`."""
    with patience(), Collector() as collector:
        tracing.configure_tracing(service, ProcessSettings(otel_exporter_otlp_endpoint=collector.url))
        try:
            yield collector
        finally:
            tracing.shutdown()


def _lines(level: list[Received], spans: list[Received], depth: int, origin_ns: int) -> list[str]:
    lines = []
    for span in level:
        start, length = (span.started_ns - origin_ns) / 1e6, (span.ended_ns - span.started_ns) / 1e6
        what = f"{'  ' * depth}{span.name}{' FAILED' if span.failed else ''}"
        lines.append(f"{what:<58} {span.service:<17} {start:7.1f} {length:7.1f}")
        below = sorted((each for each in spans if each.parent_id == span.span_id), key=_start)
        lines += _lines(below, spans, depth + 1, origin_ns)
    return lines


def _start(span: Received) -> int:
    return span.started_ns


def _read(service: str, span: Any) -> Received:
    return Received(
        service=service,
        name=span.name,
        kind=_KINDS[span.kind],
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        started_ns=span.start_time_unix_nano,
        ended_ns=span.end_time_unix_nano,
        failed=span.status.code == 2,
        attributes=_values(span.attributes),
        events=[(event.name, _values(event.attributes)) for event in span.events],
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in attributes}


def _handler_of(collector: Collector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(collector.delay_seconds)
            if collector.status == 200 and self.path == "/v1/traces":
                collector.take(body)
            self.send_response(collector.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: Any) -> None:
            pass

    return Handler
