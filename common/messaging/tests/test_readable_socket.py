"""A publisher that waits is woken by another socket, and by nothing else."""

from __future__ import annotations

import socket
import time

import pytest

from common.messaging.readable_socket import watched
from common.tests.outboxes import QueueReader, connect, make_publisher

pytestmark = pytest.mark.integration
NEVER_SECONDS = 600.0


def test_a_wait_ends_when_the_socket_is_readable(vhost: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, QueueReader(vhost):
        publisher = make_publisher(vhost)
        connect(publisher)
        started = time.monotonic()
        publisher.idle(0.3, until_readable=ours.fileno())
        assert time.monotonic() - started >= 0.3
        theirs.send(b"x")
        publisher.idle(NEVER_SECONDS, until_readable=ours.fileno())
        assert publisher.is_connected
        publisher.idle(0.1)  # the socket is not watched any more
        publisher.close()


def test_without_a_socket_or_a_connection_nothing_is_watched() -> None:
    with watched(None, 1) as is_readable:
        assert not is_readable()
    with watched(object(), None) as is_readable:
        assert not is_readable()
