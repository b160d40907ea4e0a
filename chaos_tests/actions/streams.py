"""A client that reads the events of all orders during a fault: it must receive each of them once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from chaos_tests.actions.event_stream import EventStream
from chaos_tests.actions.evidence import result, wait_until
from chaos_tests.runners.drivers.driver import driver_of
from holdfast.target import OPERATOR

STREAM = "/api/v1/orders/events"
CONNECTED_SECONDS, SHOWN_SECONDS = 60.0, 90.0
_READERS: dict[str, tuple[EventStream, str]] = {}  # by gateway: of this process


def read(configuration: dict[str, Any]) -> dict[str, Any]:
    """Read the stream of all orders, until `compare`. Returns when it is open."""
    driver = driver_of(configuration)
    target = driver.target()
    close(configuration)
    driver.journal.add(close, {})
    credentials = {"username": OPERATOR, "password": target.operator_password}
    reader = EventStream(target.url + STREAM, lambda: target.anyone().token(credentials))
    reader.start()
    wait_until(reader.connected.is_set, CONNECTED_SECONDS, "the stream begins")
    began_at = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    _READERS[target.url] = reader, began_at
    return result("a stream of all orders' events was open")


def compare(configuration: dict[str, Any]) -> dict[str, Any]:
    """Compare the received events with the archive, and close the stream. Raises `ValueError` for duplicates.

    Events archived after the start of the comparison are ignored. Raises TimeoutError for missing events.
    """
    target = driver_of(configuration).target()
    reader, began_at = _READERS[target.url]
    archived: set[str] = set()

    def is_all_there() -> bool:
        if not archived:
            events = target.operator(patient=True).all("/api/v1/events", since=began_at)
            archived.update(event["id"] for event in events if event.get("orderid"))
        return bool(archived) and archived <= reader.shown.keys()

    took = wait_until(is_all_there, SHOWN_SECONDS, "every archived event is shown")
    close(configuration)
    twice = [event_id for event_id, count in reader.shown.items() if count > 1]
    if twice:
        message = f"{len(twice)} of {len(reader.shown)} events were shown more than once: {', '.join(twice[:5])}"
        raise ValueError(message)
    text = f"{len(archived)} archived events, each shown once in {reader.connections} connections"
    return result(f"{text}, the last {took:.1f} s after it")


def close(configuration: dict[str, Any]) -> dict[str, Any]:
    """Close the stream; nothing if none is open in this process."""
    driver = driver_of(configuration)
    found = _READERS.pop(driver.target().url, None)
    if found:
        found[0].stop()
    driver.journal.remove(close, {})
    return result("the stream was closed" if found else "no stream was open")
