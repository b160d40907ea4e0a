"""Republishing with several broker nodes, one of which is frozen."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from kombu import Connection

from common.messaging import redelivery, topology
from common.tests.tcp_proxy import Link

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration
CONNECT_SECONDS = 4.0


@pytest.fixture
def declared(vhost: str) -> str:
    topology.declare(vhost, {"measured": ["thing.happened.v1"]})
    return vhost


@pytest.fixture
def first(declared: str) -> Iterator[Link]:
    with Link(declared) as link:
        yield link


def test_a_node_without_confirms_is_abandoned(declared: str, first: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redelivery, "CONFIRM_SECONDS", 0.5)
    passing_on = redelivery.Redelivery(f"{first.url};{declared}", topology.events_queue("measured"))
    message = redelivery.Incoming("{}")
    passing_on.retry(message, failed_attempts=1, delay_seconds=120, error=None)
    first.freeze()
    with pytest.raises(OSError, match="timed out"):
        passing_on.retry(message, failed_attempts=1, delay_seconds=120, error=None)
    started = time.monotonic()
    passing_on.retry(message, failed_attempts=1, delay_seconds=120, error=None)
    assert time.monotonic() - started < CONNECT_SECONDS, "it asked the same node again first"
    passing_on._connection.collect(socket_timeout=1)  # a worker keeps it for life
    with Connection(declared) as connection:
        waiting = topology.count(connection, topology.delay_exchange(120).name).messages
    assert waiting >= 2
