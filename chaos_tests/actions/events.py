"""Duplicate, reordered and late events, and malformed messages.

Copies are published through the broker's management API, exactly like a relay would publish them, with their original
ids. They come from the public archive.
"""

from __future__ import annotations

import base64
import json
import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from chaos_tests.actions.evidence import result, wait_until
from chaos_tests.runners.drivers.driver import driver_of
from holdfast.management import call_management_api

EXCHANGE = "holdfast.events"
CONTENT_TYPE = "application/cloudevents+json"
FILED_SECONDS = 60.0
ATTRIBUTES = ("id", "source", "type", "subject", "time", "data", "sequence")
EXTENSIONS = ("correlationid", "causationid", "orderid", "traceparent")
# Malformed messages of any publisher: each becomes a dead letter, and none may block or end a worker.
POISON: tuple[tuple[str, bytes, str, dict[str, Any]], ...] = (
    ("random bytes", bytes(range(256)), CONTENT_TYPE, {"task": "holdfast.handle"}),
    ("half of JSON", b'{"specversion": "1.0", "id": "', CONTENT_TYPE, {"task": "holdfast.handle"}),
    ("nothing", b"", CONTENT_TYPE, {"task": "holdfast.handle"}),
    ("a list", b"[1, 2]", CONTENT_TYPE, {"task": "holdfast.handle"}),
    ("no headers", b"{}", "text/plain", {}),
    ("a pickle", b"\x80\x04K\x01.", "application/x-python-serialize", {"task": "holdfast.handle", "id": "1"}),
    ("an unknown task", b"{}", CONTENT_TYPE, {"task": "nobody.knows", "id": "1"}),
)


def duplicate(configuration: dict[str, Any], since_seconds: float = 20, most: int = 200) -> dict[str, Any]:
    """Publish recent events again, in the same order."""
    return _again(configuration, _recent(configuration, since_seconds, most), "a second time")


def reorder(configuration: dict[str, Any], since_seconds: float = 20, most: int = 200) -> dict[str, Any]:
    """Publish recent events again, in reverse order."""
    return _again(configuration, _recent(configuration, since_seconds, most)[::-1], "backwards")


def replay(configuration: dict[str, Any], seed: int = 1, most: int = 300) -> dict[str, Any]:
    """Publish random events of the archive's last hour again, in random order."""
    events = _recent(configuration, 3600, 2_000)
    chosen = random.Random(seed).sample(events, min(most, len(events)))
    return _again(configuration, chosen, "from long before")


def poison(configuration: dict[str, Any], queue: str = "orders.events") -> dict[str, Any]:
    """Publish malformed messages to a queue; each must be stored as a dead letter."""
    operator = driver_of(configuration).target().operator()
    began = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    for what, body, content_type, headers in POISON:
        _publish(configuration, "", queue, body, content_type=content_type, headers={**headers, "poison": what})

    def filed() -> int:
        letters = operator.get("/api/v1/dead-letters", queue=queue, limit=100)["data"]
        return sum(letter["filed_at"] >= began for letter in letters)

    took = wait_until(lambda: filed() >= len(POISON), FILED_SECONDS, f"{len(POISON)} dead letters of {queue}")
    return result(
        f"{filed()} dead letters of {queue} were on file after {took:.1f} s", took_effect=filed() == len(POISON)
    )


def _recent(configuration: dict[str, Any], seconds: float, most: int) -> list[dict[str, Any]]:
    """Archived events, oldest first. Raises `LookupError` if there are none."""
    since = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    found: list[dict[str, Any]] = []
    for event in driver_of(configuration).target().operator().all("/api/v1/events", since=since):
        if event["type"] != "attempt.failed.v1":
            found.append(event)
        if len(found) >= most:
            break
    if not found:
        raise LookupError("there were no events")
    return sorted(found, key=lambda event: str(event["time"]))


def _again(configuration: dict[str, Any], events: list[dict[str, Any]], how: str) -> dict[str, Any]:
    routed = 0
    for event in events:
        headers = {
            "task": "holdfast.handle",
            "id": event["id"],
            "root_id": event["correlationid"],
            "shadow": event["type"],
        }
        body = json.dumps(_envelope(event)).encode()
        routed += _publish(configuration, EXCHANGE, event["type"], body, content_type=CONTENT_TYPE, headers=headers)
    time.sleep(1)
    return result(f"{routed} of {len(events)} events were published again, {how}", took_effect=routed == len(events))


def _envelope(event: dict[str, Any]) -> dict[str, Any]:
    known = {name: event[name] for name in (*ATTRIBUTES, *EXTENSIONS) if event.get(name) is not None}
    return {"specversion": "1.0", "datacontenttype": "application/json"} | known


def _publish(
    configuration: dict[str, Any], exchange: str, key: str, body: bytes, *, content_type: str, headers: dict[str, Any]
) -> bool:
    """Whether it was routed. Raises requests' exceptions."""
    document = {
        "properties": {"content_type": content_type, "delivery_mode": 2, "headers": headers},
        "routing_key": key,
        "payload": base64.b64encode(body).decode(),
        "payload_encoding": "base64",
    }
    path = f"/api/exchanges/%2F/{exchange or 'amq.default'}/publish"
    reply = call_management_api(driver_of(configuration).target().management_url, path, "POST", json=document)
    reply.raise_for_status()
    return bool(reply.json()["routed"])
