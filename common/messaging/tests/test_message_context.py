from __future__ import annotations

import json
from typing import TYPE_CHECKING

from common.messaging.message_context import new_trace_context
from common.observability import logs, tracing
from common.tests.otlp_receiver import recording

if TYPE_CHECKING:
    import pytest


def test_log_lines_show_the_new_message_context(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure_logging("test")
    with new_trace_context("tidy up") as message_context:
        logs.logger("here").info("tidied")
    with new_trace_context("tidy up") as other:
        pass
    logs.logger("here").info("afterwards")
    inside, outside = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert message_context.correlation_id != other.correlation_id
    assert message_context.traceparent != other.traceparent
    assert inside["correlation_id"] == message_context.correlation_id
    assert f"00-{inside['trace_id']}-{inside['span_id']}-01" == message_context.traceparent
    assert "trace_id" not in outside


def test_it_is_a_trace_of_its_own() -> None:
    with recording() as collector, new_trace_context("tidy up", order_id="o-1") as message_context:
        pass
    tracing.shutdown()
    (span,) = collector.wait_for("tidy up")
    assert (span.traceparent, span.parent_id) == (message_context.traceparent, "")
    assert span.attributes == {"holdfast.correlation_id": message_context.correlation_id, "holdfast.order_id": "o-1"}
