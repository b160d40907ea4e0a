from __future__ import annotations

import json
from typing import TYPE_CHECKING

from common.messaging.message_context import origin
from common.observability import logs, tracing
from common.tests.otlp_receiver import recording

if TYPE_CHECKING:
    import pytest


def test_it_begins_a_trail_that_log_lines_show(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure_logging("test")
    with origin("tidy up") as trail:
        logs.logger("here").info("tidied")
    with origin("tidy up") as other:
        pass
    logs.logger("here").info("afterwards")
    inside, outside = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert trail.correlation_id != other.correlation_id
    assert trail.traceparent != other.traceparent
    assert inside["correlation_id"] == trail.correlation_id
    assert f"00-{inside['trace_id']}-{inside['span_id']}-01" == trail.traceparent
    assert "trace_id" not in outside


def test_it_is_a_trace_of_its_own() -> None:
    with recording() as collector, origin("tidy up", order_id="o-1") as trail:
        pass
    tracing.shutdown()
    (span,) = collector.wait_for("tidy up")
    assert (span.traceparent, span.parent_id) == (trail.traceparent, "")
    assert span.attributes == {"holdfast.correlation_id": trail.correlation_id, "holdfast.order_id": "o-1"}
