"""Events put on the exchange of a test's broker."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from common.messaging import topology
from common.messaging.confirms import Message
from common.messaging.events import CONTENT_TYPE
from common.messaging.publisher import BrokerDownError, ConfirmedPublisher
from common.messaging.relay import headers

if TYPE_CHECKING:
    from common.messaging.events import Event

SECONDS = 60.0


def publish_events(broker_url: str, *events: Event) -> None:
    """Publish like a relay, with all the time that a broker needs beside busy processors."""
    batch = [
        Message(
            id=f"{number}",
            routing_key=event.type,
            body=event.to_json().encode(),
            content_type=CONTENT_TYPE,
            headers=headers(event_id=event.id, event_type=event.type, correlation_id=event.correlationid),
        )
        for number, event in enumerate(events)
    ]
    with closing(ConfirmedPublisher(broker_url, topology.EVENTS.name, name="test")) as publisher:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            with suppress(BrokerDownError):
                publisher.connect()
                break
        assert len(publisher.publish(batch, timeout_seconds=SECONDS)) == len(events)
