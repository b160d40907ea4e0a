"""Republishing with several broker nodes, one of which is frozen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kombu import Connection

from common.messaging import redelivery, topology
from common.tests.tcp_proxy import Link
from common.tests.worker_process import SECONDS, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration


@pytest.fixture
def declared(vhost: str) -> str:
    topology.declare(vhost, {"measured": ["thing.happened.v1"]}, timeout_seconds=SECONDS)
    return vhost


@pytest.fixture
def first(declared: str) -> Iterator[Link]:
    with Link(declared) as link:
        yield link


def test_a_node_without_confirms_is_abandoned(declared: str, first: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redelivery, "CONFIRM_SECONDS", SECONDS)
    passing_on = redelivery.Redelivery(f"{first.url};{declared}", topology.events_queue("measured"))
    message = redelivery.Incoming("{}")
    passing_on.retry(message, failed_attempts=1, delay_seconds=120, error=None)
    first.freeze()
    connections = first.connections
    monkeypatch.setattr(redelivery, "CONFIRM_SECONDS", 0.5)
    with pytest.raises(OSError, match="timed out"):
        passing_on.retry(message, failed_attempts=1, delay_seconds=120, error=None)
    monkeypatch.setattr(redelivery, "CONFIRM_SECONDS", SECONDS)  # the other node is healthy, perhaps slow
    passing_on.retry(message, failed_attempts=1, delay_seconds=120, error=None)
    assert first.connections == connections, "it asked the same node again first"
    passing_on._connection.collect(socket_timeout=1)  # a worker keeps it for life
    with Connection(declared, connect_timeout=SECONDS) as connection:
        wait_until(lambda: topology.count(connection, topology.delay_exchange(120).name).messages >= 2)
