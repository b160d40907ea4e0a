"""The facade and, behind it, `spans.py`, against a collector."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from common.observability import logs, traceparent, tracing
from common.settings import ProcessSettings
from common.tests.otlp_receiver import Collector, patience

if TYPE_CHECKING:
    from collections.abc import Iterator

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
UNRECORDED = PARENT[:-2] + "00"


@pytest.fixture(autouse=True)
def _off() -> Iterator[None]:
    yield
    tracing.shutdown()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with patience(), Collector() as running:
        yield running


def switch_on(url: str, *, ratio: float = 1.0) -> None:
    tracing.configure_tracing("test", ProcessSettings(otel_exporter_otlp_endpoint=url, otel_traces_sampler_arg=ratio))


def test_without_a_collector_the_trace_passes_through_and_nothing_of_the_sdk_is_loaded() -> None:
    program = f"""
import sys
from common.messaging import celery_worker, relay
from common.observability import tracing
from common.storage import postgresql
from common.web import app_factory
from common.settings import ProcessSettings
tracing.configure_tracing("test", ProcessSettings())
with tracing.entry("a", "server", "{PARENT}", {{}}) as span, tracing.child("b", "client", {{}}) as inner:
    span.describe({{"x": 1}}); span.note("n", {{}}); span.fail("f")
    print(tracing.is_on(), span.traceparent, inner.traceparent)
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=True)
    assert ended.stdout.splitlines() == [f"False {PARENT} None", "[]"]


def test_work_from_outside_continues_its_trace_and_its_parts_are_below_it(collector: Collector) -> None:
    switch_on(collector.url)
    with tracing.entry("work", "consumer", PARENT, {"a": 1, "b": None}) as span:
        span.describe({"c": "x" * 3000})
        span.note("half way", {"n": 2})
        with tracing.child("part", "client", {}):
            pass
    tracing.shutdown()
    part, work = collector.wait_for("part", "work")
    assert (work.service, work.kind, work.failed) == ("test", "consumer", False)
    assert f"00-{work.trace_id}-{work.parent_id}-01" == PARENT
    assert work.traceparent == span.traceparent
    assert (work.attributes["a"], "b" in work.attributes, len(work.attributes["c"])) == (1, False, 2000)
    assert work.events == [("half way", {"n": 2})]
    assert (part.trace_id, part.parent_id, part.kind) == (work.trace_id, work.span_id, "client")


@pytest.mark.parametrize("given", [None, "", "00-nonsense"])
def test_work_without_a_trace_begins_one(collector: Collector, given: str | None) -> None:
    switch_on(collector.url)
    with tracing.entry("first", "server", given, {}) as first, tracing.entry("second", "server", given, {}):
        pass
    tracing.shutdown()
    spans = collector.wait_for("first", "second")
    assert [span.parent_id for span in spans] == ["", ""]
    assert len({span.trace_id for span in spans}) == 2
    assert first.traceparent == spans[0].traceparent


def test_a_part_of_no_work_is_not_recorded(collector: Collector) -> None:
    switch_on(collector.url)
    with tracing.child("probe", "client", {}) as span:
        assert span.traceparent is None
    tracing.past("seen", "producer", PARENT, {}, started_ns=1_000, ended_ns=3_000)
    tracing.past("broken", "server", PARENT, {}, started_ns=1_000, ended_ns=3_000, failure="HTTP 500")
    tracing.shutdown()
    seen, broken = *collector.wait_for("seen"), *collector.wait_for("broken")
    assert (seen.started_ns, seen.ended_ns, seen.kind) == (1_000, 3_000, "producer")
    assert (seen.failed, broken.failed) == (False, True)
    assert collector.named("probe") == []


def test_an_exception_is_a_failure_unless_it_is_an_answer(collector: Collector) -> None:
    switch_on(collector.url)
    with tracing.entry("work", "server", None, {}):
        with pytest.raises(ValueError, match="bad"), tracing.child("call", "client", {}):
            raise ValueError("bad")
        with pytest.raises(KeyError), tracing.child("question", "client", {}, answers=(LookupError,)):
            raise KeyError("no")
    tracing.shutdown()
    work, call, question = collector.wait_for("work", "call", "question")
    assert (work.failed, call.failed, question.failed) == (False, True, False)
    assert call.attributes["error.type"] == "builtins.ValueError"
    assert call.events == [("exception", {"exception.type": "builtins.ValueError", "exception.message": "bad"})]
    assert question.events == [("KeyError", {})]


def test_the_ratio_decides_new_traces_and_the_flag_all_others(collector: Collector) -> None:
    switch_on(collector.url, ratio=0.25)
    drawn = 0
    for _ in range(800):
        with tracing.entry("new", "server", None, {}) as span, tracing.child("part", "client", {}):
            parts = traceparent.parse(span.traceparent)
            assert parts is not None
            drawn += parts.flags
    for given in (PARENT, UNRECORDED):
        for _ in range(20):
            with tracing.entry("flagged" if given == PARENT else "unflagged", "consumer", given, {}) as span:
                assert (span.traceparent or "")[-2:] == given[-2:]
    tracing.shutdown()
    collector.wait_until(lambda: len(collector.named("flagged")) == 20)
    assert 120 < drawn < 280
    assert (len(collector.named("new")), len(collector.named("part"))) == (drawn, drawn)
    assert collector.named("unflagged") == []


def test_spans_leave_by_themselves_while_the_process_works(collector: Collector) -> None:
    switch_on(collector.url)
    with tracing.entry("soon", "server", None, {}):
        pass
    collector.wait_for("soon")


def test_an_unavailable_collector_blocks_nothing_and_is_logged_once(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure_logging("test")
    with Collector() as gone:
        url = gone.url
    switch_on(url)
    started = time.monotonic()
    for _ in range(3 * 4096):
        with tracing.entry("lost", "server", None, {}):
            pass
    worked = time.monotonic() - started
    tracing.shutdown()
    ended = time.monotonic() - started - worked
    lines = capsys.readouterr().out.splitlines()
    while not lines:  # the thread that sends may notice it late
        assert time.monotonic() - started < 100
        time.sleep(0.05)
        lines += capsys.readouterr().out.splitlines()
    assert worked < 60
    assert ended < 25  # less than the SDK's own patience
    assert [json.loads(line)["event"] for line in lines] == ["the trace collector does not accept spans: they are lost"]


@pytest.mark.parametrize(("status", "delay_seconds"), [(200, 120.0), (503, 0), (400, 0)])
def test_a_collector_that_hangs_or_refuses_holds_no_process_up(status: int, delay_seconds: float) -> None:
    with Collector(status=status, delay_seconds=delay_seconds) as bad:
        program = f"""
from common.observability import logs, tracing
from common.settings import ProcessSettings
tracing.configure_tracing("test", ProcessSettings(otel_exporter_otlp_endpoint="{bad.url}"))
for _ in range(2000):
    with tracing.entry("a", "server", None, {{}}):
        pass
"""
        subprocess.run([sys.executable, "-c", program], timeout=100, check=True, capture_output=True)


def test_a_process_that_ends_sends_what_is_left(collector: Collector) -> None:
    program = f"""
from common.observability import spans, tracing
from common.settings import ProcessSettings
spans.EXPORT_SECONDS = spans.FLUSH_SECONDS = 60.0
tracing.configure_tracing("test", ProcessSettings(otel_exporter_otlp_endpoint="{collector.url}"))
for number in range(3000):
    with tracing.entry("last", "server", None, {{}}):
        pass
"""
    subprocess.run([sys.executable, "-c", program], timeout=100, check=True)
    assert len(collector.named("last")) == 3000
