"""The diagnosis of a dead message; any message gets one."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.messaging.events import CONTENT_TYPE, new_id
from common.messaging.raw_message import RawMessage
from services.operations.diagnosis import diagnose
from services.operations.tests.dead_letters import QUEUE, dead, happening

if TYPE_CHECKING:
    from services.operations.domain import Death

NOW = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)


def by_broker(body: bytes, reason: str, **changes: Any) -> RawMessage:
    death = {"reason": reason, "queue": QUEUE, "count": 1, "time": datetime(2026, 11, 2, 9, 0), "exchange": ""}  # noqa: DTZ001 - as AMQP's library has it
    delay_queue = {"reason": "expired", "queue": "holdfast.retry.1s", "count": 3}
    values: dict[str, Any] = {
        "body": body,
        "routing_key": QUEUE,
        "headers": {"x-death": [death, delay_queue]},
        "content_type": CONTENT_TYPE,
    }
    return RawMessage(**values | changes)


def read(message: RawMessage) -> Death:
    return diagnose(message, now=NOW)


def test_queue_time_and_reason_are_taken_from_the_broker() -> None:
    event = happening()
    death = read(by_broker(event.to_json().encode(), "delivery_limit"))
    assert (death.queue, death.reason, death.failed_at) == (QUEUE, "delivery_limit", "2026-11-02T09:00:00.000000Z")
    assert (death.event_id, death.attempts, death.is_replayed_automatically) == (event.id, 21, True)


def test_the_last_error_of_an_event_that_then_killed_its_worker_is_reported() -> None:
    message = by_broker(happening().to_json().encode(), "delivery_limit")
    message.headers.update({"holdfast-error": "slow", "holdfast-error-class": "a.SlowError", "x-delivery-count": 25})
    death = read(message)
    assert "slow" in death.error
    assert (death.error_class, death.attempts) == ("a.SlowError", 25)


@pytest.mark.parametrize(
    ("body", "content_type", "problem"),
    [
        (b"", CONTENT_TYPE, "empty body"),
        (b"{", CONTENT_TYPE, "not JSON"),
        (b"[1, 2]", CONTENT_TYPE, "not a JSON object"),
        (b"{}", None, "the content type is missing"),
        (b"x" * 300_000, CONTENT_TYPE, "larger than 262144 bytes: 300000"),
        (happening().to_json().encode(), "text/plain", "the content type is text/plain"),
        (happening(type="Nonsense").to_json().encode(), CONTENT_TYPE, "type is not of the form"),
    ],
)
def test_a_message_rejected_by_a_worker_gets_a_reason(body: bytes, content_type: str | None, problem: str) -> None:
    death = read(by_broker(body, "rejected", content_type=content_type))
    assert (death.reason, death.error_class) == ("not_an_event", "common.messaging.events.InvalidEventError")
    assert problem in death.error
    assert not death.is_replayed_automatically


def test_a_valid_event_keeps_the_brokers_reason() -> None:
    assert read(by_broker(happening().to_json().encode(), "rejected")).reason == "rejected"


def test_readable_fields_of_a_malformed_event_are_stored() -> None:
    body = b'{"id": "7", "type": "order.placed.v1", "subject": "s", "orderid": 4, "traceparent": "x"}'
    death = read(by_broker(body, "rejected"))
    assert (death.event_id, death.event_type, death.subject) == (None, "order.placed.v1", "s")
    assert (death.order_id, death.trace_id) == (None, None)


def test_each_dead_lettering_has_a_stable_id_of_its_own() -> None:
    event = happening()
    first = dead(event, failed_at="2026-11-02T09:00:00.000001Z")
    assert read(first).id == read(first).id
    assert read(first).id != read(dead(event, failed_at="2026-11-02T09:00:00.000002Z")).id
    limit = by_broker(b"x", "delivery_limit")
    again = by_broker(b"x", "delivery_limit")
    again.headers["holdfast-replay"] = new_id()
    assert read(limit).id == read(limit).id
    assert read(limit).id != read(again).id


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.datetimes()
    | st.decimals()
    | st.just(Decimal("NaN")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
_NAMES = st.sampled_from(
    ["x-death", "holdfast-reason", "holdfast-queue", "holdfast-attempt", "holdfast-failed-at", "holdfast-letter", "$x"]
)


_DEATHS = st.lists(st.dictionaries(st.sampled_from(["reason", "queue", "time", "count"]), _VALUES))


@pytest.mark.slow
@given(
    body=st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")),
    headers=st.dictionaries(_NAMES | st.text(), _VALUES) | st.fixed_dictionaries({"x-death": _DEATHS}),
    content_type=st.none() | st.text(),
)
def test_any_message_is_diagnosed(body: bytes, headers: dict[str, Any], content_type: str | None) -> None:
    death = read(RawMessage(body=body, routing_key="q", headers=headers, content_type=content_type))
    assert death.body == body
    assert death.reason not in ("", "undiagnosed")
    for text in (death.queue, death.reason, death.error, death.error_class, death.failed_at, *death.headers):
        text.encode()


def test_a_malformed_x_death_is_ignored() -> None:
    assert read(RawMessage(body=b"x", routing_key="q", headers={"x-death": ["nonsense"]})).reason == "unknown"
